//! What an operation did, in order, for the time line of one in which a rule of the order was broken.

use parallax_abi::journal::{Record, kind};
use parallax_addr::ImageVa;
use parallax_machine::recording::{Operation, RecordedFinding, Replay};
use parallax_model::Span;

use super::data::Happened;
use super::intern::Intern;
use crate::command_reader::CommandReader;
use crate::operation_events::Code;

/// No more than this is kept of one operation.
const MOST: usize = 600;

/// Kinds of [`Happened`], which the page draws in rows.
const STORE: u8 = 0;
const LOCK: u8 = 1;
const BARRIER: u8 = 2;
const TLBI: u8 = 3;
const COMMAND: u8 = 4;

/// What `operation` did; empty where no rule of the order was broken in it. The SMMU's queue is at `queue`.
pub(super) fn happened(
    operation: &Operation,
    queue: Span,
    replay: &Replay,
    intern: &mut Intern,
) -> Vec<Happened> {
    let broken: Vec<u64> = operation.findings.iter().flat_map(places).collect();
    if broken.is_empty() {
        return Vec::new();
    }
    let mut commands = CommandReader::new(queue);
    let mut runs: Vec<Run> = Vec::new();
    for record in &operation.events {
        let text = Code::Recorded(replay).line(record);
        let Some((kind, text)) = classified(record, text.trim(), &mut commands, replay) else { continue };
        match runs.last_mut() {
            // A loop that fills a table is one thing.
            Some(run) if (run.pc, run.kind, run.cpu) == (record.pc, kind, record.cpu) => run.count += 1,
            _ => runs.push(Run { pc: record.pc, kind, cpu: record.cpu, count: 1, text }),
        }
    }
    let kept = runs.iter().enumerate().filter(|(at, run)| *at < MOST || broken.contains(&run.pc));
    let happened = kept.map(|(_, run)| {
        let times = if run.count == 1 { String::new() } else { format!("{} times, the first: ", run.count) };
        Happened(run.kind, run.cpu, intern.text(&(times + &run.text)), broken.contains(&run.pc))
    });
    happened.collect()
}

/// The same instruction again and again.
struct Run {
    pc: u64,
    kind: u8,
    cpu: u8,
    count: usize,
    /// What it did first.
    text: String,
}

fn classified(
    record: &Record,
    text: &str,
    commands: &mut CommandReader,
    replay: &Replay,
) -> Option<(u8, String)> {
    match record.kind {
        kind::STORE => {
            let command = (record.size == 8).then(|| commands.store(record.b, record.value)).flatten();
            let site = replay.site(ImageVa::new(record.pc)).map_or("", |site| site.place.as_str());
            Some(match command {
                Some(command) => (COMMAND, format!("cpu{} {command}", record.cpu)),
                None if site.contains("spin") => (LOCK, text.to_owned()),
                None => (STORE, text.to_owned()),
            })
        }
        kind::BARRIER => Some((BARRIER, text.to_owned())),
        kind::TLBI => Some((TLBI, text.to_owned())),
        _ => None,
    }
}

/// Addresses of the instructions that broke a rule, as the details of `finding` name them: `at 0xa000… FILE:LINE by cpu0`.
fn places(finding: &RecordedFinding) -> Vec<u64> {
    let at = finding.detail().iter().filter_map(|line| line.trim_start_matches("but ").strip_prefix("at 0x"));
    at.filter_map(|rest| u64::from_str_radix(rest.split(' ').next()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::finding;

    #[test]
    fn where_a_rule_was_broken_is_read_from_the_details() {
        let detail = [
            "it was not invalidated",
            "missing: a TLBI",
            "at 0xa00000006754 hyp/core/src/a.rs:1 by cpu0",
            "but at 0xa00000006700 hyp/core/src/b.rs:1 by cpu0: TLBI VMALLE1IS came too early",
            "since 0x1 by cpu0",
        ];
        let found = RecordedFinding::with_detail(finding(), detail.map(str::to_owned).to_vec());
        assert_eq!(places(&found), [0xa000_0000_6754, 0xa000_0000_6700]);
        assert!(places(&finding().into()).is_empty());
    }
}
