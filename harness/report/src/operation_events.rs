//! What an operation did beside stores to tables: invalidations, barriers and SMMU commands, in order.

use parallax_abi::journal::{Record, kind};
use parallax_addr::ImageVa;
use parallax_engine::event_text;
use parallax_machine::recording::Replay;
use parallax_machine::symbols::Symbols;
use parallax_model::Span;
use serde::Serialize;

use crate::command_reader::CommandReader;

/// How often each kind of event occurred: stores, invalidations, barriers, system registers, device accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts(u32, u32, u32, u32, u32);

impl Counts {
    /// Stores.
    #[must_use]
    pub const fn stores(self) -> u32 {
        self.0
    }
}

/// Who knows the instructions that events name.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// A recording.
    Recorded(&'a Replay),
    /// The symbols of what runs, where there are any.
    Live(Option<&'a Symbols>),
}

impl Code<'_> {
    /// What `record` says, and where in the source that was.
    #[must_use]
    pub fn line(self, record: &Record) -> String {
        let pc = ImageVa::new(record.pc);
        let described = match self {
            Self::Recorded(replay) => replay.site(pc).map(|site| site.place.clone()),
            Self::Live(symbols) => symbols.map(|symbols| symbols.describe(pc)),
        };
        event_text::line(record, described.as_deref(), &self.instruction(record))
    }

    /// The instruction that `record` names, as text.
    fn instruction(self, record: &Record) -> String {
        let pc = ImageVa::new(record.pc);
        let known = match self {
            Self::Recorded(replay) => replay.site(pc).map(|site| site.instruction.clone()),
            Self::Live(symbols) => symbols.and_then(|symbols| symbols.instruction(pc)),
        };
        known.unwrap_or_else(|| format!("instruction {:#010x}", record.a))
    }
}

/// Instructions at EL2 since power-on until the end of the operation with these events, where they say how many.
#[must_use]
pub fn instructions(events: &[Record]) -> Option<u64> {
    let ends = |event: &&Record| matches!(event.kind, kind::MARK | kind::ERET);
    events.iter().rev().find(ends).map(|event| event.b)
}

/// The counts of `events` and at most `most` lines of them, with the command queue at `queue`.
#[must_use]
pub fn counts_and_lines(
    events: &[Record],
    queue: Span,
    code: Code<'_>,
    most: usize,
) -> (Counts, Vec<String>) {
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    let mut commands = CommandReader::new(queue);
    let mut left_out = 0;
    for record in events {
        let line = match record.kind {
            kind::STORE => {
                counts.0 += 1;
                let command = (record.size == 8).then(|| commands.store(record.b, record.value)).flatten();
                command.map(|command| format!("SMMU {command}"))
            }
            kind::TLBI => {
                counts.1 += 1;
                // Which register the operand is in is the compiler's choice.
                let instruction = code.instruction(record);
                let name = instruction.split(',').next().unwrap_or_default();
                Some(format!("{name}, {:#x}", record.value))
            }
            kind::BARRIER => {
                counts.2 += 1;
                Some(code.instruction(record))
            }
            kind::MSR => {
                counts.3 += 1;
                None
            }
            kind::MMIO_READ | kind::MMIO_WRITE => {
                counts.4 += 1;
                None
            }
            _ => None,
        };
        match line {
            Some(line) if lines.len() < most => lines.push(format!("cpu{} {line}", record.cpu)),
            Some(_) => left_out += 1,
            None => {}
        }
    }
    if left_out > 0 {
        lines.push(format!("and {left_out} more"));
    }
    (counts, lines)
}
