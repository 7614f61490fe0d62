//! The same operations on several hypervisors, one machine at a time: instructions at EL2, pages of tables, time.

use std::fmt::Write;
use std::time::Instant;

use parallax_engine::Session;
use parallax_engine::status::{Failure, Status};
use parallax_machine::{Backend, CancellationToken};
use parallax_model::Snapshot;
use parallax_ops::{Batch, CpuId};
use parallax_report::bench_targets::{Benched, BenchedOperation, BenchedPages, BenchedTarget};
use parallax_report::operation_events;
use parallax_report::text_table;
use parallax_trace::Trace;

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

/// Measures `columns`, a tenth as long if it is to be `quick`.
///
/// # Errors
/// One of them cannot be booted, or the user cancelled.
pub fn measure(columns: &[Column], quick: bool, cancel: &CancellationToken) -> Result<Benched, Failure> {
    let trace = Trace::parse("bench", TRACE).map_err(|error| Failure::usage(error.to_string()))?;
    let mut all = Vec::new();
    for column in columns {
        let mut measured = BenchedTarget {
            target: column.name.clone(),
            operations: Vec::new(),
            pages_at_boot: BenchedPages::default(),
            pages_at_end: BenchedPages::default(),
            performed_ns: 0,
            judged_ns: 0,
        };
        counts(&trace, &*column.watched, &mut measured)?;
        times(&trace, &*column.plain, if quick { PAIRS / 10 } else { PAIRS }, &mut measured)?;
        if cancel.is_cancelled() {
            return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() });
        }
        all.push(measured);
    }
    Ok(Benched::of(all))
}

/// What was measured, as tables: a column for each.
#[must_use]
pub fn text(benched: &Benched) -> String {
    let all = &benched.targets;
    let mut text = String::new();
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        let names = all.iter().map(|one| one.target.clone());
        let header: Vec<String> = std::iter::once(title.to_owned()).chain(names).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n", text_table::render_any(&header, &rows));
    };
    let row = |name: &str, value: &dyn Fn(&BenchedTarget) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(all.iter().map(value)).collect()
    };
    let first = all.first().map(|one| &one.operations[..]).unwrap_or_default();
    let operations = first.iter().enumerate().map(|(index, op)| {
        row(&op.operation, &|one| match one.operations.get(index) {
            Some(BenchedOperation { instructions: Some(count), result, .. }) => format!("{count} {result}"),
            Some(BenchedOperation { result, .. }) => format!("- {result}"),
            None => "-".to_owned(),
        })
    });
    section("instructions at EL2, and the result", operations.collect());
    let pages = |of: fn(&BenchedPages) -> usize| {
        move |one: &BenchedTarget| format!("{}, then {}", of(&one.pages_at_boot), of(&one.pages_at_end))
    };
    let rows = vec![
        row("the host's stage 2", &pages(|pages| pages.host_stage2)),
        row("EL2's stage 1", &pages(|pages| pages.el2_stage1)),
    ];
    section("pages of tables at boot, and in the end", rows);
    let time =
        |of: fn(&BenchedTarget) -> u64| move |one: &BenchedTarget| format!("{:.2} ms", of(one) as f64 / 1e6);
    let rows = vec![
        row("performed", &time(|one| one.performed_ns)),
        row("with a look and all judges", &time(|one| one.judged_ns)),
    ];
    section("time of lending or taking back a page", rows);
    text.trim_end().to_owned() + "\n"
}

fn counts(trace: &Trace, backend: &dyn Backend, measured: &mut BenchedTarget) -> Result<(), Failure> {
    let mut machine = backend.boot(&trace.machine)?;
    let (mut session, _) = Session::start(machine.as_mut(), None)?;
    let mut spent = Some(session.boot_instructions()).filter(|count| *count != 0);
    let at_boot = pages(session.snapshot());
    for (index, op) in trace.ops.iter().enumerate() {
        let step = session.step(op)?;
        let now = operation_events::instructions(&step.events).or(spent);
        let count = now.zip(spent).map(|(now, before): (u64, u64)| now.saturating_sub(before));
        // The first one is there for what was counted before it.
        if index != 0 {
            let (operation, result) = (op.to_string(), step.outcome.without_value().to_string());
            measured.operations.push(BenchedOperation { operation, result, instructions: count });
        }
        spent = now;
    }
    (measured.pages_at_boot, measured.pages_at_end) = (at_boot, pages(session.snapshot()));
    Ok(session.finish()?)
}

/// Pages of the host's stage 2, and of EL2's stage 1.
fn pages(state: &Snapshot) -> BenchedPages {
    let mut pages = BenchedPages::default();
    for run in state.tables.iter() {
        let count = (run.span().size >> 12) as usize;
        pages.host_stage2 += if run.value.cpu { count } else { 0 };
        pages.el2_stage1 += if run.value.el2 { count } else { 0 };
    }
    pages
}

fn times(
    trace: &Trace,
    backend: &dyn Backend,
    pairs: usize,
    measured: &mut BenchedTarget,
) -> Result<(), Failure> {
    let mut machine = backend.boot(&trace.machine)?;
    let names = machine.target().address_map();
    let pair = [&trace.ops[1], &trace.ops[5]];
    let cost = |begin: Instant| {
        let nanos = begin.elapsed().as_nanos() / (2 * pairs as u128).max(1);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    };
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
    measured.performed_ns = cost(begin);
    let (mut session, _) = Session::start(machine.as_mut(), None)?;
    let begin = Instant::now();
    for _ in 0..pairs {
        for op in pair {
            session.step(op)?;
        }
    }
    measured.judged_ns = cost(begin);
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
