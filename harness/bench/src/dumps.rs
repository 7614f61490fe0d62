//! How long one look at all tables takes, by how much is mapped page by page.

use std::fmt::Write;
use std::time::{Duration, Instant};

use parallax_abi::hypercall::{HOST_DONATE_HYP, HYP_DONATE_HOST};
use parallax_engine::Observer;
use parallax_engine::status::Failure;
use parallax_machine::{Live, Machine};
use parallax_trace::spec::{MachineSpec, MapMode};

use crate::gdb;
use crate::setup::{Setup, hypercall, table};

/// Looks in each measurement; the median counts.
const OBSERVATIONS: usize = 21;

/// Measures, and renders what was measured.
pub(crate) fn measure(setup: &Setup) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for (name, megabytes, split) in [("16 MiB", 128, 8), ("256 MiB", 256, 0), ("1 GiB", 1024, 0)] {
        let mut config = MachineSpec { mem_bytes: megabytes << 20, ..MachineSpec::default() };
        if split == 0 {
            config.hyp.map = MapMode::Pages;
        }
        let mut live = setup.boot(&config)?;
        for block in 0..split {
            // One page of the block goes and returns: the block stays split.
            let pfn = 0x4_4000 + 512 * block;
            live.perform_requests(&[
                hypercall(HOST_DONATE_HYP, &[pfn, 1]),
                hypercall(HYP_DONATE_HOST, &[pfn, 1]),
            ])?;
        }
        let (full, known) = observation_times(&mut live)?;
        drop(live);
        let by_gdb = gdb::run_split(setup, &config, split)?;
        let gdb_look = by_gdb.dump_seconds / by_gdb.dumps.max(1) as f64;
        rows.push([
            name.to_owned(),
            by_gdb.tables.to_string(),
            format!("{:.2} ms", full.as_secs_f64() * 1e3),
            format!("{:.2} ms", known.as_secs_f64() * 1e3),
            format!("{:.1} ms", gdb_look * 1e3),
            format!("{:.0}", gdb_look / full.as_secs_f64()),
        ]);
    }
    let header =
        ["one look at all tables", "table pages", "full", "when little changed", "gdb", "gdb : full"];
    let mut text = String::new();
    let _ =
        writeln!(text, "by how much of the idmap is page-granular; page states included, gdb's without them");
    let _ = writeln!(text, "{}\n", table(header, &rows));
    Ok(text)
}

/// The median time of a look from nothing, and of one that knows the state before.
fn observation_times(live: &mut Live) -> Result<(Duration, Duration), Failure> {
    let registers = live.registers()?;
    let (mut full, mut known) = (Vec::new(), Vec::new());
    for _ in 0..OBSERVATIONS {
        let mut observer = Observer::new(live.target());
        for times in [&mut full, &mut known] {
            let begin = Instant::now();
            std::hint::black_box(observer.observe(live.memory(), &registers));
            times.push(begin.elapsed());
        }
    }
    Ok((median(full), median(known)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
