//! What `parallax run --export` writes: `events` is judged by `parallax check` as the run was, `casemate` is taken by
//! Casemate, where that is on the PATH.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use parallax_engine::Mode;
use parallax_engine::Reproducer;
use parallax_engine::live;
use parallax_engine::{RunOptions, TraceRun, run_trace};
use parallax_machine::{Backend, CancellationToken};
use parallax_model::Check;
use parallax_protocol::{Checker, Config, Requirements, casemate};
use parallax_suite::cases;

/// A run of `trace` whose events are kept.
fn exported(trace: &str) -> TraceRun {
    let root = &Path::new("../..").canonicalize().expect("the root of the workspace");
    let cases = cases::load(&[root.join("traces").join(trace)]).expect("a trace");
    let trace = &cases[0].trace;
    let hyp = live::build(root, [trace], &CancellationToken::new()).expect("images");
    let hyp = live::with_events(hyp, root).expect("the plugin");
    let mut machine = hyp.boot(&trace.machine).expect("a machine");
    let keep = RunOptions {
        reproducer: Reproducer::new(["run"]),
        recorder: None,
        export: true,
        require: Requirements::default(),
    };
    let run = run_trace(&trace.ops, machine.as_mut(), keep, Mode::Step);
    assert!(run.failure.is_none(), "{:?}", run.failure);
    run
}

/// Rules that are broken in a run of `trace`, and in the file that comes of it.
fn judged_twice(trace: &str) -> [BTreeSet<String>; 2] {
    let run = exported(trace);
    let found = run.findings.iter().filter(|found| found.finding.rule.check() == Check::Protocol);
    let found = found.map(|found| found.finding.rule.name().to_owned()).collect();

    let log = casemate::parse(&run.exported.expect("events").events()).expect("a file that can be read");
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

/// The Casemate that is on the PATH, if there is one.
fn casemate_program() -> Option<&'static str> {
    ["casemate-check", "casemate"].into_iter().find(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    })
}

/// What Casemate makes of `text`: whether it took it, and its last words.
fn judged_by_casemate(program: &str, text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.cm");
    fs::write(&path, text).expect("a file");
    let output = Command::new(program).arg("-q").arg(&path).output().expect("Casemate");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said.trim_end().rsplit('\n').next().unwrap_or_default().to_owned())
}

#[test]
fn casemate_takes_what_is_written_for_it() {
    let program = casemate_program();
    if program.is_none() {
        println!("NOT JUDGED by Casemate: there is no casemate-check on the PATH");
    }
    let bad = [("bad/host_donate_no_tlbi.trace", "! BBM invalid unclean->valid")];
    let good = ["good/four_cpus.trace", "good/concatenated_roots.trace"].map(|trace| (trace, ""));
    for (trace, error) in good.into_iter().chain(bad) {
        let text = exported(trace).exported.expect("events").casemate();
        let log = casemate::parse(&text).expect("a file that can be read");
        let mut checker = Checker::new(Config { cpu_bbm: 2, ..Config::default() });
        log.events.iter().for_each(|event| checker.event(event));
        let found: Vec<_> = checker.findings().iter().map(|finding| finding.rule.name()).collect();
        assert_eq!(found.is_empty(), error.is_empty(), "{trace}: {found:?}");
        assert!(text.lines().all(|line| line.contains(" (src \"") && line.contains(':')), "{trace}");
        if let Some(program) = program {
            let (taken, said) = judged_by_casemate(program, &text);
            assert!(taken == error.is_empty() && said.contains(error), "{trace}: {said}");
        }
    }
}
