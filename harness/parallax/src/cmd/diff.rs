//! `parallax diff`: what two traces or recordings did differently, operation by operation.
//!
//! ```text
//! --- before.plx
//! +++ after.plx
//! @@ -8,3 +8,3 @@
//!  host_donate_hyp pfn=ram+0x20 -> ok
//! -   smmu ram+0x20000..+0x21000   - RW normal 4K
//! ```

use std::fmt::Write;
use std::ops::ControlFlow;

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_machine::CancellationToken;
use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Delta, View, state_lines};
use parallax_report::text_diff;
use parallax_suite::source::Source;

use super::output::print;
use crate::cli::{Diff, Ignore};
use crate::interrupt;

/// The longest text that is compared, in bytes.
const MAX_TEXT: usize = 64 << 20;

/// Runs it.
pub(super) fn diff(args: &Diff) -> Result<Status> {
    let cancel = interrupt::token()?;
    let ignored = args.ignore.contains(&Ignore::BlockSize);
    let block_size = if ignored { BlockSize::Ignored } else { BlockSize::Shown };
    // Both are read before either is performed: a mistake in the second one shows at once.
    let left = Source::open(&args.left, &args.left_machine)?;
    let right_path = args.right.as_ref().unwrap_or(&args.left);
    let right = Source::open(right_path, &args.right_machine)?;
    let left = history(left, block_size, &cancel)?;
    let right = history(right, block_size, &cancel)?;
    let mut note = String::new();
    let (left, right) = match (left.controls, right.controls) {
        (true, false) | (false, true) => {
            let without = if left.controls { right_path } else { &args.left };
            note = format!("{} has no EL2 controls: they are not compared\n", without.display());
            (without_controls(&left.text), without_controls(&right.text))
        }
        _ => (left.text, right.text),
    };
    let difference = text_diff::unified(&left, &right);
    if difference.is_empty() {
        print(&note)?;
        return Ok(Status::Same);
    }
    print(&format!("--- {}\n+++ {}\n{difference}{note}", args.left.display(), right_path.display()))?;
    Ok(Status::Diverged)
}

/// What one side did.
struct History {
    text: String,
    /// Whether it says which bits of EL2's control registers are set: the first recordings do not.
    controls: bool,
}

/// The state after boot, and what each operation changed. Operations have no line numbers here: those are the
/// trace's business, and two traces may differ in comments only.
fn history(source: Source, block_size: BlockSize, cancel: &CancellationToken) -> Result<History, Failure> {
    let mut text = String::new();
    let mut controls = false;
    let mut before: Option<Canonical> = None;
    source.visit(cancel, |moment| {
        controls |= moment.snapshot.cpus.iter().any(|cpu| cpu.registers.control.is_some());
        let form = Canonical::of(moment.snapshot, block_size);
        let symbols = &moment.context.symbols;
        let lines = match &before {
            None => state_lines(moment.snapshot, symbols, View::All, block_size),
            Some(before) => Delta::of(before, &form).lines(symbols, View::All),
        };
        // Writing to a string cannot fail.
        let _ = match moment.result {
            "" => writeln!(text, "{}", moment.text),
            result => writeln!(text, "{} -> {result}", moment.text),
        };
        for line in lines {
            let _ = writeln!(text, "   {line}");
        }
        before = Some(form);
        if text.len() > MAX_TEXT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if text.len() > MAX_TEXT {
        return Err(Failure::usage(format!("more than {} MiB of changes on one side", MAX_TEXT >> 20)));
    }
    Ok(History { text, controls })
}

/// `text` without what it says of EL2's controls.
fn without_controls(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.contains("EL2 controls:")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_left_out_where_one_side_has_none() {
        let text = "boot\n   cpu0 EL2 controls: HCR_EL2=VM\n   regs SMMU_CR0\n";
        assert_eq!(without_controls(text), "boot\n   regs SMMU_CR0\n");
    }
}
