//! `parallax watch`: traces, again at each save.
//!
//! ```text
//! image 3f0c2b96 (quick, not the one that `run` judges), 1.1 s after the save
//! same      traces/good/donate.trace  5 operations, 0.12 s
//! 1 trace, all as agreed, 1.3 s after the save; the next save, or Ctrl-C
//! ```

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_engine::{live, project, visible};
use parallax_machine::CancellationToken;
use parallax_machine::toolchain::Making;
use parallax_report::report::{Human, TraceReport};
use parallax_suite::cases::{self, Case};
use parallax_suite::jobs::{self, GoldenMode, Options, job_count};

use super::output::{self, print, print_as_it_is};
use super::progress;
use crate::cli::{ERROR, Watch};
use crate::interrupt;
use crate::saves::Saves;

/// How often it is looked whether somebody reads.
const LOOK: Duration = Duration::from_millis(500);

/// Runs it.
pub(super) fn watch(args: &Watch) -> Result<Status> {
    // What is not there now is a mistake of the command line; later it is an edit that is under way.
    let cases = cases::load(&args.traces)?;
    let hints: Vec<PathBuf> = cases.iter().map(|case| case.place.golden.clone()).collect();
    let root = project::root(&hints)?;
    let cancel = interrupt::token()?;
    let mut saves = Saves::of(&folders(&root, &cases), &cancel)?;
    // Between two saves nothing is written, by which it would show.
    let reader = cancel.clone();
    thread::spawn(move || {
        while !reader.is_cancelled() {
            thread::sleep(LOOK);
            if output::is_unread() {
                reader.cancel();
            }
        }
    });
    let mut begin = Instant::now();
    loop {
        let round = saves.round();
        match perform(args, &root, begin, &round) {
            Ok(()) => (),
            _ if cancel.is_cancelled() => (),
            // A save came meanwhile: it begins anew.
            _ if round.is_cancelled() => (),
            Err(error) => {
                let text = visible::lines(&format!("{error:#}"));
                print_as_it_is(&format!("{ERROR}error:{ERROR:#} {text}\nthe next save, or Ctrl-C\n\n"))?;
            }
        }
        match saves.next() {
            Some(at) => begin = at,
            None => return Ok(Status::Interrupted),
        }
    }
}

/// Where sources, traces and goldens are.
fn folders(root: &Path, cases: &[Case]) -> Vec<PathBuf> {
    let mut folders = vec![root.join("hyp"), root.join("qemu-plugins")];
    for case in cases {
        let trace = Path::new(&case.trace.path).parent().map(Path::to_owned);
        folders.extend(trace.into_iter().chain(case.place.golden.parent().map(Path::to_owned)));
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.dedup();
    folders
}

/// Builds, performs all traces once, and says what differs.
fn perform(args: &Watch, root: &Path, begin: Instant, cancel: &CancellationToken) -> Result<()> {
    let cases = cases::load(&args.traces)?;
    let making = if args.whole { Making::Whole } else { Making::Quick };
    let progress = progress::of_traces(cases.len());
    progress.set_message("building");
    let (hyp, ids) = live::made(root, cases.iter().map(|case| &case.trace), making, cancel)?;
    let hyp = live::with_events(hyp, root)?;
    progress.finish_and_clear();
    let names: Vec<&str> = ids.iter().map(|id| id.get(..8).unwrap_or(id)).collect();
    let which = if args.whole { "as `run` judges it" } else { "quick, not the one that `run` judges" };
    let (seconds, names) = (begin.elapsed().as_secs_f64(), names.join(" and "));
    print(&format!("image {names} ({which}), {seconds:.1} s after the save\n"))?;
    let options = Options {
        jobs: job_count(args.jobs),
        golden: GoldenMode::Look,
        record: None,
        export: None,
        repeat: 1,
        mode: args.mode,
        events: true,
        require: parallax_engine::order::Requirements::default(),
        flags: Vec::new(),
        explain: Vec::new(),
        cancel: cancel.clone(),
    };
    let mut human = Human::new(anstream::stdout());
    let mut written = Ok(());
    let one = cases.len() == 1;
    let reports = jobs::run(&cases, &hyp, &options, |report, _| {
        // Of many only those that are not in order: the others are counted.
        if (one || report.verdict.status() != Status::Same) && !cancel.is_cancelled() {
            written = std::mem::replace(&mut written, Ok(())).and(human.trace(report));
        }
    });
    output::flushed(written)?;
    if cancel.is_cancelled() {
        return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() }.into());
    }
    let seconds = begin.elapsed().as_secs_f64();
    print(&format!("{}, {seconds:.1} s after the save; the next save, or Ctrl-C\n\n", counted(&reports)))
}

/// `1 trace, all as agreed`, `20 traces, 3 not as agreed`.
fn counted(reports: &[TraceReport]) -> String {
    let wrong = reports.iter().filter(|report| report.verdict.status() != Status::Same).count();
    let traces = if reports.len() == 1 { "1 trace".to_owned() } else { format!("{} traces", reports.len()) };
    if wrong == 0 { format!("{traces}, all as agreed") } else { format!("{traces}, {wrong} not as agreed") }
}
