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

use anyhow::Result;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::toolchain::{self, Variant};
use parallax_report::report::{self, Human};
use parallax_report::whole_file;
use parallax_suite::cases::{self, Case};
use parallax_suite::coverage::allowed::Allowed;
use parallax_suite::coverage::built::{BuiltLines, Ran};
use parallax_suite::coverage::document::Covered;
use parallax_suite::coverage::{agreed, lcov, summary};
use parallax_suite::jobs::{self, GoldenMode, Options, job_count};

use super::output::{print, print_document};
use super::{outputs, progress};
use crate::cli::{self, Form};
use crate::interrupt;

/// What is written of all traces together: lines, and the table.
const TOTAL: &str = "total.info";
const SUMMARY: &str = "summary.txt";

/// Runs it.
pub(super) fn coverage(args: &cli::Coverage) -> Result<Status> {
    let cases = cases::load(&args.traces).map_err(Failure::from)?;
    refuse_inputs(args, &cases)?;
    let cancel = interrupt::token()?;
    let hints: Vec<_> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let allowed = args.allow.as_deref().map(Allowed::load).transpose()?;
    let progress = progress::of_traces(cases.len());
    progress.set_message("building");
    let normal = toolchain::build(&root, Variant::Normal, &cancel).map_err(MachineError::from);
    let built = BuiltLines::of(&normal.map_err(Failure::from)?)?;
    let hyp = live::build(&root, cases.iter().map(|case| &case.trace), &cancel)?;
    let hyp = live::with_coverage(hyp, &root)?;
    let built = built.with_faults(hyp.images(Variant::Faults))?;
    progress.set_message("running");
    let options = Options {
        flags: Vec::new(),
        explain: Vec::new(),
        jobs: job_count(args.jobs),
        golden: GoldenMode::Ignore,
        record: None,
        export: None,
        repeat: 1,
        mode: parallax_engine::Mode::Step,
        events: false,
        require: parallax_protocol::Requirements::default(),
        cancel,
    };
    let mut human = Human::new(anstream::stderr());
    let mut all = cases.iter();
    let mut ran = Vec::new();
    let reports = jobs::run(&cases, &hyp, &options, |report, executed| {
        ran.extend(all.next().zip(executed).map(|(case, executed)| Ran::new(&case.trace, executed)));
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

    let mut total = built.tally();
    ran.sort_by(|a, b| a.trace.cmp(&b.trace));
    for ran in &ran {
        let Some(reached) = built.reached(ran) else { continue };
        total.add(reached.iter().copied());
        if let Some(folder) = &args.lcov {
            let mut one = built.tally();
            one.add(reached);
            let name = lcov::test_name(&ran.trace);
            save(folder, &format!("{name}.info"), &lcov::text(&name, &root, one.files()))?;
        }
    }
    let text =
        format!("{}\nnot reached:\n{}", summary::table(total.files()), summary::unreached(total.files()));
    if let Some(folder) = &args.lcov {
        save(folder, TOTAL, &lcov::text("total", &root, total.files()))?;
        save(folder, SUMMARY, &text)?;
    }
    let (text, differences) = match (&allowed, &args.allow) {
        (Some(allowed), Some(path)) => {
            let compared = agreed::compare(allowed, path, total.files(), &root);
            (compared.text, Some(compared.differences))
        }
        _ => (text, None),
    };
    let agreed = differences.as_ref().is_none_or(Vec::is_empty);
    match args.format {
        Form::Human => print(&text)?,
        Form::Json => print_document(&Covered::new(total.files(), differences))?,
    }
    Ok(if agreed { Status::Same } else { Status::Diverged })
}

/// Refuses to write over the list or a trace.
fn refuse_inputs(args: &cli::Coverage, cases: &[Case]) -> Result<(), Failure> {
    let Some(folder) = &args.lcov else { return Ok(()) };
    let of_traces = cases.iter().map(|case| format!("{}.info", lcov::test_name(&case.trace.path)));
    let names = of_traces.chain([TOTAL, SUMMARY].map(str::to_owned));
    let traces = cases.iter().map(|case| Path::new(&case.trace.path));
    let read: Vec<&Path> = traces.chain(args.allow.as_deref()).collect();
    names.map(|name| folder.join(name)).try_for_each(|path| outputs::apart(&[("--lcov", &path)], &read))
}

/// Writes a file, whole or not at all.
fn save(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let saved = fs::create_dir_all(folder).and_then(|()| whole_file::write(&path, text.as_bytes()));
    saved.map_err(|error| Failure::file(path.display(), &error).into())
}
