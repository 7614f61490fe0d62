//! `parallax events`: what the hypervisor did during each operation, as the plugin saw it.
//!
//! ```text
//!  line  operation                               instructions  stores  TLBI  barriers  MSR  device
//!  4     host_donate_hyp pfn=ram+0x4100 -> ok     612           71      2     7         0    3
//! ```

use std::ops::ControlFlow;

use anyhow::Result;
use parallax_abi::journal::{Record, kind};
use parallax_engine::status::{Failure, Status};
use parallax_engine::{Mode, project};
use parallax_report::text_table;
use parallax_suite::source::{self, Moment, Source};

use super::output::print;
use super::run::target;
use crate::cli::{self, Target};
use crate::interrupt;

/// Runs it.
pub(super) fn events(args: &cli::Events) -> Result<Status> {
    args.target.check(args.vmlinux.as_ref())?;
    let source = Source::open(&args.source, &[])?;
    if let (Some(line), Source::Trace(case)) = (args.op, &source)
        && !case.trace.ops.iter().any(|op| op.line == line)
    {
        return Err(source::unknown(line, case.trace.ops.iter().map(|op| op.line)).into());
    }
    let (mut rows, mut listed) = (Vec::new(), None);
    let (mut before, mut any, mut lines) = (None, false, Vec::new());
    let cancel = interrupt::token()?;
    let visit = |moment: &Moment<'_>| {
        let title = format!("{} -> {}", moment.text, moment.result);
        lines.extend(moment.lines.iter().filter(|line| **line != 0));
        if args.op.is_some_and(|op| op != 0 && moment.lines.contains(&op)) {
            let list = moment.events.iter().map(|record| moment.code.line(record) + "\n");
            listed = Some(format!("{}: {title}\n{}", moment.line, list.collect::<String>()));
            return ControlFlow::Break(());
        }
        let now = moment.executed.or(before);
        if moment.line != 0 {
            any |= !moment.events.is_empty();
            let spent = now.zip(before).map(|(now, before): (u64, u64)| now.saturating_sub(before));
            rows.push(row(moment.line, title, spent, moment.events));
        }
        before = now;
        ControlFlow::Continue(())
    };
    match (args.target.target, source) {
        (Target::Hyp, source) => source.visit((true, Mode::Step), &cancel, visit)?,
        (Target::Pkvm, Source::Trace(case)) => {
            let root = project::root(std::slice::from_ref(&case.place.golden))?;
            let vmlinux = args.vmlinux.as_ref();
            let pkvm = target::pkvm_with_events(&args.target, vmlinux, &root, &cancel)?;
            source::perform_on((&pkvm, Mode::Step), &case, &cancel, visit)?;
        }
        (Target::Pkvm, Source::Recording(_)) => {
            return Err(Failure::usage(target::OF_A_RECORDING).into());
        }
    }
    if let Some(line) = args.op {
        print(&listed.ok_or_else(|| source::unknown(line, lines))?)?;
        return Ok(Status::Same);
    }
    if !any && !rows.is_empty() {
        let path = args.source.display();
        let message = format!(
            "{path}: recorded without the plugin: record it again (parallax run TRACE --record {path})"
        );
        return Err(Failure::usage(message).into());
    }
    let header = ["line", "operation", "instructions", "stores", "TLBI", "barriers", "MSR", "device"]
        .map(String::from);
    print(&(text_table::render(&header, &rows, 2) + "\n"))?;
    Ok(Status::Same)
}

fn row(line: usize, title: String, instructions: Option<u64>, records: &[Record]) -> [String; 8] {
    let count =
        |kinds: &[u8]| records.iter().filter(|record| kinds.contains(&record.kind)).count().to_string();
    [
        line.to_string(),
        title,
        instructions.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        count(&[kind::STORE]),
        count(&[kind::TLBI]),
        count(&[kind::BARRIER]),
        count(&[kind::MSR]),
        count(&[kind::MMIO_READ, kind::MMIO_WRITE]),
    ]
}
