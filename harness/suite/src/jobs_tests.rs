//! Runs of traces on fake machines, against goldens in a folder of their own.

use std::path::Path;

use parallax_abi::mailbox::{Request, Response, kind, op};
use parallax_engine::fake::{Answer, Fake, all_ok};
use parallax_engine::order::Requirements;
use parallax_engine::status::Status;
use parallax_engine::{Mode, ReportedFinding, Reproducer};
use parallax_model::Rule;
use parallax_report::report::samples::finding;
use parallax_report::report::status;
use parallax_vmsa::SparseMem;

use parallax_machine::{Backend, CancellationToken, Machine, MachineError};
use parallax_report::golden;
use parallax_trace::spec::MachineSpec;

use super::*;
use crate::cases;

/// Boots fakes that answer like this; or QEMU does not begin.
struct Fakes(Option<Answer>);

impl Backend for Fakes {
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        match self.0 {
            Some(answer) => Ok(Box::new(Fake::new(spec, answer))),
            None => Err(MachineError::NotStarted(Box::new(broken()))),
        }
    }

    fn revision(&self) -> &str {
        "test"
    }
}

fn panicking(request: &Request, memory: &mut SparseMem) -> Result<Response, MachineError> {
    match request.op {
        op::HYPERCALL => Err(MachineError::Panic { report: "at mem_protect.rs:1".to_owned() }),
        _ => all_ok(request, memory),
    }
}

fn refusing(_: &Request, _: &mut SparseMem) -> Result<Response, MachineError> {
    Ok(Response { kind: kind::ABORT, esr: 0x9600_0007, ..Response::default() })
}

/// A project with these traces.
fn project(traces: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in traces {
        let path = root.path().join("traces").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn options(golden: GoldenMode) -> Options {
    Options {
        jobs: 3,
        golden,
        record: None,
        export: None,
        repeat: 1,
        mode: Mode::Step,
        flags: Vec::new(),
        explain: Vec::new(),
        events: true,
        require: Requirements::default(),
        cancel: CancellationToken::new(),
    }
}

fn run_in(root: &Path, backend: &dyn Backend, golden: GoldenMode) -> Vec<TraceReport> {
    let cases = cases::load(&[root.join("traces")]).unwrap();
    let options = options(golden);
    let mut told = Vec::new();
    let reports = run(&cases, backend, &options, |report, _| told.push(report.label.clone()));
    let labels: Vec<String> = reports.iter().map(|report| report.label.clone()).collect();
    assert_eq!(told, labels);
    reports
}

fn words(reports: &[TraceReport]) -> Vec<&'static str> {
    reports.iter().map(|report| report.verdict.word()).collect()
}

/// A fake translates nothing, which no check lets pass: its traces are all bad ones.
const BAD: &str = "fault smmu_no_tlbi\nhost_write ipa=ram+0x8000000 value=0 => ok\nnop\n";

#[test]
fn a_new_result_waits_and_is_the_same_once_accepted() {
    let root = project(&[("bad/a.trace", BAD)]);
    let fakes = Fakes(Some(all_ok));
    let pending = root.path().join("golden/bad/a.snap.new");
    assert_eq!(words(&run_in(root.path(), &fakes, GoldenMode::Compare)), ["new"]);
    assert!(pending.is_file());
    parallax_report::golden::accept(&pending).unwrap();
    let reports = run_in(root.path(), &fakes, GoldenMode::Compare);
    assert_eq!(words(&reports), ["same"]);
    assert_eq!((reports[0].ops, status(&reports)), (2, Status::Same));
}

#[test]
fn another_result_diverges_and_can_be_taken_at_once() {
    let root = project(&[("bad/a.trace", BAD)]);
    run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Accept);
    let reports = run_in(root.path(), &Fakes(Some(refusing)), GoldenMode::Compare);
    let Verdict::Diverged { diff } = &reports[0].verdict else { panic!("{reports:?}") };
    assert!(
        diff.contains("+   ! result/expected cpu ram+0x8000000..+0x8001000: expected ok, got abort [cpu: "),
        "{diff}"
    );
    assert_eq!(status(&reports), Status::Diverged);
    assert_eq!(words(&run_in(root.path(), &Fakes(Some(refusing)), GoldenMode::Accept)), ["accepted"]);
    assert_eq!(words(&run_in(root.path(), &Fakes(Some(refusing)), GoldenMode::Compare)), ["same"]);
    assert!(!root.path().join("golden/bad/a.snap.new").exists());
}

#[test]
fn a_result_that_cannot_be_left_for_a_review_is_told_all_the_same() {
    let root = project(&[("bad/a.trace", BAD)]);
    run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Accept);
    std::fs::create_dir(root.path().join("golden/bad/a.snap.new")).unwrap();
    let reports = run_in(root.path(), &Fakes(Some(refusing)), GoldenMode::Compare);
    assert_eq!((words(&reports), status(&reports)), (vec!["failed"], Status::Diverged));
    let Verdict::Failed { message, .. } = &reports[0].verdict else { panic!("{reports:?}") };
    assert!(
        message.contains("a.snap.new: ") && message.contains(": the result cannot wait for a review: "),
        "{message}"
    );
    assert!(message.contains("+   ! result/expected cpu ram+0x8000000"), "{message}");
    assert!(!message.contains("parallax accept"), "nothing waits that could be taken: {message}");
}

#[test]
fn every_unexpected_result_is_a_finding_of_its_own() {
    let root = project(&[("bad/a.trace", "fault smmu_no_tlbi\nnop => abort\nnop => abort\nnop => ok\n")]);
    let reports = run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Ignore);
    let lines = reports[0].findings.iter().filter(|found| found.finding.rule == Rule::ResultExpected);
    assert_eq!(lines.map(|found| found.line).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn what_is_wrong_with_one_of_a_group_is_told_at_its_line() {
    let text = "fault smmu_no_tlbi\nmachine cpus=2\ntogether 01\nnop => abort\ncpu=1 nop\nend\n\
                together\ncpu=1 nop => abort\nnop => abort\nend\n";
    let root = project(&[("bad/a.trace", text)]);
    let reports = run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Accept);
    let found = reports[0].findings.iter().filter(|found| found.finding.rule == Rule::ResultExpected);
    let found: Vec<(usize, &str)> = found.map(|found| (found.line, found.op.as_str())).collect();
    assert_eq!(found, [(4, "nop"), (8, "cpu=1 nop"), (9, "nop")]);
    let golden = std::fs::read_to_string(root.path().join("golden/bad/a.snap")).unwrap();
    let lines: Vec<&str> =
        golden.lines().filter(|line| line.contains("nop") || line.starts_with("tog")).collect();
    assert_eq!(
        lines,
        [
            "together 01",
            "4: nop -> ok",
            "5: cpu=1 nop -> ok",
            "together",
            "8: cpu=1 nop -> ok",
            "9: nop -> ok"
        ]
    );
    assert_eq!(words(&run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Compare)), ["same"]);
}

#[test]
fn findings_under_good_wait_and_are_the_same_only_once_taken_on_purpose() {
    let root = project(&[("good/a.trace", "nop")]);
    for mode in [GoldenMode::Ignore, GoldenMode::Compare, GoldenMode::Accept] {
        assert_eq!(words(&run_in(root.path(), &Fakes(Some(all_ok)), mode)), ["found"]);
    }
    assert!(!root.path().join("golden/good/a.snap").exists());
    parallax_report::golden::accept(&root.path().join("golden/good/a.snap.new")).unwrap();
    let reports = run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Compare);
    assert_eq!(words(&reports), ["same"]);
    assert!(!reports[0].news().is_empty(), "they are shown all the same");
}

#[test]
fn a_trace_that_checks_nothing_is_an_error() {
    let root = project(&[("good/a.trace", "nop")]);
    let cases = cases::load(&[root.path().join("traces")]).unwrap();
    let run =
        |checked| TraceRun { golden: "1: nop -> ok\n".to_owned(), ops: 1, checked, ..TraceRun::default() };
    let verdict = |checked| judge(&cases[0], &run(checked), &options(GoldenMode::Accept)).unwrap();
    assert_eq!(verdict(false), Verdict::Nothing);
    assert_eq!(verdict(false).status(), Status::Diverged);
    assert_eq!(verdict(true), Verdict::Accepted);
}

#[test]
fn without_events_nothing_is_missed_that_only_events_can_tell() {
    let root = project(&[("bad/a.trace", BAD)]);
    let case = &cases::load(&[root.path().join("traces")]).unwrap()[0];
    let save = |text: &str| golden::save(&case.place, &case.place.golden, text).unwrap();
    let golden = |findings: &str| save(&format!("1: nop -> ok\n{findings}"));
    let run = TraceRun { golden: "1: nop -> ok\n".to_owned(), ops: 1, checked: true, ..TraceRun::default() };
    let verdict = |events| judge(case, &run, &Options { events, ..options(GoldenMode::Compare) }).unwrap();
    golden("   ! protocol/unclean-remake cpu ram: level 3, in f\n");
    assert_eq!([verdict(false), verdict(true)], [Verdict::Same, Verdict::Clean]);
    golden("   ! sentinel/unseen page pool: changed\n");
    assert_eq!([verdict(false), verdict(true)], [Verdict::Same, Verdict::Clean]);
    golden("   ! access/stale cpu ram: x\n");
    assert_eq!(verdict(false), Verdict::Clean);
    save("boot\n   ! protocol/unpublished cpu ram: level 3, in f\n1: nop -> ok\n");
    assert_eq!(verdict(false), Verdict::Same);
}

#[test]
fn a_bad_trace_must_find_something_and_a_good_one_nothing() {
    let root = project(&[("bad/a.trace", BAD), ("good/b.trace", "nop")]);
    let cases = cases::load(&[root.path().join("traces")]).unwrap();
    let run = |findings| TraceRun {
        golden: "1: nop -> ok\n".to_owned(),
        findings,
        ops: 1,
        checked: true,
        ..TraceRun::default()
    };
    let found = || vec![ReportedFinding::new(1, "nop", finding(), &Reproducer::new(["run"]))];
    let options = options(GoldenMode::Compare);
    let verdict = |case: usize, findings| judge(&cases[case], &run(findings), &options).unwrap().word();
    assert_eq!(verdict(0, vec![]), "clean");
    assert_eq!(verdict(0, found()), "new");
    assert_eq!(verdict(1, vec![]), "new");
    assert_eq!(verdict(1, found()), "found");
}

#[test]
fn the_other_traces_go_on_when_one_fails() {
    let root =
        project(&[("bad/a.trace", BAD), ("bad/b.trace", "fault smmu_no_tlbi\nnop\nhost_share_hyp pfn=ram")]);
    let reports = run_in(root.path(), &Fakes(Some(panicking)), GoldenMode::Accept);
    assert_eq!(words(&reports), ["accepted", "failed"]);
    let Verdict::Failed { status, message } = &reports[1].verdict else { panic!("{reports:?}") };
    assert_eq!(*status, Status::Diverged);
    assert!(message.starts_with("3: host_share_hyp pfn=ram: the hypervisor panicked"), "{message}");
    assert!(message.contains("mem_protect.rs:1"), "{message}");
    assert!(reports[1].ops == 1 && !reports[1].findings.is_empty(), "what came before is told all the same");
}

/// What is wrong with a machine.
fn broken() -> MachineError {
    MachineError::Contract("EL2's stage 1: 52-bit addresses".to_owned())
}

/// Machines that run and fail before their first operation.
struct Failing;

impl Backend for Failing {
    fn boot(&self, _: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        Err(MachineError::Boot(Box::new(broken())))
    }

    fn revision(&self) -> &str {
        "test"
    }
}

#[test]
fn a_boot_that_goes_wrong_is_a_failure_of_the_revision() {
    let root = project(&[("good/a.trace", "host_share_hyp pfn=ram => ok\n")]);
    let reports = run_in(root.path(), &Failing, GoldenMode::Accept);
    let Verdict::Failed { status, message } = &reports[0].verdict else { panic!("{reports:?}") };
    assert_eq!(*status, Status::Diverged);
    assert!(message.starts_with("the machine did not boot\nEL2's stage 1: 52-bit"), "{message}");
    assert!(!root.path().join("golden").exists());
}

#[test]
fn what_does_not_boot_is_told_apart_from_what_diverges() {
    let root = project(&[("bad/a.trace", BAD)]);
    let reports = run_in(root.path(), &Fakes(None), GoldenMode::Compare);
    assert_eq!(status(&reports), Status::Setup);
    assert!(!root.path().join("golden").exists());
}

#[test]
fn a_golden_that_cannot_be_read_is_malformed_input() {
    let root = project(&[("bad/a.trace", BAD)]);
    std::fs::create_dir_all(root.path().join("golden/bad")).unwrap();
    std::fs::write(root.path().join("golden/bad/a.snap"), "---\n[oops\n---\n").unwrap();
    assert_eq!(status(&run_in(root.path(), &Fakes(Some(all_ok)), GoldenMode::Compare)), Status::Usage);
}

#[test]
fn nothing_begins_after_a_cancellation() {
    let root = project(&[("bad/a.trace", BAD)]);
    let cases = cases::load(&[root.path().join("traces")]).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let options = Options { cancel, ..options(GoldenMode::Compare) };
    assert!(run(&cases, &Fakes(Some(all_ok)), &options, |_, _| panic!("nothing to tell")).is_empty());
}

#[test]
fn a_failed_trace_leaves_what_was_seen_and_an_ended_one_what_was_there() {
    fn ended(request: &Request, memory: &mut SparseMem) -> Result<Response, MachineError> {
        match request.op {
            op::HYPERCALL => Err(MachineError::Cancelled),
            _ => all_ok(request, memory),
        }
    }
    let root = project(&[("bad/a.trace", "fault smmu_no_tlbi\nnop\nhost_share_hyp pfn=ram+0x8000\n")]);
    let cases = cases::load(&[root.path().join("traces")]).unwrap();
    let path = root.path().join("a.plx");
    let options = Options { record: Some(path.clone()), ..options(GoldenMode::Ignore) };
    let recorded = |answer| {
        let reports = run(&cases, &Fakes(Some(answer)), &options, |_, _| ());
        (words(&reports), std::fs::read(&path).ok())
    };
    std::fs::write(root.path().join("a.plx"), "before").unwrap();
    assert_eq!(recorded(ended), (vec!["failed"], Some(b"before".to_vec())));
    assert_eq!(recorded(panicking).0, ["failed"]);
    let mut replay = parallax_machine::recording::Replay::open(&root.path().join("a.plx")).unwrap();
    assert!(replay.step().unwrap() && !replay.step().unwrap(), "the boot and `nop`");
}
