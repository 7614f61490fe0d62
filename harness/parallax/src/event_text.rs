//! Events of a plugin as text.

use parallax_abi::journal::{Record, kind};
use parallax_machine::symbols::Symbols;

/// What happened, and where in the source.
#[must_use]
pub fn line(record: &Record, symbols: Option<&Symbols>) -> String {
    let place = symbols.map_or_else(|| format!("{:#x}", record.pc), |symbols| symbols.describe(record.pc));
    let digits = 2 + 2 * usize::from(record.size);
    let instruction = || symbols.and_then(|symbols| symbols.instruction(record.pc)).unwrap_or_default();
    let what = match record.kind {
        kind::STORE => format!("store      {:#014x} = {:#0digits$x}", record.b, record.value),
        kind::MMIO_WRITE => format!("device     {:#014x} = {:#0digits$x}", record.b, record.value),
        kind::MMIO_READ => format!("device     {:#014x} gave {:#0digits$x}", record.b, record.value),
        kind::TLBI => format!("invalidate {}, operand {:#x}", instruction(), record.value),
        kind::BARRIER => format!("barrier    {}", instruction()),
        kind::MSR => format!("register   {}, value {:#x}", instruction(), record.value),
        kind::ERET => "return     to the host".to_owned(),
        kind::VECTOR => format!("enter      vector {:#05x}", record.a),
        kind::MARK => "done       the test host has its answer".to_owned(),
        other => format!("unknown    kind {other}"),
    };
    format!("  cpu{} {what:<46} {place}", record.cpu)
}
