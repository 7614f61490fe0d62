//! How much slower a Linux is under the hypervisor.
//!
//! Pairs of boots, alone and under the hypervisor, with the same options of QEMU. What counts is the median of the ratios
//! within a pair: what else the computer does changes from minute to minute. The CPU time that QEMU takes for the same
//! work hardly depends on that; its ratio stands beside the other, and tells of a busy computer which of both to believe.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use parallax_engine::visible;
use parallax_linux::guest::{Rate, Said};
use parallax_linux::{Boot, LinuxSpec, Plan, Show, prepare};
use parallax_machine::CancellationToken;
use parallax_report::text_table;

use crate::ratio::{Limit, Pair, median, row};

/// How often the guest measures in one boot.
const MEASURE: u8 = 3;
/// The boot must not take longer than this, as a ratio.
const BOOT_LIMIT: f64 = 1.5;
/// Blocks must come and go at least so fast, as a ratio.
const RATE_LIMIT: f64 = 0.7;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The kernel and its machine.
    pub machine: LinuxSpec,
    /// How many pairs of boots.
    pub rounds: u16,
    /// How long one boot may take.
    pub limit: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The table.
    pub text: String,
    /// Every guest said that all went well.
    pub good: bool,
}

/// Boots the pairs, on the hypervisor of the project at `root`.
///
/// # Errors
/// Something cannot be built or started.
pub fn measure(comparison: &Comparison, root: &Path, cancel: &CancellationToken) -> Result<Measured> {
    let Comparison { machine: spec, rounds, limit } = comparison;
    let choice = prepare::choose_kernel(spec, root, false)?;
    let images = prepare::build_images(root, false, cancel)?;
    let boot = Boot {
        machine: spec,
        initrd: None,
        fault: None,
        show: Show::Nothing,
        measure: MEASURE,
        choice: &choice,
        images: &images,
        plugin: None,
        cancel,
    };
    let plan = Plan { limit: *limit, ..Plan::default() };
    let (mut pairs, mut good) = (Vec::new(), true);
    for round in 0..*rounds {
        let mut run = |bare| {
            let which = if bare { "alone" } else { "under the hypervisor" };
            parallax_engine::note!("pair {} of {}: {which}", round + 1, rounds);
            let outcome = boot.run(bare, &plan)?;
            if let Some(death) = &outcome.said.death {
                let printed = format!("{death}\n{}", outcome.printed.join("\n"));
                parallax_engine::note!("the kernel died: {}", visible::lines(&printed));
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
    Ok(Measured { text: summary(spec, &pairs), good })
}

/// The medians of `pairs`, as a table.
fn summary(machine: &LinuxSpec, pairs: &[(Said, Said)]) -> String {
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
    text.push_str(&text_table::render(&header.map(str::to_owned), &rows, 1));
    text.push_str(
        "\nby CPU time: the same work, by the CPU time that QEMU takes for it instead of wall time\n",
    );
    text
}
