//! Instructions as text.

use std::fmt::Write as _;

use capstone::arch::BuildsCapstone;
use capstone::prelude::*;

use parallax_addr::ImageVa;

use super::Image;

/// How many instructions are shown before and after the one of interest.
const CONTEXT: u64 = 4;

/// The instructions around `address`, one a line, the one at it marked with `>`.
pub(super) fn around(image: &Image, address: ImageVa) -> String {
    let mut text = String::new();
    let first = address.get().saturating_sub(CONTEXT * 4);
    for at in (first..).step_by(4).take(2 * CONTEXT as usize + 1).map(ImageVa::new) {
        if let Some(instruction) = one(image, at) {
            let mark = if at == address { '>' } else { ' ' };
            let _ = writeln!(text, "  {mark} {at:#x}: {instruction}");
        }
    }
    text
}

/// The instruction at `address`; a word that is none is shown as `.word`.
pub(super) fn one(image: &Image, address: ImageVa) -> Option<String> {
    let bytes = image.code_from(address)?.get(..4)?;
    let capstone = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build().ok()?;
    let decoded = capstone.disasm_count(bytes, address.get(), 1).ok()?;
    Some(match decoded.first() {
        Some(instruction) => {
            let operands = instruction.op_str().unwrap_or_default();
            format!("{} {operands}", instruction.mnemonic().unwrap_or("?")).trim_end().to_owned()
        }
        None => format!(
            ".word {:#010x}",
            bytes.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
        ),
    })
}
