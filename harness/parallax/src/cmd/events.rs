//! `parallax events`: what the hypervisor did during each operation, as the plugin saw it.
//!
//! ```text
//!  line  operation                               instructions  stores  TLBI  barriers  MSR  device
//!  4     host_donate_hyp pfn=ram+0x4100 -> ok     612           71      2     7         0    3
//! ```

use anyhow::Result;
use parallax_abi::journal::{Record, kind};
use parallax_engine::Session;
use parallax_engine::event_text;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::Backend;
use parallax_report::text_table;
use parallax_suite::cases;

use super::output::print;
use crate::cli;
use crate::interrupt;

/// Runs it.
pub(super) fn events(args: &cli::Events) -> Result<Status> {
    let cases = cases::load(std::slice::from_ref(&args.trace)).map_err(Failure::from)?;
    let [case] = &cases[..] else { return Err(Failure::usage("name one trace").into()) };
    if let Some(line) = args.op
        && !case.trace.ops.iter().any(|op| op.line == line)
    {
        return Err(Failure::usage(format!("no operation in line {line}")).into());
    }
    let cancel = interrupt::token()?;
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let hyp = live::with_events(live::build(&root, [&case.trace], &cancel)?, &root)?;
    let mut machine = hyp.boot(&case.trace.machine).map_err(Failure::from)?;
    let (mut session, _) = Session::start(machine.as_mut(), None).map_err(Failure::from)?;
    let mut rows = Vec::new();
    let mut instructions = session.boot_instructions();
    let mut steps = Vec::new();
    while steps.len() < case.trace.ops.len() {
        steps.extend(session.next(&case.trace.ops[steps.len()..]).map_err(Failure::from)?);
    }
    for (op, step) in case.trace.ops.iter().zip(steps) {
        let total = step.events.iter().rev().find(|record| record.kind == kind::MARK).map(|record| record.b);
        let spent = total.unwrap_or(instructions) - instructions;
        instructions += spent;
        let title = format!("{op} -> {}", step.outcome.without_value());
        if args.op == Some(op.line) {
            let list = |record| event_text::line(record, session.machine().symbols()) + "\n";
            print(&format!("{}: {title}\n{}", op.line, step.events.iter().map(list).collect::<String>()))?;
            return Ok(Status::Same);
        }
        rows.push(row(op.line, title, spent, &step.events));
    }
    let header = ["line", "operation", "instructions", "stores", "TLBI", "barriers", "MSR", "device"]
        .map(String::from);
    print(&(text_table::render(&header, &rows, 2) + "\n"))?;
    Ok(Status::Same)
}

fn row(line: usize, title: String, instructions: u64, records: &[Record]) -> [String; 8] {
    let count =
        |kinds: &[u8]| records.iter().filter(|record| kinds.contains(&record.kind)).count().to_string();
    [
        line.to_string(),
        title,
        instructions.to_string(),
        count(&[kind::STORE]),
        count(&[kind::TLBI]),
        count(&[kind::BARRIER]),
        count(&[kind::MSR]),
        count(&[kind::MMIO_READ, kind::MMIO_WRITE]),
    ]
}
