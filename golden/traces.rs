//! Every trace gives what its golden says, and every switchable fault is found.
//!
//! This is `parallax run traces` as a test. It stands here because `cargo insta` looks for results that wait for a
//! review (`*.snap.new`) in the folders that hold tests: `cargo insta test --review --test traces` runs everything and
//! asks about each difference.

use std::path::Path;
use std::thread::available_parallelism;

use parallax_engine::Mode;
use parallax_engine::live;
use parallax_engine::status::Status;
use parallax_machine::CancellationToken;
use parallax_report::golden;
use parallax_report::report::{self, Verdict};
use parallax_suite::cases;
use parallax_suite::jobs::{self, GoldenMode, Options};

#[test]
fn every_trace_is_as_agreed() {
    all_as_agreed(Mode::Step);
}

#[test]
fn every_trace_is_the_same_without_a_stop_after_each_operation() {
    all_as_agreed(Mode::Stream);
}

#[test]
fn no_golden_of_a_good_trace_holds_a_finding_and_none_is_without_its_trace() {
    let root = &Path::new("../..").canonicalize().expect("the root of the workspace");
    let cases = cases::load(&[root.join("traces")]).expect("well-formed traces");
    let good = cases.iter().filter(|case| !case.is_bad());
    let with_findings: Vec<&str> = good
        .filter(|case| golden::findings_in(&case.place.golden).expect("a golden") > 0)
        .map(|case| case.place.label.as_str())
        .collect();
    assert_eq!(with_findings, Vec::<&str>::new());
    let orphans = golden::orphans(&[root.join("traces")]).expect("folders of goldens");
    assert_eq!(orphans, Vec::<std::path::PathBuf>::new());
}

fn all_as_agreed(mode: Mode) {
    let root = &Path::new("../..").canonicalize().expect("the root of the workspace");
    let cases = cases::load(&[root.join("traces")]).expect("well-formed traces");
    // `cargo insta test` wants to review differences, not to hear that there are some.
    let review = std::env::var_os("INSTA_FORCE_PASS").is_some_and(|value| value == "1");
    let cancel = CancellationToken::new();
    let hyp = live::build(root, cases.iter().map(|case| &case.trace), &cancel).expect("images");
    let hyp = live::with_events(hyp, root).expect("the plugin");
    let jobs = available_parallelism().map_or(1, usize::from);
    let options = Options {
        flags: Vec::new(),
        explain: Vec::new(),
        jobs,
        golden: GoldenMode::Compare,
        record: None,
        export: None,
        repeat: 1,
        mode,
        events: true,
        require: parallax_protocol::Requirements::default(),
        cancel,
    };
    let mut reports = jobs::run(&cases, &hyp, &options, |_, _| ());
    assert_eq!(reports.len(), cases.len());
    if review {
        reports.retain(|report| !matches!(report.verdict, Verdict::New | Verdict::Diverged { .. }));
    }
    assert!(
        report::status(&reports) == Status::Same,
        "{}",
        report::markdown(&reports, &report::Beside::default())
    );
}
