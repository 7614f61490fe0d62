//! `parallax faults --score`: who catches which fault, after how many operations.
//!
//! ```text
//!  fault              its trace            rules  spec  explore  explore --smmu  attack
//!  host_donate_no_tlbi  protocol/released-unclean 4  5  4     212      89              –
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use parallax_abi::fault::Fault;
use parallax_engine::status::{Failure, Status};
use parallax_engine::{live, project};
use parallax_fuzz::explore::Exploration;
use parallax_fuzz::score::{Caught, Means, Score};
use parallax_machine::MachineError;
use parallax_report::text_table;
use parallax_suite::cases::Case;
use parallax_suite::jobs::job_count;
use parallax_trace::Trace;

use super::super::output::{print, print_as_it_is};
use super::super::progress;
use crate::cli::Faults;
use crate::interrupt;

const MISSED: Style = AnsiColor::Red.on_default().bold();
const COLUMNS: usize = 7;

/// A fault, or none, and who catches it.
type Row = (Option<Fault>, Score);

/// Scores the faults that `args` names.
pub(super) fn score(args: &Faults, cases: &[Case]) -> Result<Status> {
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let faults = args.faults.iter().copied().map(Some);
    let mut wanted: Vec<Option<Fault>> = if args.faults.is_empty() {
        Fault::ALL.iter().copied().map(Some).collect()
    } else {
        faults.collect()
    };
    // With no fault nothing may be found.
    wanted.push(None);
    let of = |fault| Exploration::new(&parallax_fuzz::explore::PAGES, 2, fault).map_err(Failure::usage);
    let machines = [of(None)?.machine(), of(Fault::ALL.first().copied())?.machine()];
    let build = || live::build(&root, &machines, &cancel);
    let (bare, watched) = (build()?, live::with_events(build()?, &root)?);
    let attack = (args.seed, args.attack_ops);
    let means = Means { watched: &watched, bare: &bare, attack, cancel: &cancel };
    let rows = scored(&means, &wanted, cases, job_count(args.jobs))?;
    print(&table(&rows))?;
    verdict(&rows)
}

/// The rows, in the order of `wanted`.
fn scored(
    means: &Means<'_>,
    wanted: &[Option<Fault>],
    cases: &[Case],
    jobs: usize,
) -> Result<Vec<Row>, Failure> {
    let bar = progress::bar(wanted.len() as u64, "scoring {wide_bar} {pos}/{len}, {elapsed}");
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, wanted.len()) {
            scope.spawn(|| {
                while let Some(fault) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = means.score(*fault, trace_of(cases, *fault));
                    bar.inc(1);
                    let stop = result.is_err();
                    rows.lock().unwrap_or_else(PoisonError::into_inner).push((*fault, result));
                    if stop {
                        break;
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(fault, _)| wanted.iter().position(|wanted| wanted == fault));
    let rows: Result<Vec<Row>, MachineError> =
        rows.into_iter().map(|(fault, score)| score.map(|score| (fault, score))).collect();
    rows.map_err(Failure::from)
}

fn trace_of(cases: &[Case], fault: Option<Fault>) -> Option<&Trace> {
    cases.iter().map(|case| &case.trace).find(|trace| fault.is_some() && trace.fault == fault)
}

fn table(rows: &[Row]) -> String {
    let after = |caught: Option<&Caught>| {
        caught.map_or_else(|| "-".to_owned(), |caught| caught.operations.to_string())
    };
    let header = ["fault", "its trace", "rules", "spec", "explore", "explore --smmu", "attack"];
    let row = |(fault, score): &Row| -> [String; COLUMNS] {
        let first = score.trace.first();
        let trace =
            first.map_or_else(|| "-".to_owned(), |caught| format!("{} {}", caught.operations, caught.rule));
        [
            fault.map_or("(none)", Fault::name).to_owned(),
            trace,
            score.trace.len().to_string(),
            after(score.spec()),
            after(score.explore.as_ref()),
            after(score.smmu.as_ref()),
            after(score.attack.as_ref()),
        ]
    };
    let rows: Vec<[String; COLUMNS]> = rows.iter().map(row).collect();
    text_table::render(&header.map(str::to_owned), &rows, usize::MAX)
}

fn verdict(rows: &[Row]) -> Result<Status> {
    let faults = || rows.iter().filter_map(|(fault, score)| Some(((*fault)?, score)));
    let count = |caught: &dyn Fn(&Score) -> bool| faults().filter(|(_, score)| caught(score)).count();
    print(&format!(
        "\n{} faults: their traces catch {}, the specification in them {}, explore {}, explore --smmu {}, attack {}\n",
        faults().count(),
        count(&|score| !score.trace.is_empty()),
        count(&|score| score.spec().is_some()),
        count(&|score| score.explore.is_some()),
        count(&|score| score.smmu.is_some()),
        count(&|score| score.attack.is_some()),
    ))?;
    let missed: Vec<&str> =
        faults().filter(|(_, score)| !score.is_caught()).map(|(fault, _)| fault.name()).collect();
    if !missed.is_empty() {
        print_as_it_is(&format!("{MISSED}MISSED{MISSED:#} {}\n", missed.join(", ")))?;
    }
    let alarms: Vec<&Score> = rows
        .iter()
        .filter(|(fault, score)| fault.is_none() && score.is_caught())
        .map(|(_, score)| score)
        .collect();
    for caught in alarms.iter().flat_map(|score| [&score.explore, &score.smmu, &score.attack]).flatten() {
        print_as_it_is(&format!("{MISSED}FALSE ALARM{MISSED:#} {} without a fault\n", caught.rule))?;
    }
    Ok(if missed.is_empty() && alarms.is_empty() { Status::Same } else { Status::Diverged })
}
