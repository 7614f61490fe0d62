//! Operations a second: bare, looked at by us, looked at by gdb.

use std::fmt::Write;
use std::time::Instant;

use parallax_abi::hypercall::{HOST_SHARE_HYP, HOST_UNSHARE_HYP};
use parallax_abi::mailbox::{Response, SLOTS, kind};
use parallax_engine::Reproducer;
use parallax_engine::status::Failure;
use parallax_engine::{Session, SessionError, Step};
use parallax_machine::{Live, MachineError};
use parallax_model::Golden;
use parallax_trace::spec::MachineSpec;
use parallax_trace::{Op, Trace};

use crate::gdb;
use crate::setup::{PFN, Setup, hypercall, table};

/// Operations in each measurement.
const BARE: usize = 64_000;
const STEP: usize = 3_000;
const STREAM: usize = 32_000;
const GDB: usize = 60;

/// What is performed in turn.
const SHARING: [&str; 2] = ["host_share_hyp", "host_unshare_hyp"];
const DONATING: [&str; 2] = ["host_donate_hyp", "hyp_donate_host"];

/// Measures, and renders what was measured.
pub(crate) fn measure(setup: &Setup) -> Result<String, Failure> {
    let config = MachineSpec::default();
    let bare = bare(setup, &config)?;
    let step_of = |pair| step(setup, &config, pair);
    let step = step_of(SHARING)?;
    let donate = step_of(DONATING)?;
    let with_events = step_with_events(setup, &config)?;
    let stream_of = |pair| stream(setup, &config, pair);
    let stream = stream_of(SHARING)?;
    let stream_donate = stream_of(DONATING)?;
    let by_gdb = gdb::run(setup, &config, setup.scaled(GDB), 0)?;
    let gdb_rate = by_gdb.ops as f64 / by_gdb.ops_seconds;
    let row = |what: &str, rate: f64| {
        [
            what.to_owned(),
            format!("{rate:.0}"),
            format!("{:.3}", rate / bare),
            format!("{:.1}", rate / gdb_rate),
        ]
    };
    let rows = [
        row("bare: no stop for 1024 operations, no look", bare),
        row("step: stop, snapshot, checks, delta, golden text", step),
        row("the same, host_donate_hyp and hyp_donate_host in turn", donate),
        row("step with the plugin's events, so protocol too", with_events),
        row("stream: no stop for 1024, as step from the journal, protocol too", stream),
        row("the same, host_donate_hyp and hyp_donate_host in turn", stream_donate),
        row("gdb: stop, gdb's Python reads the same tables", gdb_rate),
    ];
    let header = ["operations a second", "a second", "of bare", "x gdb"];
    let mut text = String::new();
    let _ = writeln!(
        text,
        "host_share_hyp and host_unshare_hyp in turn, {} MiB, {} table pages\n{}\n",
        config.mem_bytes >> 20,
        by_gdb.tables,
        table(header, &rows)
    );
    Ok(text)
}

fn bare(setup: &Setup, config: &MachineSpec) -> Result<f64, Failure> {
    let mut live = setup.boot(config)?;
    let pair = [hypercall(HOST_SHARE_HYP, &[PFN]), hypercall(HOST_UNSHARE_HYP, &[PFN])];
    let batch: Vec<_> = pair.into_iter().cycle().take(SLOTS).collect();
    let batches = setup.scaled(BARE).div_ceil(SLOTS);
    let begin = Instant::now();
    for _ in 0..batches {
        all_succeeded(&live.perform_requests(&batch)?)?;
    }
    Ok((batches * SLOTS) as f64 / begin.elapsed().as_secs_f64())
}

pub(crate) fn all_succeeded(responses: &[Response]) -> Result<(), Failure> {
    let failed = responses.iter().find(|response| response.kind != kind::OK || response.x[..2] != [0, 0]);
    failed.map_or(Ok(()), |response| {
        Err(MachineError::Contract(format!("a measured operation failed: {response:?}")).into())
    })
}

fn step(setup: &Setup, config: &MachineSpec, pair: [&str; 2]) -> Result<f64, Failure> {
    checked(setup.boot(config)?, false, setup.scaled(STEP), pair, one_by_one)
}

fn step_with_events(setup: &Setup, config: &MachineSpec) -> Result<f64, Failure> {
    checked(setup.boot_watched(config)?, false, setup.scaled(STEP), SHARING, one_by_one)
}

fn one_by_one(session: &mut Session<'_>, ops: &[&Op]) -> Result<Vec<Step>, SessionError> {
    ops.iter().map(|op| session.step(op)).collect()
}

fn stream(setup: &Setup, config: &MachineSpec, pair: [&str; 2]) -> Result<f64, Failure> {
    checked(setup.boot_watched(config)?, true, setup.scaled(STREAM), pair, |session, ops| session.batch(ops))
}

/// Performs `count` operations on `live`, a `pair` in turn, as many at a time as a mailbox holds, all of them checked;
/// with `copied`, from a copy that follows the journal.
fn checked(
    mut live: Live,
    copied: bool,
    count: usize,
    pair: [&str; 2],
    perform: impl Fn(&mut Session<'_>, &[&Op]) -> Result<Vec<Step>, SessionError>,
) -> Result<f64, Failure> {
    let pair = pair.map(|name| format!("{name} pfn={PFN:#x} => ok\n")).concat();
    let trace = Trace::parse("bench", &pair).map_err(Failure::usage)?;
    let batch: Vec<&Op> = trace.ops.iter().cycle().take(SLOTS).collect();
    let batches = count.div_ceil(SLOTS);
    let (mut session, findings) = Session::start(&mut live, None)?;
    if copied {
        session.stream()?;
    }
    let mut golden = Golden::default();
    golden.boot(&findings);
    let begin = Instant::now();
    for _ in 0..batches {
        for (op, step) in batch.iter().zip(perform(&mut session, &batch)?) {
            write(&mut golden, op, &step);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    nothing_found(&golden)?;
    Ok((batches * SLOTS) as f64 / seconds)
}

/// Whether `golden`, of measured operations, holds no finding.
pub(crate) fn nothing_found(golden: &Golden) -> Result<(), Failure> {
    let Some(found) = golden.first_finding() else { return Ok(()) };
    let reproducer = Reproducer::new(["bench"]);
    let message = format!("a measured operation is not in order:\n{found}\nagain: {reproducer}");
    Err(MachineError::Contract(message).into())
}

/// Adds what `op` did to `golden`.
pub(crate) fn write(golden: &mut Golden, op: &Op, step: &Step) {
    golden.operation(op.line, &op.to_string(), &step.outcome.to_string(), &step.lines, &step.findings);
}
