//! `parallax bench linux`: how much slower a Linux is under the hypervisor.
//!
//! Pairs of boots, alone and under the hypervisor, with the same options of QEMU. What counts is the median of the ratios
//! within a pair: what else the computer does changes from minute to minute. The CPU time that QEMU takes for the same
//! work hardly depends on that; its ratio stands beside the other, and tells of a busy computer which of both to believe.

use std::fmt::{self, Write};
use std::time::Duration;

use anstream::eprintln;
use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::Status;
use parallax_linux::guest::{Rate, Said};
use parallax_linux::{Boot, LinuxSpec, Plan, Show};

use super::{built, chosen, verdict};
use crate::cli::BenchLinux;
use crate::cmd::{print, table};
use crate::interrupt;

/// How often the guest measures in one boot.
const MEASURE: u8 = 3;
/// The boot must not take longer than this, as a ratio.
const BOOT_LIMIT: f64 = 1.5;
/// Blocks must come and go at least so fast, as a ratio.
const RATE_LIMIT: f64 = 0.7;

/// Something measured in both boots of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    alone: f64,
    under: f64,
}

impl Pair {
    fn ratio(self) -> f64 {
        self.under / self.alone
    }
}

/// Runs it.
pub(in crate::cmd) fn bench(args: &BenchLinux) -> Result<Status> {
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let spec = LinuxSpec::from(&args.machine);
    let choice = chosen(&spec, &root, false)?;
    let images = built(&root, false, &cancel)?;
    let boot = Boot {
        machine: &spec,
        initrd: None,
        fault: None,
        show: Show::Nothing,
        measure: MEASURE,
        choice: &choice,
        images: &images,
        plugin: None,
        cancel: &cancel,
    };
    let plan = Plan { limit: Duration::from_secs(args.machine.timeout.into()), ..Plan::default() };
    let (mut pairs, mut good) = (Vec::new(), true);
    for round in 0..args.rounds {
        let mut run = |bare| {
            let which = if bare { "alone" } else { "under the hypervisor" };
            eprintln!("pair {} of {}: {which}", round + 1, args.rounds);
            let outcome = boot.run(bare, &plan)?;
            if let Some(death) = &outcome.said.death {
                eprintln!("the kernel died: {death}\n{}", outcome.printed.join("\n"));
            }
            good &= outcome.said.verdict == Some(true);
            anyhow::Ok(outcome.said)
        };
        // Who comes first changes, so that neither always profits.
        pairs.push(if round % 2 == 0 {
            let alone = run(true)?;
            (alone, run(false)?)
        } else {
            let under = run(false)?;
            (run(true)?, under)
        });
    }
    print(&told(args, &pairs))?;
    Ok(verdict(good))
}

/// What is told of it.
fn told(args: &BenchLinux, pairs: &[(Said, Said)]) -> String {
    let machine = &args.machine;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "medians of {} pairs of boots: CPUs {}, {} MiB, SMMU {} and {}, iommu.passthrough={}, {} MiB at a time",
        pairs.len(),
        machine.cpus,
        machine.mem >> 20,
        machine.smmu,
        machine.smmu_host,
        machine.passthrough,
        machine.io
    );
    let pick = |pick: &dyn Fn(&Said) -> Option<f64>| -> Vec<Pair> {
        let both = pairs.iter().filter_map(|(a, b)| Some(Pair { alone: pick(a)?, under: pick(b)? }));
        both.collect()
    };
    let mut rows = Vec::new();
    let wall = pick(&|said| Some(said.userspace?.wall.as_secs_f64()));
    let cpu = pick(&|said| Some(said.userspace?.cpu.as_secs_f64()));
    rows.push(row("userspace, s", &wall, &cpu, Limit::AtMost(BOOT_LIMIT)));
    for name in ["nvme_read", "virtio_read", "nvme_write", "virtio_write"] {
        let of = |said: &Said, value: fn(&Rate) -> f64| {
            median(said.rates.iter().filter(|rate| rate.name == name).map(value).collect())
        };
        let wall = pick(&|said| of(said, |rate| rate.mib_per_second));
        let per_cpu = pick(&|said| of(said, |rate| 1.0 / rate.cpu.as_secs_f64().max(0.01)));
        rows.push(row(&format!("{name}, MiB/s"), &wall, &per_cpu, Limit::AtLeast(RATE_LIMIT)));
    }
    let header = ["", "alone", "under hyp", "ratio", "from", "to", "limit", "", "by CPU time", ""];
    text.push_str(&table(&header.map(str::to_owned), &rows, 1));
    text.push_str(
        "\nby CPU time: the same work, by the CPU time that QEMU takes for it instead of wall time\n",
    );
    text
}

/// What a ratio must be.
#[derive(Clone, Copy, Debug)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    const fn verdict(self, ratio: Option<f64>) -> &'static str {
        match (self, ratio) {
            (Self::AtMost(limit), Some(ratio)) if ratio <= limit => "met",
            (Self::AtLeast(limit), Some(ratio)) if ratio >= limit => "met",
            _ => "not met",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
        }
    }
}

fn row(what: &str, wall: &[Pair], cpu: &[Pair], limit: Limit) -> [String; 10] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let of = |pick: fn(Pair) -> f64| median(wall.iter().map(|&pair| pick(pair)).collect());
    let ratio = of(Pair::ratio);
    let by_cpu = median(cpu.iter().map(|pair| pair.ratio()).collect());
    let extreme = |pick: fn(f64, f64) -> f64| number(wall.iter().map(|pair| pair.ratio()).reduce(pick));
    [
        what.to_owned(),
        number(of(|pair| pair.alone)),
        number(of(|pair| pair.under)),
        number(ratio),
        extreme(f64::min),
        extreme(f64::max),
        limit.to_string(),
        limit.verdict(ratio).to_owned(),
        number(by_cpu),
        limit.verdict(by_cpu).to_owned(),
    ]
}

/// The middle one; the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn a_limit_is_met_or_not() {
        assert_eq!(Limit::AtMost(1.5).verdict(Some(1.4)), "met");
        assert_eq!(Limit::AtMost(1.5).verdict(Some(1.6)), "not met");
        assert_eq!(Limit::AtLeast(0.7).verdict(Some(0.8)), "met");
        assert_eq!(Limit::AtLeast(0.7).verdict(Some(0.6)), "not met");
        assert_eq!(Limit::AtMost(1.5).verdict(None), "not met");
    }

    #[test]
    fn a_row_has_the_median_of_the_ratios_not_the_ratio_of_the_medians() {
        let pairs = [(1.0, 2.0), (10.0, 10.0), (4.0, 2.0)].map(|(alone, under)| Pair { alone, under });
        let row = row("x", &pairs, &[], Limit::AtMost(1.5));
        assert_eq!(row[1..6], ["4.00", "2.00", "1.00", "0.50", "2.00"]);
        assert_eq!(row[7..], ["met", "-", "not met"]);
    }
}
