//! A recording as a Chrome trace, which Perfetto and `chrome://tracing` read: a track for each CPU.
//!
//! Time is virtual: one instruction at EL2, of any CPU, is one nanosecond, and so is the end of each operation, so that none
//! has no length. The plugin counts instructions where EL2 returns to the host and where an operation ends; events
//! between two such points are spread evenly over the time between them. The same recording gives the same file.
//!
//! Names of tracks and numbers: process 1000 (0 is the idle process to Perfetto), thread N + 1 for CPU N, and one thread behind them for
//! findings. Slices of a thread follow each other and never overlap.

use parallax_abi::journal::{Record, kind};
use parallax_addr::ImageVa;
use parallax_machine::recording::Replay;
use parallax_machine::{Machine, MachineError};
use serde_json::{Value, json};

use parallax_engine::event_text::frames;
use parallax_engine::recorded;
use parallax_engine::status::Failure;

/// Another number than every thread's: its main thread would be one of them.
const PROCESS: u32 = 1000;
/// The largest trace, in bytes.
const MAX_SIZE: usize = 1 << 30;

/// How every trace begins.
const BEGINNING: &str = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";

/// Whether a file that begins with `bytes` begins as a trace does.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING.as_bytes())
}

/// The trace of all operations of `replay`, which stands at its beginning. `step` is called after each of them.
///
/// # Errors
/// The recording is damaged, or was made without the plugin.
pub fn trace(mut replay: Replay, step: &dyn Fn()) -> Result<String, Failure> {
    let cpus = usize::from(replay.target().description.config.cpus.max(1));
    let findings = thread(cpus);
    let mut lines =
        vec![json!({"ph": "M", "name": "process_name", "pid": PROCESS, "args": {"name": "EL2"}}).to_string()];
    let mut written = 0;
    let mut push = |event: Value| {
        let line = event.to_string();
        written += line.len();
        lines.push(line);
        written
    };
    let tracks = (0..cpus).map(|cpu| (thread(cpu), format!("CPU {cpu}")));
    for (tid, name) in tracks.chain([(findings, "findings".to_owned())]) {
        push(json!({"ph": "M", "name": "thread_name", "pid": PROCESS, "tid": tid, "args": {"name": name}}));
        push(
            json!({"ph": "M", "name": "thread_sort_index", "pid": PROCESS, "tid": tid, "args": {"sort_index": tid}}),
        );
    }
    let mut clock = None;
    let mut seen = false;
    let mut begin = None;
    let mut done = 0;
    let mut size = 0;
    while replay.step().map_err(MachineError::from)? {
        step();
        let operation = replay.operation();
        seen |= !operation.events.is_empty();
        let times: Vec<u64> =
            times(&operation.events, &mut clock).into_iter().map(|time| time.saturating_add(done)).collect();
        let from = begin.unwrap_or_else(|| times.first().map_or(0, |first| first.saturating_sub(1)));
        done += 1;
        let end = clock.unwrap_or(0).saturating_add(done).max(from.saturating_add(1));
        begin = Some(end);
        let cpu = cpu_of(&operation.text).min(cpus - 1);
        if size > MAX_SIZE {
            return Err(Failure::usage(format!(
                "more than {} MiB up to operation {}: too much for a Chrome trace",
                MAX_SIZE >> 20,
                replay.position()
            )));
        }
        let name =
            operation.text.split_whitespace().find(|word| !word.starts_with("cpu=")).unwrap_or_default();
        size = push(json!({
            "ph": "X", "cat": "operation", "name": name, "pid": PROCESS, "tid": thread(cpu),
            "ts": micros(from), "dur": micros(end - from),
            "args": {"line": operation.line, "operation": operation.text, "result": recorded::result(operation)},
        }));
        for (event, time) in operation.events.iter().zip(&times) {
            if let Some(name) = name_of(event, &replay) {
                let place = replay
                    .site(ImageVa::new(event.pc))
                    .and_then(|site| frames(&site.place).first().copied().map(str::to_owned));
                size = push(json!({
                    "ph": "i", "s": "t", "cat": "event", "name": name, "pid": PROCESS,
                    "tid": thread(usize::from(event.cpu).min(cpus - 1)), "ts": micros((*time).clamp(from, end)),
                    "args": {"at": place.unwrap_or_else(|| format!("{:#x}", event.pc))},
                }));
            }
        }
        for finding in &operation.findings {
            let name = finding.finding().map_or_else(|| "finding".to_owned(), |found| found.rule.to_string());
            size = push(json!({
                "ph": "i", "s": "t", "cat": "finding", "name": name, "pid": PROCESS, "tid": findings, "ts": micros(end - 1),
                "args": {"line": operation.line, "operation": operation.text, "finding": finding.to_string()},
            }));
        }
    }
    if !seen {
        return Err(Failure::usage(
            "recorded without the plugin: record it again (parallax run TRACE --record FILE.plx)",
        ));
    }
    Ok(format!("{BEGINNING}\n{}\n]}}\n", lines.join(",\n")))
}

const fn thread(cpu: usize) -> usize {
    cpu + 1
}

/// The CPU that performs an operation: its `cpu=`, or 0.
fn cpu_of(operation: &str) -> usize {
    operation.strip_prefix("cpu=").and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Instructions as microseconds.
fn micros(instructions: u64) -> f64 {
    instructions as f64 / 1000.0
}

/// The time of each event; `clock` is that of the last one before.
fn times(events: &[Record], clock: &mut Option<u64>) -> Vec<u64> {
    let mut times: Vec<u64> = Vec::with_capacity(events.len());
    let mut waiting = 0_u64;
    for event in events {
        waiting += 1;
        if !matches!(event.kind, kind::ERET | kind::MARK) {
            continue;
        }
        let from = clock.unwrap_or_else(|| event.b.saturating_sub(waiting)).min(event.b);
        times.extend(
            (1..=waiting)
                .map(|n| from + (u128::from(event.b - from) * u128::from(n) / u128::from(waiting)) as u64),
        );
        (*clock, waiting) = (Some(event.b), 0);
    }
    let last = clock.unwrap_or(0);
    times.extend((0..waiting).map(|_| last));
    times
}

fn name_of(event: &Record, replay: &Replay) -> Option<String> {
    let instruction = || replay.site(ImageVa::new(event.pc)).map(|site| site.instruction.clone());
    Some(match event.kind {
        kind::STORE => format!("store {:#x}", event.b),
        kind::MMIO_WRITE => format!("device {:#x} = {:#x}", event.b, event.value),
        kind::MMIO_READ => format!("device {:#x} gave {:#x}", event.b, event.value),
        kind::TLBI => instruction().unwrap_or_else(|| "TLBI".to_owned()),
        kind::BARRIER => instruction().unwrap_or_else(|| "barrier".to_owned()),
        kind::MSR => instruction().unwrap_or_else(|| "MSR".to_owned()),
        kind::DC => instruction().unwrap_or_else(|| "DC".to_owned()),
        kind::SMC => format!("smc {:#x}", event.a),
        kind::VECTOR => format!("enter {:#05x}", event.a),
        kind::ERET => "return to the host".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_lie_between_the_counts_around_them() {
        let record = |kind, b| Record { kind, b, ..Record::default() };
        let events =
            [record(kind::STORE, 0), record(kind::ERET, 100), record(kind::TLBI, 0), record(kind::MARK, 120)];
        let mut clock = Some(80);
        assert_eq!(times(&events, &mut clock), [90, 100, 110, 120]);
        assert_eq!(clock, Some(120));
    }

    #[test]
    fn an_operation_is_its_cpus() {
        let cases = [("cpu=3 nop", 3), ("nop", 0), ("host_read ipa=ram", 0), ("cpu=x nop", 0), ("cpu=", 0)];
        for (text, cpu) in cases {
            assert_eq!(cpu_of(text), cpu, "{text}");
        }
    }
}
