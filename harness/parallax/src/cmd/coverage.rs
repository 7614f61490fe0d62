//! `parallax coverage`: which lines of the hypervisor no trace reaches.
//!
//! ```text
//! file                             lines  reached  not
//! hyp/core/src/pgtable/tree.rs       118      117    1
//!
//! not reached:
//! hyp/core/src/pgtable/tree.rs
//!   <Tree>::split: 142
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use parallax_engine::live::{LiveBoot, Ran};
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::symbols::Image;
use parallax_machine::toolchain::{self, BuiltImages, Variant};
use parallax_report::report::{self, Human};
use parallax_report::whole_file;
use parallax_suite::cases;
use parallax_suite::coverage::allowed::Allowed;
use parallax_suite::coverage::lines::Lines;
use parallax_suite::coverage::{Files, Tally, lcov, summary};
use parallax_suite::jobs::{self, GoldenMode, Options};

use super::{print, run};
use crate::cli;
use crate::interrupt;

/// Runs it.
pub(super) fn coverage(args: &cli::Coverage) -> Result<Status> {
    let cases = cases::load(&args.traces).map_err(Failure::from)?;
    let cancel = interrupt::token()?;
    let hints: Vec<_> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let allowed = args.allow.as_deref().map(read_list).transpose()?;
    let progress = run::progress(cases.len());
    progress.set_message("building");
    let normal = toolchain::build(&root, Variant::Normal, &cancel).map_err(MachineError::from);
    let normal = lines(&normal.map_err(Failure::from)?)?;
    let boot = LiveBoot::build(&root, cases.iter().map(|case| &case.trace), &cancel)?.with_coverage(&root)?;
    let faults = boot.images(true).map(lines).transpose()?;
    progress.set_message("running");
    let options = Options {
        flags: Vec::new(),
        jobs: run::job_count(args.jobs),
        golden: GoldenMode::Ignore,
        record: None,
        export: None,
        repeat: 1,
        mode: parallax_engine::Mode::Step,
        events: false,
        cancel,
    };
    let mut human = Human::new(anstream::stderr());
    let reports = jobs::run(&cases, &boot, &options, |report| {
        if report.verdict.status() != Status::Same {
            // That a reader of our messages went away is no error.
            let _ = progress.suspend(|| human.trace(report));
        }
        progress.inc(1);
    });
    progress.finish_and_clear();
    let status = report::status(&reports);
    if status != Status::Same || options.cancel.is_cancelled() {
        let cancelled = if options.cancel.is_cancelled() { Status::Interrupted } else { status };
        return Ok(status.and(cancelled));
    }

    let mut total = Tally::of(&normal);
    let mut ran = boot.ran();
    ran.sort_by(|a, b| a.trace.cmp(&b.trace));
    for Ran { trace, faults_build, executed } in &ran {
        let lines = if *faults_build { faults.as_ref() } else { Some(&normal) };
        let Some(lines) = lines else { continue };
        let reached: Vec<_> = lines.reached(executed).collect();
        total.add(reached.iter().copied());
        if let Some(folder) = &args.lcov {
            let mut one = Tally::of(&normal);
            one.add(reached);
            let name = name_of(trace);
            save(folder, &format!("{name}.info"), &lcov::text(&name, &root, one.files()))?;
        }
    }
    let text =
        format!("{}\nnot reached:\n{}", summary::table(total.files()), summary::unreached(total.files()));
    if let Some(folder) = &args.lcov {
        save(folder, "total.info", &lcov::text("total", &root, total.files()))?;
        save(folder, "summary.txt", &text)?;
    }
    match (&allowed, &args.allow) {
        (Some(allowed), Some(path)) => agreed(allowed, path, total.files(), &root),
        _ => {
            print(&text)?;
            Ok(Status::Same)
        }
    }
}

/// Holds `files` against the list, and prints what is not as agreed.
fn agreed(allowed: &Allowed, path: &Path, files: &Files, root: &Path) -> Result<Status> {
    let source = |file: &str, number: u32| {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        text.lines().nth(number as usize - 1).unwrap_or_default().trim().to_owned()
    };
    let differences = allowed.compare(files, source);
    let mut text = summary::table(files) + "\n";
    for difference in &differences {
        text += &format!("{difference}\n");
    }
    let path = path.display();
    text += &match differences.len() {
        0 => format!("every line that no trace reaches is in {path} with its reason\n"),
        count => format!(
            "{count} not as {path} says: write a trace that gets there, or list the line with its reason; \
             take out what is listed and reached\n"
        ),
    };
    print(&text)?;
    Ok(if differences.is_empty() { Status::Same } else { Status::Diverged })
}

fn read_list(path: &Path) -> Result<Allowed, Failure> {
    let text =
        fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Allowed::parse(&text).map_err(|(line, what)| Failure::usage(format!("{}:{line}: {what}", path.display())))
}

fn lines(images: &BuiltImages) -> Result<Lines, Failure> {
    let setup = |message: String| Failure { status: Status::Setup, message };
    let image = Image::load(&images.hyp_elf).map_err(|error| setup(error.to_string()))?;
    let lines = Lines::of(&image);
    lines.check().map_err(|why| setup(format!("{}: {why}", images.hyp_elf.display())))?;
    Ok(lines)
}

/// `good/share` for `traces/good/share.trace`, with `_` for `/`.
fn name_of(trace: &str) -> String {
    let path = Path::new(trace).with_extension("");
    let last: Vec<_> =
        path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("_")
}

/// Writes a file, whole or not at all.
fn save(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let saved = fs::create_dir_all(folder).and_then(|()| whole_file::write(&path, text.as_bytes()));
    saved.with_context(|| path.display().to_string())
}
