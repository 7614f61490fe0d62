//! Arguments of `explore` and `spec`.

use std::path::PathBuf;

use clap::Args;
use parallax_abi::fault::Fault;
use parallax_fuzz::explore::Shard;

use super::fault::FaultName;
use super::form::Form;
use super::number::within;
use super::run::{On, on};

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax explore                                 three pages, about ten seconds
  parallax explore --page ram+0x6000 --page ram+0x6001 --pins 3
  parallax explore --smmu                          two streams of an SMMU of the host's own
  parallax explore --shard 2/4 --jobs 2
  parallax explore --resume explored.parts         goes on where an earlier one was ended
  parallax explore --fault host_donate_checks_first_page_only --save found.trace
  parallax explore --target hyp,pkvm:7.3           what both can do, on ours and on an unmodified Linux with pKVM

What is found comes with the shortest way to it, as a trace. Where several things are wrong, --jobs decides which is found first.

Exit status: 0 nothing found, 1 something was found, or nothing though a fault is switched on, 2 usage, 125 could not build or start, \
130 interrupted.";

pub(crate) const SPEC_EXAMPLE: &str = "\
Examples:
  parallax spec
  parallax spec host_donate_hyp
  parallax spec its";

/// Arguments of `explore`.
#[derive(Debug, Args)]
pub struct Explore {
    /// A page frame, such as ram+0x6000 or 0x46000; up to five [default: ram+0x6000, ram+0x6001, ram+0x61ff]
    #[arg(long = "page", value_name = "FRAME", value_parser = frame)]
    pub pages: Vec<u64>,
    /// Give the host an SMMU of its own, with two streams that it turns off, aborts, lets by and translates; then one page
    /// [ram+0x6000] unless others are named
    #[arg(long)]
    pub smmu: bool,
    /// Most pins of a page, 0 to 8
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = within::<u16>(0..=8))]
    pub pins: u16,
    /// How many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = within::<u16>(1..=64))]
    pub jobs: Option<u16>,
    /// Only part I of N parts of about the same size: together they are all
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Note in this file which parts were performed, and leave out those that are in it: for a run that was ended to go on. Not
    /// with --shard
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    pub resume: Option<PathBuf>,
    /// Switch a fault of the hypervisor on: then something must be found, of --shard in one of the parts (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = FaultName, hide_possible_values = true)]
    pub fault: Option<Fault>,
    /// Compare several targets, operation by operation, in all transitions that each of them can perform: `hyp`, `pkvm`, or
    /// `pkvm:KERNEL` as `parallax run --kernel` names it. The first is what the others are held against. Not with
    /// --smmu, --jobs, --shard, --resume, --fault or --format
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', value_parser = on,
          conflicts_with_all = ["smmu", "jobs", "shard", "resume", "fault", "format"])]
    pub target: Vec<On>,
    /// Write the trace of what was found here, over what is there
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// Arguments of `spec`.
#[derive(Debug, Args)]
pub struct Spec {
    /// The call, or `access`, `smmu` or `its` for what is specified of those [default: all calls]
    #[arg(value_name = "CALL")]
    pub call: Option<String>,
}

/// The first page frame of the machine's memory.
const RAM: u64 = 0x4000_0000 >> 12;
/// The most pages that a machine can have: 8 GiB.
const MOST: u64 = 8 << 30 >> 12;
const PAGE: u64 = 0x1000;

/// The frame that `text` names, from the first one of memory on.
fn frame(text: &str) -> Result<u64, String> {
    let (text, first) = text.strip_prefix("ram+").map_or((text, RAM), |offset| (offset, 0));
    let given = parallax_addr::parse_number(text);
    let number = given.and_then(|number| number.checked_sub(first));
    let number = number.ok_or_else(|| {
        format!("expected a page frame of memory, which begins at {RAM:#x}, such as ram+0x6000 or 0x46000")
    })?;
    // An address of a page of memory is far behind all frames.
    let meant = given.filter(|given| given.is_multiple_of(PAGE)).map(|given| given / PAGE);
    let from = if first == 0 { "ram+" } else { "" };
    match meant.filter(|meant| number >= MOST && (first..first + MOST).contains(meant)) {
        Some(meant) => Err(format!("an address: did you mean the frame {from}{meant:#x}?")),
        None => Ok(number),
    }
}

pub(super) fn shard(text: &str) -> Result<Shard, String> {
    let parts =
        text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    parts
        .filter(|(part, parts): &(usize, usize)| (1..=*parts).contains(part) && *parts <= 1024)
        .map(|(part, count)| Shard { index: part - 1, count })
        .ok_or_else(|| "expected a part and how many there are, at most 1024, such as 2/4".to_owned())
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_page_is_named_as_everywhere_else() {
        assert_eq!(frame("ram+0x6000"), Ok(0x6000));
        assert_eq!(frame("0x46000"), Ok(0x6000));
        for text in ["0x6000", "ram+", "pool+0x1", "x"] {
            assert!(frame(text).is_err(), "{text}");
        }
        for (text, meant) in [("0x46000000", "0x46000"), ("ram+0x6000000", "ram+0x6000")] {
            assert_eq!(frame(text), Err(format!("an address: did you mean the frame {meant}?")));
        }
        assert!(frame("0x46000001").is_ok() && frame("ram+0x1000").is_ok());
    }
}
