//! Random operations for several hypervisors side by side: what a host can ask of every pKVM, and what both sides then say is
//! compared operation by operation.
//!
//! The generator knows which pages it lent. It uses no more than that of the state: what is right is for the judges of each
//! target to say, and what is the same for the comparison.

use std::collections::BTreeSet;
use std::fmt::Write;

use parallax_machine::MachineError;

use crate::random::Random;
use crate::search::Search;

/// Operations of a machine, at most.
pub const MACHINE_OPS: u64 = 500;
/// Machines that are booted to make what was found shorter, on each target.
const TRIALS: usize = 40;
/// Machine lines, in turn. A second CPU is there in all of them.
const MACHINES: [&str; 4] = [
    "machine mem=1G cpus=2 cpu=cortex-a76",
    "machine mem=1G cpus=2 cpu=neoverse-v1",
    "machine mem=1G cpus=2 cpu=max",
    "machine mem=2G cpus=2 cpu=cortex-a710",
];
/// Groups of four pages, by the number of the frame in RAM: inside of a block, and across borders of 2 MiB and 64 MiB.
const GROUPS: [u64; 6] = [0x1_0000, 0x1_01fe, 0x1_0400, 0x1_07fe, 0x1_3ffe, 0x1_4010];
const GROUP_PAGES: u64 = 4;
/// Blocks of 2 MiB that only data touches, by the number of their first frame in RAM.
const DATA: u64 = 0x1_8000;
const DATA_BLOCKS: u64 = 64;
const BLOCK_PAGES: u64 = 512;
/// Frames that are no memory of the host's: a device, nothing, behind all addresses, and those that wrap.
const NO_MEMORY: [&str; 7] =
    ["0x9000", "0x8000", "0x0", "0x1000000000", "0x10000000000000", "0xfffffffffffff", "0xffffffffffffffff"];

/// A kind of operation.
#[derive(Clone, Copy)]
enum Kind {
    Share,
    ShareAgain,
    Unshare,
    UnshareAgain,
    Load,
    Store,
    Data,
    Own,
    NoMemory,
    Unknown,
}

const WEIGHTS: [(u64, Kind); 10] = [
    (25, Kind::Share),
    (8, Kind::ShareAgain),
    (20, Kind::Unshare),
    (8, Kind::UnshareAgain),
    (8, Kind::Load),
    (8, Kind::Store),
    (8, Kind::Data),
    (5, Kind::Own),
    (5, Kind::NoMemory),
    (5, Kind::Unknown),
];

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// What decides the operations.
    pub seed: u64,
    /// How many operations.
    pub ops: u64,
}

impl Beside {
    /// How many machines it takes.
    #[must_use]
    pub const fn machines(&self) -> u64 {
        self.ops.div_ceil(MACHINE_OPS)
    }

    /// The operations of machine number `machine`, from 0 on, as a trace.
    #[must_use]
    pub fn trace(&self, machine: u64) -> String {
        let mut host = Host { random: Random::new(self.seed, machine), lent: BTreeSet::new() };
        let line = MACHINES[(machine % MACHINES.len() as u64) as usize];
        let count = self.ops.saturating_sub(machine * MACHINE_OPS).min(MACHINE_OPS);
        let mut text = format!("{line}\n");
        for _ in 0..count {
            let cpu = host.random.below(2);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "cpu={cpu} {}", host.operation());
        }
        text
    }
}

struct Host {
    random: Random,
    lent: BTreeSet<u64>,
}

impl Host {
    fn operation(&mut self) -> String {
        match self.random.weighted(&WEIGHTS) {
            Kind::Share => {
                let page = self.page();
                self.lent.insert(page);
                call("host_share_hyp", page)
            }
            Kind::ShareAgain => call("host_share_hyp", self.lent_page()),
            Kind::Unshare => {
                let page = self.lent_page();
                self.lent.remove(&page);
                call("host_unshare_hyp", page)
            }
            Kind::UnshareAgain => call("host_unshare_hyp", self.page()),
            Kind::Load => {
                let (at, size) = self.place();
                format!("host_read ipa={at} size={size}")
            }
            Kind::Store => {
                let (at, size) = self.place();
                format!("host_write ipa={at} size={size} value={:#x}", self.value(size))
            }
            Kind::Data => {
                let frame =
                    DATA + BLOCK_PAGES * self.random.below(DATA_BLOCKS) + self.random.below(BLOCK_PAGES);
                format!("host_write ipa=ram+{:#x} value={:#x}", frame << 12, self.value(8))
            }
            Kind::Own => {
                let at = self.random.below(64) << 12;
                match self.random.below(3) {
                    0 => format!("host_read ipa=pool+{at:#x}"),
                    1 => format!("host_write ipa=pool+{at:#x} value=1"),
                    _ => format!("host_share_hyp pfn=pool+{:#x}", at >> 12),
                }
            }
            Kind::NoMemory => {
                let word = self.random.pick(&["host_share_hyp", "host_unshare_hyp"]);
                format!("{word} pfn={}", self.random.pick(&NO_MEMORY))
            }
            Kind::Unknown => {
                let high = self.random.pick(&[0, 1 << 32, 1 << 63]);
                let id = (0xc600_00f0 + self.random.below(16)) | high;
                format!("hypercall id={id:#x} x1={:#x} x2={:#x}", self.random.any(), self.random.below(4))
            }
        }
    }

    /// The number of a frame in RAM.
    fn page(&mut self) -> u64 {
        self.random.pick(&GROUPS) + self.random.below(GROUP_PAGES)
    }

    /// One that is lent, if one is.
    fn lent_page(&mut self) -> u64 {
        let count = self.lent.len() as u64;
        let index = if count == 0 { 0 } else { self.random.below(count) };
        self.lent.iter().nth(index as usize).copied().unwrap_or_else(|| self.page())
    }

    /// An aligned place in a page, and a size.
    fn place(&mut self) -> (String, u64) {
        let size = 1 << self.random.below(4);
        let at = (self.page() << 12) + self.random.below(4096 / size) * size;
        (format!("ram+{at:#x}"), size)
    }

    /// A value of so many bytes.
    fn value(&mut self, size: u64) -> u64 {
        self.random.any() >> (64 - 8 * size)
    }
}

fn call(word: &str, page: u64) -> String {
    format!("{word} pfn=ram+{page:#x}")
}

/// The shortest of the traces with fewer operations of `trace` of which `shows` still says after how many operations the same came up.
///
/// # Errors
/// What `shows` ends with.
pub fn shortest(
    trace: &str,
    shows: &mut dyn FnMut(&str) -> Result<Option<usize>, MachineError>,
) -> Result<String, MachineError> {
    let (machine, operations) = trace.split_once('\n').unwrap_or((trace, ""));
    let whole = |lines: &[String]| format!("{machine}\n{}\n", lines.join("\n"));
    // Without an operation there is no trace.
    let mut trial = |lines: &[String], _| if lines.is_empty() { Ok(None) } else { shows(&whole(lines)) };
    let mut search = Search { trial: &mut trial, fixed: &<[String]>::len, left: TRIALS };
    let lines = search.shrink(operations.lines().map(str::to_owned).collect())?;
    Ok(whole(&lines))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use parallax_trace::Trace;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_traces_and_each_machine_has_its_own() {
        let run = Beside { seed: 1, ops: 1200 };
        assert_eq!(run.machines(), 3);
        assert_eq!(run.trace(1), run.trace(1));
        assert_ne!(run.trace(0), run.trace(1));
        assert_ne!(run.trace(0), Beside { seed: 2, ops: 1200 }.trace(0));
        let counts: Vec<usize> =
            (0..3).map(|machine| Trace::parse("t", &run.trace(machine)).unwrap().ops.len()).collect();
        assert_eq!(counts, [500, 500, 200]);
    }

    #[test]
    fn every_kind_of_operation_comes_up() {
        let run = Beside { seed: 3, ops: 2000 };
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for machine in 0..run.machines() {
            let trace = Trace::parse("t", &run.trace(machine)).unwrap();
            trace.ops.iter().for_each(|op| *words.entry(op.row.name.to_owned()).or_default() += 1);
            for part in ["pfn=pool", "ipa=pool", "pfn=0xffffffffffffffff", "cpu=1", "size=1"] {
                assert!(run.trace(machine).contains(part), "{part}");
            }
        }
        let names: Vec<&str> = words.keys().map(String::as_str).collect();
        assert_eq!(names, ["host_read", "host_share_hyp", "host_unshare_hyp", "host_write", "hypercall"]);
    }

    #[test]
    fn one_operation_stays() {
        let short = shortest("machine\nnop\nhost_read ipa=1\n", &mut |text| {
            assert!(text.lines().count() > 1);
            Ok(Some(1))
        });
        assert_eq!(short.unwrap(), "machine\nnop\n");
    }

    #[test]
    fn what_is_found_becomes_short() {
        let trace = Beside { seed: 1, ops: 500 }.trace(0);
        let mut trials = 0;
        // Comes up with the second store behind a call of an unknown number.
        let mut shows = |text: &str| {
            trials += 1;
            let mut seen = (false, 0);
            let lines = text.lines().skip(1).enumerate();
            let found = lines.into_iter().find(|(_, line)| {
                seen.0 |= line.contains("hypercall");
                seen.1 += usize::from(seen.0 && line.contains("host_write"));
                seen.1 == 2
            });
            Ok(found.map(|(at, _)| at + 1))
        };
        let short = shortest(&trace, &mut shows).unwrap();
        assert_eq!(short.lines().count(), 4, "{short}");
        assert!(short.starts_with("machine ") && trials <= TRIALS);
    }
}
