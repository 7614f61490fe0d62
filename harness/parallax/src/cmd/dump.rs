//! `parallax dump`: the tables of both sides after an operation.
//!
//! ```text
//! 4: host_donate_hyp pfn=ram+0x20 -> ok
//! cpu  ram+0x20000..+0x21000  annotated hyp
//! smmu ram+0x21000..+0x22000  RW normal 4K
//! ```

use std::fmt::Write;
use std::ops::ControlFlow;

use anyhow::Result;
use parallax_engine::Mode;
use parallax_engine::status::Status;
use parallax_model::raw::{self, Roots};
use parallax_model::{BlockSize, View, attrs, guest_regimes, state_lines};
use parallax_suite::source::{self, Moment, Source};

use super::output::print;
use crate::cli::{Dump, DumpView};
use crate::interrupt;

/// Runs it.
pub(super) fn dump(args: &Dump) -> Result<Status> {
    let cancel = interrupt::token()?;
    let source = Source::open(&args.source, &[])?;
    let mut text = None;
    let mut lines = Vec::new();
    source.visit((false, Mode::Step), &cancel, |moment| {
        lines.extend(moment.lines);
        let wanted = args.op.is_none_or(|op| moment.lines.contains(&op));
        if wanted {
            text = Some(render(args, moment));
        }
        if args.op.is_some() && wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let text = text.ok_or_else(|| source::unknown(args.op.unwrap_or_default(), lines))?;
    print(&text)?;
    Ok(Status::Same)
}

/// Which memory type each side makes of an access. All streams of a machine go the same way; the first one speaks
/// for them.
fn effective(moment: &Moment<'_>) -> String {
    let first = moment.snapshot.smmu.as_ref().and_then(|smmu| smmu.streams.first());
    match first.and_then(|run| u32::try_from(run.base).ok()) {
        Some(sid) => attrs::text(&attrs::effective(moment.snapshot, moment.context, sid), moment.context),
        None => "Effective memory attributes: no stream goes through the SMMU.\n".to_owned(),
    }
}

fn render(args: &Dump, moment: &Moment<'_>) -> String {
    let Moment { line, text: operation, result, .. } = moment;
    let mut text = match result.is_empty() {
        true => format!("{line}: {operation}\n"),
        false => format!("{line}: {operation} -> {result}\n"),
    };
    let view = match args.view {
        DumpView::Both => Some(View::Both),
        DumpView::Cpu => Some(View::Cpu),
        DumpView::Smmu => Some(View::Smmu),
        DumpView::El2 => Some(View::El2),
        DumpView::Guest => Some(View::Guest),
        DumpView::All => Some(View::All),
        DumpView::Raw => None,
    };
    let context = moment.context;
    match view {
        Some(view) => {
            for line in state_lines(moment.snapshot, &context.symbols, view, BlockSize::Shown) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{line}");
            }
        }
        None => {
            let registers = moment.registers;
            let guests = guest_regimes(moment.memory, moment.told, &registers.sys);
            let roots = Roots { sys: &registers.sys, smmu: registers.smmu.as_ref(), guests: &guests };
            let lines = raw::text(moment.memory, roots, &context.symbols, View::All, None);
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    if args.attrs {
        text.push('\n');
        text.push_str(&effective(moment));
    }
    text
}
