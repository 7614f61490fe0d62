//! Arguments of `fuzz`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::UnknownArgumentValueParser;
use parallax_abi::fault::Fault;
use parallax_fuzz::explore::Shard;
use parallax_fuzz::fuzz::USUAL_OPS;

use super::explore::shard;
use super::fault::FaultName;
use super::form::Form;
use super::number::{seed, within};
use super::run::{On, on};

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax fuzz                                       100,000 operations, about 15 seconds
  parallax fuzz --seed 7 --ops 5000
  parallax fuzz --time 8h --corpus target/corpus      a night; the next one goes on from what this one reached
  parallax fuzz --shard 2/4 --jobs 2
  parallax fuzz --fault host_donate_checks_first_page_only --save found.trace
  parallax fuzz --target hyp,pkvm:7.3 --ops 10000     the same operations on ours and on an unmodified Linux with pKVM

The same seed, number of operations and corpus give the same operations, verdict and digest, whatever --jobs is.

Exit status: 0 nothing found, 1 something was found, or nothing though a fault is switched on, 2 usage, 125 could not build or start, \
130 interrupted.";

/// Arguments of `fuzz`.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// What decides the operations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// How many operations [default: 100,000, or with --time as many as there is time for]
    #[arg(long, value_name = "N", value_parser = count)]
    pub ops: Option<u64>,
    /// Start no further machine after this time, such as 90s, 20m or 8h; 8760h at most
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
    /// How many machines at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = within::<u16>(1..=64))]
    pub jobs: Option<u16>,
    /// Part I of N parts, each with operations of its own
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// A folder of traces that reached something new: they are performed first, and what is new is added. Their machines and
    /// operations count; a line `fault`, and what they expect after `=>`, are for `parallax run`
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// What `explore` has, and who looks for it here means the corpus
    #[arg(long, value_name = "FILE", hide = true, value_parser = UnknownArgumentValueParser::suggest_arg("--corpus"))]
    pub resume: Option<String>,
    /// Switch a fault of the hypervisor on: then something must be found (`parallax faults` lists them)
    #[arg(long, value_name = "NAME", value_parser = FaultName, hide_possible_values = true)]
    pub fault: Option<Fault>,
    /// Compare several targets, operation by operation, with what a host can ask of each: `hyp`, `pkvm`, or `pkvm:KERNEL` as `parallax
    /// run --kernel` names it. The first is what the others are held against. Not with --time, --jobs, --shard, --corpus, --fault or --format
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', value_parser = on,
          conflicts_with_all = ["time", "jobs", "shard", "corpus", "fault", "format"])]
    pub target: Vec<On>,
    /// Write what was found as a trace, as short as it gets, over what is there
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

impl Fuzz {
    /// Most operations.
    pub(crate) fn most(&self) -> u64 {
        self.ops.unwrap_or(if self.time.is_some() { u64::MAX } else { USUAL_OPS })
    }
}

/// A number of operations: digits, which commas may part.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let number = text.replace([',', '_'], "").parse().ok().filter(|number| *number != 0);
    number.ok_or_else(|| "expected a number from 1 on, such as 100000 or 100,000".to_owned())
}

/// The longest time, in seconds: who writes more has not meant it.
const YEAR: u64 = 365 * 24 * 3600;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|seconds| *seconds != 0)
    });
    let what = "expected a time such as 90s, 20m or 8h; 8760h, a year, is the most";
    parsed.filter(|seconds| *seconds <= YEAR).map(Duration::from_secs).ok_or_else(|| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_have_commas() {
        assert_eq!([count("100,000"), count("7")], [Ok(100_000), Ok(7)]);
        assert!(["", "0", "1e6", "-1", "99999999999999999999"].into_iter().all(|text| count(text).is_err()));
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        assert_eq!(duration("8760h"), Ok(Duration::from_secs(YEAR)));
        for text in ["8761h", "18446744073709551615s", "5124095576030431h"] {
            assert!(duration(text).unwrap_err().contains("8760h, a year, is the most"), "{text}");
        }
        for text in ["", "8", "h", "0s", "-1s", "1d", "99999999999999999999h", "9999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
