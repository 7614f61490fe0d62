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

use std::fs::File;
use std::io::Read;

use anyhow::Result;
use parallax_engine::Reproducer;
use parallax_engine::status::{Failure, Status};
use parallax_protocol::{Config, casemate};
use parallax_report::event_order;

use super::output::print;
use crate::cli::Check;

/// Bytes that a file may have.
const MAX_SIZE: u64 = 4 << 30;

/// Runs it.
pub(super) fn check(args: &Check) -> Result<Status> {
    let path = args.file.display();
    let text = read(args)?;
    let log = casemate::parse(&text).map_err(|error| Failure::usage(format!("{path}:{error}")))?;
    drop(text);
    if log.events.is_empty() {
        return Err(Failure::usage(format!("{path}: there is no event in it: nothing can be judged")).into());
    }
    let config = Config { cpu_bbm: args.cpu_bbm, smmu_bbm: args.smmu_bbm, ..Config::default() };
    let judged = event_order::judge(&log, config, &reproducer(args));
    print(&judged.text)?;
    Ok(if judged.good { Status::Same } else { Status::Diverged })
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
fn reproducer(args: &Check) -> Reproducer {
    let mut words = vec!["check".to_owned(), args.file.to_string_lossy().into_owned()];
    for (name, level) in [("--cpu-bbm", args.cpu_bbm), ("--smmu-bbm", args.smmu_bbm)] {
        if level != 0 {
            words.extend([name.to_owned(), level.to_string()]);
        }
    }
    Reproducer::new(words)
}
