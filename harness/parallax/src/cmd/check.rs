//! `parallax check`: whether the order of events in a Casemate file is right.
//!
//! ```text
//! event 12 cpu 0 at hyp:12: unclean-remake: CPU stage 2, VMID 0, L3 entry 0x13000 in table 0x13000 for 0x0
//!   made valid while its old value (cleared at event 7) may be cached
//!   missing: TLBI IPAS2E1IS of it, DSB ISH, TLBI VMALLE1IS, DSB ISH (or TLBI VMALLS12E1IS, DSB ISH)
//!   since: event 7 cpu 0 at hyp:7
//! ! 1 finding in 14 events
//! ```

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use anyhow::Result;
use parallax_protocol::casemate::{self, Log};
use parallax_protocol::{Checker, Config, Finding, Site};

use super::print;
use crate::cli::Check;
use crate::status::{Failure, Status};

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
    for event in &log.events {
        checker.event(event);
    }
    let mut out = String::new();
    for finding in checker.findings() {
        tell(&mut out, finding, &log);
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

fn tell(out: &mut String, finding: &Finding, log: &Log) {
    let at = site(finding.at, log);
    let _ = writeln!(out, "{at}: {}: {}", finding.rule.name(), finding.subject);
    let _ = writeln!(out, "  {}", finding.what);
    if !finding.missing.is_empty() {
        let _ = writeln!(out, "  missing: {}", finding.missing);
    }
    if let Some(since) = finding.since {
        let _ = writeln!(out, "  since: {}", site(since, log));
    }
    if finding.count > 1 {
        let _ = writeln!(out, "  {} times at this place", finding.count);
    }
}

fn site(site: Site, log: &Log) -> String {
    let place = format!("event {} cpu {}", site.seq, site.cpu);
    match log.source(site.pc) {
        // The file's author is not to send commands to the terminal.
        Some(source) => format!("{place} at {}", source.escape_debug()),
        None => place,
    }
}
