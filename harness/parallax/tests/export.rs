//! What `parallax run --export casemate` writes is judged by `parallax check` as the run was.

use std::collections::BTreeSet;
use std::path::Path;

use parallax_engine::Mode;
use parallax_engine::Reproducer;
use parallax_engine::live;
use parallax_engine::{RunOptions, run_trace};
use parallax_machine::{Backend, CancellationToken};
use parallax_model::Check;
use parallax_protocol::{Checker, Config, casemate};
use parallax_suite::cases;

/// Rules that are broken in a run of `trace`, and in the file that comes of it.
fn judged_twice(trace: &str) -> [BTreeSet<String>; 2] {
    let root = &Path::new("../..").canonicalize().expect("the root of the workspace");
    let cases = cases::load(&[root.join("traces").join(trace)]).expect("a trace");
    let trace = &cases[0].trace;
    let hyp = live::build(root, [trace], &CancellationToken::new()).expect("images");
    let hyp = live::with_events(hyp, root).expect("the plugin");
    let mut machine = hyp.boot(&trace.machine).expect("a machine");
    let keep = RunOptions { reproducer: Reproducer::new(["run"]), recorder: None, export: true };
    let run = run_trace(&trace.ops, machine.as_mut(), keep, Mode::Step);
    assert!(run.failure.is_none(), "{:?}", run.failure);
    let found = run.findings.iter().filter(|found| found.finding.rule.check() == Check::Protocol);
    let found = found.map(|found| found.finding.rule.name().to_owned()).collect();

    let log = casemate::parse(&run.exported.expect("events")).expect("a file that can be read");
    let mut checker = Checker::new(Config::default());
    log.events.iter().for_each(|event| checker.event(event));
    assert!(log.events.len() > 10_000 && checker.lost() == 0, "{} events", log.events.len());
    let sources = checker.findings().iter().map(|finding| log.source(finding.at.pc));
    assert!(sources.flatten().all(|source| source.contains(" hyp/core/src/")), "functions and lines");
    [found, checker.findings().iter().map(|finding| finding.rule.name().to_owned()).collect()]
}

#[test]
fn a_good_trace_is_good_in_its_file() {
    for trace in ["good/four_cpus.trace", "good/viommu_two_cpus.trace"] {
        assert_eq!(judged_twice(trace), [BTreeSet::new(), BTreeSet::new()], "{trace}");
    }
}

#[test]
fn a_bad_trace_breaks_the_same_rules_in_its_file() {
    for trace in ["bad/smmu_no_tlbi.trace", "bad/viommu_missing_cfgi.trace"] {
        let [run, file] = judged_twice(trace);
        assert!(!run.is_empty() && run == file, "{trace}: {run:?}, {file:?}");
    }
}
