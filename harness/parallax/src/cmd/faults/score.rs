//! `parallax faults --score`: who catches which fault, after how many operations.
//!
//! ```text
//!  fault                its trace                    rules  spec  explore  explore --smmu  attack  fuzz
//!  host_donate_no_tlbi  2 protocol/unclean-remake    5      3     47       47              -       20
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use parallax_abi::fault::Fault;
use parallax_engine::status::{Failure, Status};
use parallax_engine::{live, project};
use parallax_fuzz::explore::Exploration;
use parallax_fuzz::fuzz::{USUAL_OPS, reason};
use parallax_fuzz::score::{Caught, Means, Score};
use parallax_report::text_table;
use parallax_suite::cases::Case;
use parallax_suite::jobs::job_count;
use parallax_trace::Trace;

use super::super::output::{print, print_as_it_is};
use super::super::progress;
use crate::cli::Faults;
use crate::interrupt;

const MISSED: Style = AnsiColor::Red.on_default().bold();
const COLUMNS: usize = 8;

/// A fault, or none, and who catches it, if the user did not end that.
type Row = (Option<Fault>, Option<Score>);

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
    tell_without_trace(args, cases);
    let of = |fault| Exploration::new(&parallax_fuzz::explore::PAGES, 2, fault).map_err(Failure::usage);
    let machines = [of(None)?.machine(), of(Fault::ALL.first().copied())?.machine()];
    let build = || live::build(&root, &machines, &cancel);
    let means = Means {
        watched: &live::with_events(build()?, &root)?,
        covered: &live::with_events_and_coverage(build()?, &root)?,
        bare: &build()?,
        seed: args.seed,
        attack_ops: args.attack_ops,
        fuzz_ops: args.fuzz_ops,
        cancel: &cancel,
    };
    let rows = scored(&wanted, job_count(args.jobs), &|fault| means.score(fault, trace_of(cases, fault)))?;
    print(&table(&rows, &means))?;
    verdict(&rows, args.fuzz_ops)
}

/// Says which of the faults that `args` names no trace has: the columns of its trace are empty for that reason alone.
fn tell_without_trace(args: &Faults, cases: &[Case]) {
    for fault in args.faults.iter().filter(|fault| trace_of(cases, Some(**fault)).is_none()) {
        parallax_engine::note!("{}: none of the traces has this fault: its trace is not tried", fault.name());
    }
}

/// The rows, in the order of `wanted`, each as `score` has it. Those that the user ended or that did not begin by then are without.
fn scored(
    wanted: &[Option<Fault>],
    jobs: usize,
    score: &(dyn Fn(Option<Fault>) -> Result<Score, Failure> + Sync),
) -> Result<Vec<Row>, Failure> {
    let bar = progress::bar(wanted.len() as u64, "scoring {wide_bar} {pos}/{len}, {elapsed}");
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, wanted.len()) {
            scope.spawn(|| {
                while let Some(fault) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = score(*fault);
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
    let mut scores = Vec::new();
    for (fault, result) in rows.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Err(error) if error.status == Status::Interrupted => (),
            result => scores.push((fault, result?)),
        }
    }
    let score = |fault: &Option<Fault>| scores.iter().find(|(scored, _)| scored == fault);
    Ok(wanted.iter().map(|fault| (*fault, score(fault).map(|(_, score)| score.clone()))).collect())
}

fn trace_of(cases: &[Case], fault: Option<Fault>) -> Option<&Trace> {
    cases.iter().map(|case| &case.trace).find(|trace| fault.is_some() && trace.fault == fault)
}

fn table(rows: &[Row], means: &Means<'_>) -> String {
    let after = |caught: Option<&Caught>| {
        caught.map_or_else(|| "-".to_owned(), |caught| caught.operations.to_string())
    };
    let tried = |operations, after| if operations == 0 { "not tried".to_owned() } else { after };
    let header = ["fault", "its trace", "rules", "spec", "explore", "explore --smmu", "attack", "fuzz"];
    let row = |(fault, score): &Row| -> [String; COLUMNS] {
        let name = fault.map_or("(none)", Fault::name).to_owned();
        let Some(score) = score else {
            return std::array::from_fn(
                |column| {
                    if column == 0 { name.clone() } else { "not tried".to_owned() }
                },
            );
        };
        let first = score.trace.first();
        let trace =
            first.map_or_else(|| "-".to_owned(), |caught| format!("{} {}", caught.operations, caught.rule));
        [
            name,
            trace,
            score.trace.len().to_string(),
            after(score.spec()),
            after(score.explore.as_ref()),
            after(score.smmu.as_ref()),
            tried(means.attack_ops, after(score.attack.as_ref())),
            tried(means.fuzz_ops, after(score.fuzz.as_ref())),
        ]
    };
    let rows: Vec<[String; COLUMNS]> = rows.iter().map(row).collect();
    text_table::render(&header.map(str::to_owned), &rows, usize::MAX)
}

/// What is wrong with `rows`, of which the fuzzer had `fuzz_ops` operations each.
fn verdict(rows: &[Row], fuzz_ops: u64) -> Result<Status> {
    let faults = || rows.iter().filter_map(|(fault, score)| Some(((*fault)?, score.as_ref()?)));
    let count = |caught: &dyn Fn(&Score) -> bool| faults().filter(|(_, score)| caught(score)).count();
    print(&format!(
        "\n{} {}: their traces catch {}, the specification in them {}, explore {}, explore --smmu {}, attack {}, fuzz {}\n",
        faults().count(),
        if faults().count() == 1 { "fault" } else { "faults" },
        count(&|score| !score.trace.is_empty()),
        count(&|score| score.spec().is_some()),
        count(&|score| score.explore.is_some()),
        count(&|score| score.smmu.is_some()),
        count(&|score| score.attack.is_some()),
        count(&|score| score.fuzz.is_some()),
    ))?;
    let mut wrong = Vec::new();
    let mut beyond = Vec::new();
    for (fault, score) in faults() {
        let name = fault.name();
        if !score.is_caught() {
            wrong.push(("MISSED", format!("{name}: nothing finds it; it takes a trace that does")));
        }
        match (&score.fuzz, reason(fault)) {
            (None, Some(reason)) => beyond.push([name.to_owned(), reason.to_owned()]),
            (None, None) if fuzz_ops >= USUAL_OPS => {
                let what = format!("{name}: `parallax fuzz` must find it, or {LIST} say why it cannot");
                wrong.push(("UNEXPLAINED", what));
            }
            (Some(Caught { rule, operations }), Some(_)) => {
                let what = format!(
                    "{name}: `parallax fuzz` finds it ({rule}, {operations} operations); take it off {LIST}"
                );
                wrong.push(("STALE", what));
            }
            _ => {}
        }
    }
    if fuzz_ops > 0 && !beyond.is_empty() {
        let header = ["not by fuzz", "because"].map(str::to_owned);
        print(&format!("\n{}\n", text_table::render(&header, &beyond, usize::MAX)))?;
    }
    for (_, score) in rows.iter().filter(|(fault, _)| fault.is_none()) {
        let alarms = score
            .iter()
            .flat_map(Score::searched)
            .map(|caught| ("FALSE ALARM", format!("{} without a fault", caught.rule)));
        wrong.extend(alarms);
    }
    for (what, text) in &wrong {
        print_as_it_is(&format!("{MISSED}{what}{MISSED:#} {text}\n"))?;
    }
    let finished = rows.iter().filter(|(_, score)| score.is_some()).count();
    if finished < rows.len() {
        print(&interrupted(finished, rows.len()))?;
        return Ok(Status::Interrupted);
    }
    Ok(if wrong.is_empty() { Status::Same } else { Status::Diverged })
}

/// What is said where the user ended it: so many of all rows are `finished`, of which one is that without a fault.
fn interrupted(finished: usize, all: usize) -> String {
    let are = if finished == 1 { "is" } else { "are" };
    let remedy =
        if all > 2 { "`--score --fault NAME` tries one fault alone" } else { "the same command begins anew" };
    format!("interrupted: {finished} of {all} rows {are} finished; {remedy}\n")
}

/// Where the faults are that `parallax fuzz` does not find.
const LIST: &str = "harness/fuzz/src/fuzz/beyond.rs";

#[cfg(test)]
mod tests {
    use parallax_fuzz::fuzz::BEYOND;

    use super::*;

    fn row(fault: Option<Fault>, fuzz: Option<u64>, traced: bool) -> Row {
        let caught = |operations| Caught { rule: "sync/extra".to_owned(), operations };
        let trace = if traced { vec![caught(1)] } else { Vec::new() };
        (fault, Some(Score { trace, fuzz: fuzz.map(caught), ..Score::default() }))
    }

    #[test]
    fn a_fault_is_found_or_excused_and_nothing_is_found_without_one() {
        let (listed, _) = BEYOND[0];
        let plain = Fault::SmmuNoTlbi;
        let same = |rows: &[Row], ops| verdict(rows, ops).unwrap() == Status::Same;
        // Listed, and not found; found, and not listed; too few operations to say that it is not found.
        assert!(same(&[row(Some(listed), None, true), row(Some(plain), Some(1), true)], USUAL_OPS));
        assert!(same(&[row(Some(plain), None, true), row(None, None, false)], USUAL_OPS - 1));
        // Neither; both; by nothing; without a fault.
        assert!(!same(&[row(Some(plain), None, true)], USUAL_OPS));
        assert!(!same(&[row(Some(listed), Some(1), true)], 1));
        assert!(!same(&[row(Some(listed), None, false)], USUAL_OPS));
        assert!(!same(&[row(None, Some(1), false)], 1));
    }

    #[test]
    fn who_tried_one_fault_alone_is_not_told_to() {
        let one = interrupted(1, 2);
        assert_eq!(one, "interrupted: 1 of 2 rows is finished; the same command begins anew\n");
        assert!(
            interrupted(0, 3)
                .ends_with("0 of 3 rows are finished; `--score --fault NAME` tries one fault alone\n")
        );
    }

    #[test]
    fn what_was_scored_until_an_interruption_is_told() {
        let wanted = [Some(Fault::SmmuNoTlbi), Some(Fault::SmmuTlbiWrongVmid), None];
        let ended = |fault| match fault {
            Some(Fault::SmmuNoTlbi) => Ok(Score::default()),
            _ => Err(parallax_machine::MachineError::Cancelled.into()),
        };
        for jobs in [1, 2] {
            let rows = scored(&wanted, jobs, &ended).unwrap();
            let finished: Vec<bool> = rows.iter().map(|(_, score)| score.is_some()).collect();
            assert_eq!(finished, [true, false, false]);
            assert_eq!(verdict(&rows, 0).unwrap(), Status::Interrupted);
        }
    }
}
