//! What an operation did beside stores to tables: invalidations, barriers and SMMU commands, in order.

use parallax_abi::journal::{Record, kind};
use parallax_addr::ImageVa;
use parallax_machine::recording::Replay;
use parallax_model::Span;
use serde::Serialize;

use crate::command_reader::CommandReader;

/// No more lines than this are kept of one operation.
const LINES: usize = 64;

/// How often each kind of event occurred: stores, invalidations, barriers, system registers, device accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts(u32, u32, u32, u32, u32);

/// The counts and the lines of `events`, with the command queue at `queue`.
pub(super) fn counts_and_lines(events: &[Record], queue: Span, replay: &Replay) -> (Counts, Vec<String>) {
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
                Some(format!("{}, {:#x}", instruction(record, replay), record.value))
            }
            kind::BARRIER => {
                counts.2 += 1;
                Some(instruction(record, replay))
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
            Some(line) if lines.len() < LINES => lines.push(format!("cpu{} {line}", record.cpu)),
            Some(_) => left_out += 1,
            None => {}
        }
    }
    if left_out > 0 {
        lines.push(format!("and {left_out} more"));
    }
    (counts, lines)
}

fn instruction(record: &Record, replay: &Replay) -> String {
    replay
        .site(ImageVa::new(record.pc))
        .map_or_else(|| format!("instruction {:#010x}", record.a), |site| site.instruction.clone())
}
