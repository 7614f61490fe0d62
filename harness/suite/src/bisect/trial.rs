//! What a trace makes of one revision.

use parallax_engine::Mode;
use parallax_engine::Reproducer;
use parallax_engine::order::Requirements;
use parallax_engine::status::{Failure, Status};
use parallax_engine::{ReportedFinding, RunOptions, TraceRun, run_trace};
use parallax_machine::Backend;
use parallax_model::GoldenLine;
use parallax_report::text_diff;

use super::criterion::Criterion;
use super::search::Verdict;
use crate::cases::Case;

/// A trace on one revision.
#[derive(Debug)]
pub struct Trial {
    /// What it means for the search.
    pub verdict: Verdict,
    /// The run, as far as it got.
    pub run: TraceRun,
}

/// Runs `case` on a machine that `backend` boots and that is driven in `mode`, as `reproducer` would; `golden` is what must come out, if
/// that counts `by` this criterion.
///
/// # Errors
/// The user cancelled.
pub fn run(
    backend: &dyn Backend,
    case: &Case,
    (by, mode): (Criterion, Mode),
    golden: Option<&str>,
    reproducer: Reproducer,
) -> Result<Trial, Failure> {
    let mut machine = match backend.boot(&case.trace.machine).map_err(Failure::from) {
        Ok(machine) => machine,
        Err(failure) if failure.status == Status::Interrupted => return Err(failure),
        Err(failure) => return Ok(not_booted(failure)),
    };
    let keep = RunOptions { reproducer, recorder: None, export: false, require: Requirements::default() };
    let run = run_trace(&case.trace.ops, machine.as_mut(), keep, mode);
    if let Some(failure) = run.failure.as_ref().filter(|failure| failure.status == Status::Interrupted) {
        return Err(Failure { status: failure.status, message: failure.message.clone() });
    }
    Ok(Trial { verdict: judge(case.is_bad(), &run, by, golden), run })
}

/// A revision without a machine: bad if the machine ran and its hypervisor set up something wrong, and no evidence if it
/// was not run at all.
fn not_booted(failure: Failure) -> Trial {
    if failure.status == Status::Diverged {
        return Trial {
            verdict: Verdict::Bad,
            run: TraceRun { failure: Some(failure), ..TraceRun::default() },
        };
    }
    Trial { verdict: Verdict::Skip(failure.in_short()), run: TraceRun::default() }
}

fn judge(bad_trace: bool, run: &TraceRun, by: Criterion, golden: Option<&str>) -> Verdict {
    if let Some(failure) = &run.failure {
        return match failure.status {
            Status::Diverged => Verdict::Bad,
            _ => Verdict::Skip(failure.message.lines().next().unwrap_or_default().to_owned()),
        };
    }
    let same = match (by, golden) {
        (Criterion::Findings, _) | (_, None) => run.findings.is_empty() != bad_trace,
        (Criterion::Golden | Criterion::Range, Some(golden)) => {
            text_diff::same(golden.trim_matches('\n'), run.golden.trim_matches('\n'))
        }
    };
    if same { Verdict::Good } else { Verdict::Bad }
}

/// What `bad` has found and `good` has not.
pub fn fresh<'b>(good: &TraceRun, bad: &'b TraceRun) -> impl Iterator<Item = &'b ReportedFinding> {
    bad.findings.iter().filter(|found| !good.findings.iter().any(|known| known.is_same(found)))
}

/// Line and text of the first operation after which `bad` is not as `good`: the first new finding's, or else the
/// first whose part of the golden differs.
#[must_use]
pub fn first_operation(good: &TraceRun, bad: &TraceRun) -> Option<(usize, String)> {
    // One of them failed before its first operation.
    if good.golden.is_empty() || bad.golden.is_empty() && bad.findings.is_empty() {
        return None;
    }
    if let Some(new) = fresh(good, bad).next() {
        return Some((new.line, new.op.clone()));
    }
    // Lines of an operation are those up to the next header: the operation before the first difference in either.
    let mut operation = None;
    let (mut agreed, mut now) = (good.golden.lines(), bad.golden.lines());
    loop {
        match (agreed.next(), now.next()) {
            (None, None) => return None,
            (Some(old), Some(new)) if GoldenLine::compared(old) == GoldenLine::compared(new) => {
                operation = header(new).or(operation);
            }
            (old, new) => {
                let (old, new) = (old.map(header), new.map(header));
                // Two headers: the operation itself came out otherwise. One: the operation before lost or gained a line.
                return match (old, new) {
                    (Some(Some(old)), Some(Some(new))) => Some(if old.0 <= new.0 { old } else { new }),
                    (Some(Some(header)), None) | (None, Some(Some(header))) => Some(header),
                    _ => operation,
                };
            }
        }
    }
}

/// `4: host_donate_hyp pfn=ram+0x20 -> ok`: its number and what was asked for.
fn header(line: &str) -> Option<(usize, String)> {
    let (number, text) = line.split_once(": ")?;
    let text = text.rsplit_once(" -> ").map_or(text, |(operation, _)| operation);
    Some((number.parse().ok()?, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use parallax_machine::MachineError;
    use parallax_model::{Rule, Space, Span, Views, Violation};

    use super::*;

    fn came_out(golden: &str) -> TraceRun {
        TraceRun { golden: golden.to_owned(), checked: true, ..TraceRun::default() }
    }

    #[test]
    fn the_first_operation_that_differs_is_named() {
        let good = came_out("2: nop -> ok\n4: host_write a -> ok\n   cpu  x\n5: nop -> ok\n");
        for (bad, line) in [
            ("2: nop -> ok\n4: host_write a -> ok\n   cpu  y\n5: nop -> ok\n", 4),
            ("2: nop -> ok\n4: host_write a -> abort\n   cpu  x\n5: nop -> ok\n", 4),
            ("2: nop -> ok\n4: host_write a -> ok\n   cpu  x\n5: nop -> EPERM\n", 5),
            ("2: nop -> ok\n4: host_write a -> ok\n   cpu  x\n", 5),
            ("2: nop -> ok\n4: host_write a -> ok\n5: nop -> ok\n", 4),
        ] {
            assert_eq!(first_operation(&good, &came_out(bad)).unwrap().0, line, "{bad}");
        }
    }

    #[test]
    fn a_finding_whose_neighbour_changed_is_not_new() {
        let found = |smmu: &str, revision: &str| {
            let violation = Violation {
                rule: Rule::SyncExtra,
                space: Space::Smmu,
                span: Span::new(0x1000, 0x1000),
                subject: "ram".to_owned(),
                message: "devices reach it".to_owned(),
                function: None,
            };
            let finding = violation.with_views(None, Views::new("RWX", smmu));
            let reproducer = Reproducer::new(["run", "--rev", revision, "x.trace"]);
            let golden = format!("4: nop -> ok\n   ! {finding}\n");
            let findings = vec![ReportedFinding::new(4, "nop", finding, &reproducer)];
            TraceRun { findings, ..came_out(&golden) }
        };
        let (good, bad) = (found("RW", "a"), found("R-", "b"));
        assert_eq!(first_operation(&good, &bad), None);
        assert_eq!(judge(true, &bad, Criterion::Golden, Some(&good.golden)), Verdict::Good);
        let more = TraceRun { findings: Vec::new(), ..came_out("4: nop -> ok\n") };
        assert_eq!(first_operation(&more, &bad), Some((4, "nop".to_owned())));
    }

    #[test]
    fn a_golden_counts_only_where_it_is_asked_for() {
        let run = came_out("2: nop -> ok\n");
        let other = Some("2: nop -> EPERM");
        assert_eq!(judge(false, &run, Criterion::Findings, other), Verdict::Good);
        assert_eq!(judge(false, &run, Criterion::Golden, other), Verdict::Bad);
        assert_eq!(judge(false, &run, Criterion::Range, Some("2: nop -> ok")), Verdict::Good);
        assert_eq!(judge(false, &run, Criterion::Range, None), Verdict::Good);
        assert_eq!(judge(true, &run, Criterion::Findings, None), Verdict::Bad, "nothing found of a fault");
    }

    #[test]
    fn a_boot_that_goes_wrong_is_bad_and_one_that_did_not_begin_is_skipped() {
        let trial = |cause| not_booted(Failure::from(cause));
        let contract = || Box::new(MachineError::Contract("EL2's stage 1: 52-bit addresses".to_owned()));
        let bad = trial(MachineError::Boot(contract()));
        assert_eq!(bad.verdict, Verdict::Bad);
        assert!(bad.run.failure.as_ref().unwrap().message.contains("52-bit"), "{bad:?}");
        assert_eq!(first_operation(&came_out("2: nop -> ok\n"), &bad.run), None);
        let skipped = trial(MachineError::NotStarted(contract()));
        assert!(matches!(&skipped.verdict, Verdict::Skip(why) if why.contains("52-bit")), "{skipped:?}");
    }

    #[test]
    fn a_panic_is_bad_and_what_cannot_run_is_skipped() {
        let ended = |status| TraceRun {
            failure: Some(Failure { status, message: "why\nmore".to_owned() }),
            ..TraceRun::default()
        };
        assert_eq!(judge(false, &ended(Status::Diverged), Criterion::Findings, None), Verdict::Bad);
        let skipped = judge(false, &ended(Status::Setup), Criterion::Golden, Some(""));
        assert_eq!(skipped, Verdict::Skip("why".to_owned()));
    }
}
