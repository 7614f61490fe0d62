//! `parallax diff`: what two traces or recordings did differently, operation by operation.
//!
//! ```text
//! --- before.plx
//! +++ after.plx
//! @@ -8,3 +8,3 @@
//!  host_donate_hyp pfn=ram+0x20 -> ok
//! -   smmu ram+0x20000..+0x21000   - RW normal 4K
//! -   event cpu0 SMMU CMD_TLBI_S2_IPA
//! +   ! sync/extra smmu ram+0x20000..+0x21000: devices reach what the host's table gives to another [...]
//! ```

use std::fmt::Write;
use std::ops::ControlFlow;

use anyhow::Result;
use clap::ValueEnum;
use parallax_engine::status::{Failure, Status};
use parallax_engine::{Mode, visible};
use parallax_machine::CancellationToken;
use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Check, Delta, GoldenLine, View, state_lines};
use parallax_report::operation_events;
use parallax_report::text_diff;
use parallax_suite::revision;
use parallax_suite::source::{Moment, Source};

use super::output::print;
use crate::cli::{Compared, Diff, Ignore};
use crate::interrupt;

/// The longest text that is compared, in bytes.
const MAX_TEXT: usize = 64 << 20;
/// What stands before an event.
const EVENT: &str = "   event ";
/// What stands before the counts.
const COUNTS: &str = "   at EL2: ";

/// Whether a line is of some part.
type IsOf = fn(&str) -> bool;

/// What a side may say nothing of, and its lines: the first recordings of which bits of EL2's control registers are set, and
/// what was recorded without the plugin of what happened inside of operations. Then it is no difference.
const PARTS: [(&str, IsOf); 2] = [("EL2 controls", is_of_controls), ("events", is_of_events)];

/// Runs it.
pub(super) fn diff(args: &Diff) -> Result<Status> {
    let cancel = interrupt::token()?;
    let ignored = args.ignore.contains(&Ignore::BlockSize);
    let block_size = if ignored { BlockSize::Ignored } else { BlockSize::Shown };
    let wanted = if args.only.is_empty() { Compared::value_variants() } else { &args.only };
    // Both are read before either is performed: a mistake in the second one shows at once.
    let machine = |own: &[String]| [&args.machine, own].concat();
    let left = Source::open(&args.left, &machine(&args.left_machine))?;
    let right_path = args.right.as_ref().unwrap_or(&args.left);
    let right = Source::open(right_path, &machine(&args.right_machine))?;
    if args.rev.is_some() && matches!(left, Source::Recording(_)) {
        let what = "a recording is of the revision that it was made of; --rev wants a trace";
        return Err(Failure::usage(format!("{}: {what}", args.left.display())).into());
    }
    if args.rev.is_some() && args.right.is_some() {
        let what = "--rev holds one trace on two revisions against each other: name no second one";
        return Err(Failure::usage(what).into());
    }
    if args.right.is_none() && args.rev.is_none() && args.left_machine == args.right_machine {
        let what = "it would be held against itself: name B, --rev, --left or --right";
        return Err(Failure::usage(format!("{}: {what}", args.left.display())).into());
    }
    let rev = args.rev.as_deref();
    if let (Some(rev), Source::Trace(case)) = (rev, &left)
        && revision::is_another(case, rev)?
    {
        let (rev, label) = (visible::line(rev), visible::line(&case.place.label));
        parallax_engine::note!(
            "{label} is another trace at {rev}: both hypervisors perform it as it is now. The traces beside each other: \
             git show {rev}:{label} >/tmp/old.trace && parallax diff /tmp/old.trace {label}"
        );
    }
    if args.mode == Mode::Stream && [&left, &right].iter().all(|side| matches!(side, Source::Recording(_))) {
        let what = "recordings were made as they were made: leave --mode out";
        return Err(Failure::usage(what).into());
    }
    let how = (wanted, block_size, args.mode);
    let mut left = history(left, rev, how, &cancel)?;
    let mut right = history(right, None, how, &cancel)?;
    let mut left_name = args.left.display().to_string();
    if let Some(rev) = rev {
        left_name += &format!(" at {}", visible::line(rev));
    }
    let mut note = String::new();
    for (index, (what, is_of)) in PARTS.into_iter().enumerate() {
        if left.has[index] != right.has[index] {
            let right_name = right_path.display().to_string();
            let without = if left.has[index] { &right_name } else { &left_name };
            let _ = writeln!(note, "{without} has no {what}: they are not compared");
            left.leave_out(is_of);
            right.leave_out(is_of);
        }
    }
    let difference = text_diff::unified(&left.text, &right.text);
    if difference.is_empty() {
        print(&note)?;
        return Ok(Status::Same);
    }
    print(&format!("--- {left_name}\n+++ {}\n{difference}{note}", right_path.display()))?;
    Ok(Status::Diverged)
}

/// What one side did.
struct History {
    text: String,
    /// Whether it says anything of each of [`PARTS`].
    has: [bool; 2],
}

impl History {
    fn leave_out(&mut self, is_of: IsOf) {
        self.text = self.text.split_inclusive('\n').filter(|line| !is_of(line)).collect();
    }
}

/// What `wanted` names of the state after boot, and of each operation. Operations have no line numbers here: those are the
/// trace's business, and two traces may differ in comments only.
fn history(
    source: Source,
    rev: Option<&str>,
    (wanted, block_size, mode): (&[Compared], BlockSize, Mode),
    cancel: &CancellationToken,
) -> Result<History, Failure> {
    let mut told = History { text: String::new(), has: [false; 2] };
    let mut before: Option<Canonical> = None;
    let mut executed = None;
    let wants = |what| wanted.contains(&what);
    let events = [Compared::Findings, Compared::Events, Compared::Counts].into_iter().any(wants);
    let see = |moment: &Moment<'_>| {
        told.has[0] |=
            wants(Compared::Tables) && moment.snapshot.cpus.iter().any(|cpu| cpu.registers.control.is_some());
        told.has[1] |= events && !moment.events.is_empty();
        let text = &mut told.text;
        // Writing to a string cannot fail.
        let _ = match moment.result {
            result if result.is_empty() || !wants(Compared::Results) => writeln!(text, "{}", moment.text),
            result => writeln!(text, "{} -> {result}", moment.text),
        };
        if wants(Compared::Tables) {
            let form = Canonical::of(moment.snapshot, block_size);
            let symbols = &moment.context.symbols;
            let lines = match &before {
                None => state_lines(moment.snapshot, symbols, View::All, block_size),
                Some(before) => Delta::of(before, &form).lines(symbols, View::All),
            };
            lines.iter().for_each(|line| _ = writeln!(text, "   {line}"));
            before = Some(form);
        }
        if wants(Compared::Findings) {
            moment.findings.iter().for_each(|finding| _ = writeln!(text, "   ! {finding}"));
        }
        // A recording does not tell it of the boot.
        let now = moment.executed.filter(|_| moment.line != 0);
        let spent = now.zip(executed).map(|(now, before): (u64, u64)| now.saturating_sub(before));
        tell_events(text, moment, wants, spent);
        executed = now.or(executed);
        if text.len() > MAX_TEXT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match (source, rev) {
        (Source::Trace(case), Some(rev)) => revision::visit(&case, rev, (events, mode), cancel, see)?,
        (source, _) => source.visit((events, mode), cancel, see)?,
    }
    if told.text.len() > MAX_TEXT {
        return Err(Failure::usage(format!("more than {} MiB of changes on one side", MAX_TEXT >> 20)));
    }
    Ok(told)
}

/// What happened inside of an operation with so many `instructions`, if that is known.
fn tell_events(
    text: &mut String,
    moment: &Moment<'_>,
    wants: impl Fn(Compared) -> bool,
    instructions: Option<u64>,
) {
    let Moment { events, queue, code, .. } = *moment;
    let (counts, lines) = operation_events::counts_and_lines(events, queue, code, usize::MAX);
    if wants(Compared::Events) {
        lines.iter().for_each(|line| _ = writeln!(text, "{EVENT}{line}"));
    }
    if wants(Compared::Counts) && !events.is_empty() {
        let instructions = instructions.map(|count| format!("{count} instructions, ")).unwrap_or_default();
        let _ = writeln!(text, "{COUNTS}{instructions}{} stores", counts.stores());
    }
}

fn is_of_controls(line: &str) -> bool {
    line.contains("EL2 controls:")
}

/// Whether only a run with the plugin can have `line`.
fn is_of_events(line: &str) -> bool {
    let found = |line| match GoldenLine::of(line) {
        GoldenLine::Finding(finding) => finding.check().is_some_and(Check::needs_events),
        _ => false,
    };
    line.starts_with(EVENT) || line.starts_with(COUNTS) || found(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_does_not_tell_is_left_out_of_both() {
        let text = "boot\n   cpu0 EL2 controls: HCR_EL2=VM\n   regs SMMU_CR0\nnop -> ok\n   ! sync/extra x\n   \
                    ! protocol/missing-dsb x\n   event cpu0 dsb ish\n   at EL2: 3 instructions, 1 stores\n";
        let mut told = History { text: text.to_owned(), has: [true; 2] };
        told.leave_out(is_of_controls);
        told.leave_out(is_of_events);
        assert_eq!(told.text, "boot\n   regs SMMU_CR0\nnop -> ok\n   ! sync/extra x\n");
    }
}
