//! The same operations on several hypervisors, one machine at a time: instructions at EL2, pages of tables, time.

use std::fmt::Write;
use std::time::{Duration, Instant};

use parallax_engine::Session;
use parallax_engine::status::{Failure, Status};
use parallax_machine::{Backend, CancellationToken};
use parallax_model::Snapshot;
use parallax_ops::{Batch, CpuId};
use parallax_report::operation_events;
use parallax_report::text_table;
use parallax_trace::Trace;

use crate::document::Instructions;

/// A hypervisor, and what boots it.
pub struct Column {
    /// What it is called.
    pub name: String,
    /// Without the plugin: times are taken of it.
    pub plain: Box<dyn Backend>,
    /// With the plugin, which counts instructions.
    pub watched: Box<dyn Backend>,
}

/// What all of them have. The first operation counts the boot's instructions off.
const TRACE: &str = "\
machine mem=1G cpus=1 cpu=cortex-a76
nop
host_share_hyp pfn=ram+0x10000
host_share_hyp pfn=ram+0x10000
host_share_hyp pfn=ram+0x10001
host_unshare_hyp pfn=ram+0x10001
host_unshare_hyp pfn=ram+0x10000
host_unshare_hyp pfn=ram+0x10000
host_share_hyp pfn=pool
host_share_hyp pfn=0x9000
hypercall id=0xc60000ff
host_write ipa=ram+0x11200000 value=1
host_write ipa=ram+0x11200000 value=1
";
/// How often a page is lent and taken back for the time of one of both.
const PAIRS: usize = 500;

/// What was measured of one.
#[derive(Default)]
struct Measured {
    /// Results, and instructions where they are known.
    operations: Vec<(String, Option<u64>)>,
    /// Pages of the host's stage 2 and of EL2's stage 1, at boot and in the end.
    pages: [(usize, usize); 2],
    /// Of one operation: performed alone, and with a look and all judges.
    times: [Duration; 2],
}

/// Measures `columns`, a tenth as long if it is to be `quick`, and renders what was measured.
///
/// # Errors
/// One of them cannot be booted, or the user cancelled.
pub fn measure(columns: &[Column], quick: bool, cancel: &CancellationToken) -> Result<String, Failure> {
    let trace = Trace::parse("bench", TRACE).map_err(|error| Failure::usage(error.to_string()))?;
    let mut all = Vec::new();
    for column in columns {
        let mut measured = Measured::default();
        counts(&trace, &*column.watched, &mut measured)?;
        times(&trace, &*column.plain, if quick { PAIRS / 10 } else { PAIRS }, &mut measured)?;
        if cancel.is_cancelled() {
            return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() });
        }
        all.push(measured);
    }
    let names = || columns.iter().map(|column| column.name.clone());
    let mut text = String::new();
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        let header: Vec<String> = std::iter::once(title.to_owned()).chain(names()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n", text_table::render_any(&header, &rows));
    };
    let row = |name: String, value: &dyn Fn(&Measured) -> String| -> Vec<String> {
        std::iter::once(name).chain(all.iter().map(value)).collect()
    };
    let operations = trace.ops.iter().enumerate().skip(1).map(|(index, op)| {
        row(op.to_string(), &|measured| match measured.operations.get(index) {
            Some((result, Some(count))) => format!("{count} {result}"),
            Some((result, None)) => format!("- {result}"),
            None => "-".to_owned(),
        })
    });
    section("instructions at EL2, and the result", operations.collect());
    let pages = ["the host's stage 2", "EL2's stage 1"].into_iter().enumerate().map(|(index, name)| {
        row(name.to_owned(), &|measured| {
            format!("{}, then {}", measured.pages[index].0, measured.pages[index].1)
        })
    });
    section("pages of tables at boot, and in the end", pages.collect());
    let times = ["performed", "with a look and all judges"].into_iter().enumerate().map(|(index, name)| {
        row(name.to_owned(), &|measured| format!("{:.2} ms", measured.times[index].as_secs_f64() * 1e3))
    });
    section("time of lending or taking back a page", times.collect());
    Ok(text.trim_end().to_owned() + "\n")
}

/// Instructions of the operations on each of `columns`, with their results.
///
/// # Errors
/// One of them cannot be booted.
pub fn instructions(columns: &[Column]) -> Result<Vec<Instructions>, Failure> {
    let trace = Trace::parse("bench", TRACE).map_err(|error| Failure::usage(error.to_string()))?;
    let mut all = Vec::new();
    for column in columns {
        let mut measured = Measured::default();
        counts(&trace, &*column.watched, &mut measured)?;
        for (op, (result, count)) in trace.ops.iter().zip(measured.operations).skip(1) {
            let (target, mut operation) = (column.name.clone(), format!("{op} => {result}"));
            if all.iter().any(|one: &Instructions| one.target == target && one.operation == operation) {
                operation += ", again";
            }
            all.push(Instructions { target, operation, count, without_smmu: None });
        }
    }
    Ok(all)
}

fn counts(trace: &Trace, backend: &dyn Backend, measured: &mut Measured) -> Result<(), Failure> {
    let mut machine = backend.boot(&trace.machine)?;
    let (mut session, _) = Session::start(machine.as_mut(), None)?;
    let mut spent = Some(session.boot_instructions()).filter(|count| *count != 0);
    let at_boot = pages(session.snapshot());
    for op in &trace.ops {
        let step = session.step(op)?;
        let now = operation_events::instructions(&step.events).or(spent);
        let count = now.zip(spent).map(|(now, before): (u64, u64)| now.saturating_sub(before));
        measured.operations.push((step.outcome.without_value().to_string(), count));
        spent = now;
    }
    let [host, el2] = pages(session.snapshot());
    measured.pages = [(at_boot[0], host), (at_boot[1], el2)];
    Ok(session.finish()?)
}

/// Pages of the host's stage 2, and of EL2's stage 1.
fn pages(state: &Snapshot) -> [usize; 2] {
    let mut pages = [0; 2];
    for run in state.tables.iter() {
        let count = (run.span().size >> 12) as usize;
        pages[0] += if run.value.cpu { count } else { 0 };
        pages[1] += if run.value.el2 { count } else { 0 };
    }
    pages
}

fn times(trace: &Trace, backend: &dyn Backend, pairs: usize, measured: &mut Measured) -> Result<(), Failure> {
    let mut machine = backend.boot(&trace.machine)?;
    let names = machine.target().address_map();
    let pair = [&trace.ops[1], &trace.ops[5]];
    let cost = |begin: Instant| begin.elapsed() / u32::try_from(2 * pairs).unwrap_or(u32::MAX).max(1);
    let mut batches = Vec::new();
    for op in pair {
        let operation = op.operation(&names).map_err(|error| Failure::usage(error.to_string()))?;
        batches.push(Batch::one(CpuId::new(0), operation));
    }
    let begin = Instant::now();
    for _ in 0..pairs {
        for batch in &batches {
            machine.perform(batch)?;
        }
    }
    measured.times[0] = cost(begin);
    let (mut session, _) = Session::start(machine.as_mut(), None)?;
    let begin = Instant::now();
    for _ in 0..pairs {
        for op in pair {
            session.step(op)?;
        }
    }
    measured.times[1] = cost(begin);
    Ok(session.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_is_a_loan_and_its_return() {
        let trace = Trace::parse("bench", TRACE).unwrap();
        let texts = [1, 5].map(|index| trace.ops[index].to_string());
        assert_eq!(texts, ["host_share_hyp pfn=ram+0x10000", "host_unshare_hyp pfn=ram+0x10000"]);
    }
}
