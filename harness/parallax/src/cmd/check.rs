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
use std::io::{self, Read};

use anyhow::Result;
use parallax_engine::Reproducer;
use parallax_engine::status::{Failure, Status};
use parallax_protocol::Config;
use parallax_protocol::casemate::{self, ReadError};
use parallax_report::event_order::Judge;

use super::output::{print, value_name};
use crate::cli::Check;
use crate::cli::require::requirements;

/// Bytes that a file may have.
const MAX_SIZE: u64 = 4 << 30;

/// Runs it.
pub(super) fn check(args: &Check) -> Result<Status> {
    let path = args.file.display();
    let refused = |error: &dyn std::fmt::Display| Failure::usage(format!("{path}:{error}"));
    let file = File::open(&args.file).map_err(|error| Failure::usage(format!("{path}: {error}")))?;
    let (cpu_bbm, smmu_bbm, require) = (args.cpu_bbm, args.smmu_bbm, requirements(&args.require));
    let config = Config { cpu_bbm, smmu_bbm, require, ..Config::default() };
    let reproducer = reproducer(args);
    let mut judge = Judge::new(config, &reproducer);
    let sources = casemate::read(Bounded { file, left: MAX_SIZE }, |event| judge.event(event));
    let sources = sources.map_err(|error| match error {
        ReadError::Malformed(error) => refused(&error),
        ReadError::Io(error) => refused(&format!(" {error}")),
    })?;
    if judge.events() == 0 {
        return Err(refused(&" there is no event in it: nothing can be judged").into());
    }
    let judged = judge.judged(&sources);
    print(&judged.text)?;
    Ok(if judged.good { Status::Same } else { Status::Diverged })
}

/// A file that is read no further than it may be long.
struct Bounded {
    file: File,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other(format!("larger than {MAX_SIZE} bytes")))?;
        Ok(read)
    }
}

/// The command that judges the file again.
fn reproducer(args: &Check) -> Reproducer {
    let mut words = vec!["check".to_owned(), args.file.to_string_lossy().into_owned()];
    for (name, level) in [("--cpu-bbm", args.cpu_bbm), ("--smmu-bbm", args.smmu_bbm)] {
        if level != 0 {
            words.extend([name.to_owned(), level.to_string()]);
        }
    }
    words.extend(args.require.iter().flat_map(|what| ["--require".to_owned(), value_name(*what)]));
    Reproducer::new(words)
}
