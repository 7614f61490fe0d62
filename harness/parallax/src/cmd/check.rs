//! `parallax check`: whether the order of events in a Casemate file is right.
//!
//! ```text
//! event 12 cpu 0 at hyp:12: unclean-remake: CPU stage 2, VMID 0, L3 entry 0x13000 in table 0x13000 for 0x0
//!   made valid while its old value (cleared at event 7) may be cached
//!   operation: the file names none
//!   page 0x0..0x1000
//!   cpu: L3 maps it, entry 0x400057ff
//!   smmu: not known: no event tells of such a table
//!   missing: TLBI IPAS2E1IS of it, DSB ISH, TLBI VMALLE1IS, DSB ISH (or TLBI VMALLS12E1IS, DSB ISH)
//!   since: event 7 cpu 0 at hyp:7
//!   again: parallax check events.cm
//! ! 1 finding in 14 events
//! ```

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use anyhow::Result;
use parallax_engine::ReportedFinding;
use parallax_engine::Reproducer;
use parallax_engine::status::{Failure, Status};
use parallax_model::{Rule, Space, Span, Views, Violation};
use parallax_protocol::casemate::{self, Log};
use parallax_protocol::{Checker, Config, Finding, Kind, Regime, Side, Site, Subject};

use super::print;
use crate::cli::Check;

/// Bytes that a file may have.
const MAX_SIZE: u64 = 4 << 30;

/// Runs it.
pub(super) fn check(args: &Check) -> Result<Status> {
    let path = args.file.display();
    let text = read(args)?;
    let log = casemate::parse(&text).map_err(|error| Failure::usage(format!("{path}:{error}")))?;
    drop(text);
    let config = Config { cpu_bbm: args.cpu_bbm, smmu_bbm: args.smmu_bbm, ..Config::default() };
    let mut checker = Checker::new(config);
    let again = again(args);
    let (mut line, mut found) = (None, Vec::new());
    for event in &log.events {
        if let Kind::Op { number } = event.kind {
            line = Some(number);
        }
        checker.event(event);
        // What both sides are is known at this event only.
        for finding in &checker.findings()[found.len()..] {
            found.push(seen(finding, line, &checker, &again));
        }
    }
    let mut out = String::new();
    for (finding, found) in checker.findings().iter().zip(&found) {
        tell(&mut out, finding, found, &log);
    }
    let findings = checker.findings().len();
    // Writing to a string cannot fail.
    let _ = match findings {
        0 => writeln!(out, "ok: nothing found in {} events", checker.events()),
        1 => writeln!(out, "! 1 finding in {} events", checker.events()),
        _ => writeln!(out, "! {findings} findings in {} events", checker.events()),
    };
    let lost = checker.lost();
    if lost > 0 {
        let _ = writeln!(out, "! not judged in full: {lost} stores to more memory than is followed");
    }
    print(&out)?;
    Ok(if findings == 0 && lost == 0 { Status::Same } else { Status::Diverged })
}

fn read(args: &Check) -> Result<String, Failure> {
    let path = args.file.display();
    let fail = |error: std::io::Error| Failure::usage(format!("{path}: {error}"));
    let mut bytes = Vec::new();
    let file = File::open(&args.file).map_err(fail)?;
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Failure::usage(format!("{path}: larger than {MAX_SIZE} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let before = String::from_utf8_lossy(before);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Failure::usage(format!("{path}:{line}:{column}: not UTF-8"))
    })
}

/// The command that judges the file again.
fn again(args: &Check) -> Reproducer {
    let mut words = vec!["check".to_owned(), args.file.to_string_lossy().into_owned()];
    for (name, level) in [("--cpu-bbm", args.cpu_bbm), ("--smmu-bbm", args.smmu_bbm)] {
        if level != 0 {
            words.extend([name.to_owned(), level.to_string()]);
        }
    }
    Reproducer::new(words)
}

/// What `checker` has just found during the operation in line `line`, with what both sides' tables are by now.
fn seen(finding: &Finding, line: Option<u64>, checker: &Checker, again: &Reproducer) -> ReportedFinding {
    const PAGE: u64 = 0x1000;
    let (space, span) = match finding.subject {
        Subject::Entry { regime: Regime::Cpu(_), level, ia, .. } => (Space::Cpu, Span::new(ia, size(level))),
        Subject::Entry { regime: Regime::Smmu(_), level, ia, .. } => {
            (Space::Smmu, Span::new(ia, size(level)))
        }
        Subject::Entry { regime: Regime::El2, level, ia, .. } => (Space::El2, Span::new(ia, size(level))),
        Subject::Page { pa } | Subject::Foreign { pa } => (Space::Page, Span::new(pa & !(PAGE - 1), PAGE)),
        Subject::Stream(sid) | Subject::Context { sid, .. } => (Space::Ste, Span::new(sid.into(), 1)),
        Subject::Command(_) => (Space::Regs, Span::default()),
    };
    let violation = Violation {
        rule: Rule::Protocol(finding.rule),
        space,
        span,
        subject: finding.subject.to_string(),
        message: finding.what.clone(),
        function: None,
    };
    let page = matches!(space, Space::Cpu | Space::Smmu | Space::Page).then_some(span);
    let views = match page {
        Some(page) => [Side::Cpu, Side::Smmu].map(|side| checker.look(side, page.base)),
        None => ["not known: events tell of tables, not of registers".to_owned(), String::new()],
    };
    let op =
        line.map_or_else(|| "the file names none".to_owned(), |line| format!("line {line} of the trace"));
    let line = line.and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
    ReportedFinding::new(line, &op, violation.with_views(page, Views::new(&views[0], &views[1])), again)
}

/// Bytes that an entry of level `level` covers.
fn size(level: u8) -> u64 {
    0x1000 << (9 * (3 - u32::from(level.min(3))))
}

fn tell(out: &mut String, finding: &Finding, found: &ReportedFinding, log: &Log) {
    let at = site(finding.at, log);
    let _ = writeln!(out, "{at}: {}: {}", finding.rule.name(), finding.subject);
    let _ = writeln!(out, "  {}", finding.what);
    let _ = writeln!(out, "  operation: {}\n  {}", found.op, found.finding.about());
    for (side, view) in found.finding.views().iter() {
        let _ = writeln!(out, "  {}: {view}", side.name());
    }
    if !finding.missing.is_empty() {
        let _ = writeln!(out, "  missing: {}", finding.missing);
    }
    if let Some(since) = finding.since {
        let _ = writeln!(out, "  since: {}", site(since, log));
    }
    if finding.count > 1 {
        let _ = writeln!(out, "  {} times at this place", finding.count);
    }
    let _ = writeln!(out, "  again: {}", found.reproduce());
}

fn site(site: Site, log: &Log) -> String {
    let place = format!("event {} cpu {}", site.seq, site.cpu);
    match log.source(site.pc) {
        // The file's author is not to send commands to the terminal.
        Some(source) => format!("{place} at {}", source.escape_debug()),
        None => place,
    }
}
