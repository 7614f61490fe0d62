//! A recording as a Chrome trace, which Perfetto and `chrome://tracing` read: a track for each CPU.
//!
//! Time is virtual: one instruction at EL2, of any CPU, is one nanosecond. The plugin counts instructions where EL2
//! returns to the host and where an operation ends; events between two such points are spread evenly over the time
//! between them. The same recording gives the same file.

use parallax_abi::journal::{Record, kind};
use parallax_machine::recording::Replay;
use parallax_machine::{Machine, MachineError};
use serde_json::{Value, json};

use crate::source::recorded_result;
use crate::status::Failure;

/// The trace of all operations of `replay`, which stands at its beginning.
///
/// # Errors
/// The recording is damaged, or was made without the plugin.
pub fn trace(mut replay: Replay) -> Result<String, Failure> {
    let cpus = replay.description().config.cpus;
    let mut events: Vec<Value> = (0..cpus)
        .map(|cpu| json!({"ph": "M", "name": "thread_name", "pid": 0, "tid": cpu, "args": {"name": format!("CPU {cpu}")}}))
        .collect();
    events.insert(0, json!({"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "EL2"}}));
    let mut clock = None;
    let mut seen = false;
    while replay.step().map_err(MachineError::from)? {
        let operation = replay.operation();
        seen |= !operation.events.is_empty();
        let times = times(&operation.events, &mut clock);
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let cpu =
            operation.events.iter().rev().find(|event| event.kind == kind::MARK).map_or(0, |event| event.cpu);
        let name =
            operation.text.split_whitespace().find(|word| !word.starts_with("cpu=")).unwrap_or_default();
        events.push(json!({
            "ph": "X", "cat": "operation", "name": name, "pid": 0, "tid": cpu,
            "ts": micros(*first), "dur": micros(last - first),
            "args": {"line": operation.line, "operation": operation.text, "result": recorded_result(operation)},
        }));
        for (event, time) in operation.events.iter().zip(&times) {
            if let Some(name) = name_of(event, &replay) {
                events.push(json!({
                    "ph": "i", "s": "t", "cat": "event", "name": name, "pid": 0, "tid": event.cpu,
                    "ts": micros(*time), "args": {"pc": format!("{:#x}", event.pc)},
                }));
            }
        }
        for finding in &operation.findings {
            events.push(json!({
                "ph": "i", "s": "g", "cat": "finding", "name": finding, "pid": 0, "tid": cpu, "ts": micros(*last),
            }));
        }
    }
    if !seen {
        return Err(Failure::usage(
            "recorded without the plugin: record it again (parallax run TRACE --record FILE.plx)",
        ));
    }
    let document = json!({"displayTimeUnit": "ns", "traceEvents": events});
    serde_json::to_string(&document).map_err(Failure::usage)
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
    let instruction = || replay.site(event.pc).map(|site| site.instruction.clone());
    Some(match event.kind {
        kind::STORE => format!("store {:#x}", event.b),
        kind::MMIO_WRITE => format!("device {:#x} = {:#x}", event.b, event.value),
        kind::MMIO_READ => format!("device {:#x} gave {:#x}", event.b, event.value),
        kind::TLBI => instruction().unwrap_or_else(|| "TLBI".to_owned()),
        kind::BARRIER => instruction().unwrap_or_else(|| "barrier".to_owned()),
        kind::MSR => instruction().unwrap_or_else(|| "MSR".to_owned()),
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
}
