//! The story of an operation, event by event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use parallax_abi::journal::{Record, kind};
use parallax_addr::PhysAddr;
use parallax_engine::event_text;
use parallax_model::table_map::ste_meaning;
use parallax_model::{Lane, lane};
use parallax_smmu::{Command, CommandKind, Ste};
use parallax_vmsa::mem::read_u64;

use super::context::{OperationContext, Wanted};
use super::entry::Entry;
use super::follow::{self, Concern};
use super::state::Frame;
use crate::command_reader::CommandReader;

/// CMDQ_PROD and CMDQ_CONS (IHI 0070, 6.3), and the bits of both that are an index and its wrap flag.
const CMDQ_PROD: u64 = 0x98;
const CMDQ_CONS: u64 = 0x9c;
const INDEX: u64 = 0xf_ffff;

/// What `events` did to the entries that are asked for.
#[must_use]
pub fn events_text(context: &OperationContext<'_>, wanted: Wanted, events: &[Record]) -> String {
    let mut narration = Narration {
        context,
        wanted,
        text: String::new(),
        words: BTreeMap::new(),
        shown: Vec::new(),
        code: BTreeSet::new(),
        run: None,
        barriers: BTreeSet::new(),
        queue: Queue::default(),
        commands: CommandReader::new(context.commands),
    };
    for event in events {
        narration.event(event);
    }
    narration.end()
}

struct Narration<'s, 'a> {
    context: &'s OperationContext<'a>,
    wanted: Wanted,
    text: String,
    /// Words that were stored, by address.
    words: BTreeMap<u64, u64>,
    shown: Vec<Shown>,
    /// Instructions that were shown in their surroundings.
    code: BTreeSet<u64>,
    run: Option<Run>,
    /// Barriers that were shown since something else was.
    barriers: BTreeSet<u64>,
    queue: Queue,
    commands: CommandReader,
}

/// An entry that was shown.
struct Shown {
    entry: Entry,
    name: String,
    /// Whose caches may still hold what it was.
    stale: Vec<Lane>,
}

/// Stores like one that was shown, to the entries behind it.
struct Run {
    pc: u64,
    /// Where the next store would have to go.
    next: u64,
    count: u64,
}

/// The commands that concern an entry.
#[derive(Default)]
struct Queue {
    /// There are some that no CMD_SYNC stands behind.
    unfinished: bool,
    /// There are some that the SMMU was not told of.
    untold: bool,
    /// CMDQ_PROD, of which CMDQ_CONS is not known to have caught up.
    waiting: Option<u64>,
}

impl Narration<'_, '_> {
    fn event(&mut self, event: &Record) {
        match event.kind {
            kind::STORE => self.store(event),
            kind::TLBI => self.tlbi(event),
            kind::BARRIER if self.shows_a_table() && self.barriers.insert(event.a) => {
                self.end_run();
                self.line(event, &self.instruction(event));
            }
            kind::MMIO_WRITE if self.register(event) == Some(CMDQ_PROD) && self.queue.untold => {
                self.queue = Queue { waiting: Some(event.value & INDEX), ..Queue::default() };
                let text = format!("CMDQ_PROD = {:#x}: commands submitted", event.value & INDEX);
                self.mention(event, &text);
            }
            kind::MMIO_READ
                if self.register(event) == Some(CMDQ_CONS)
                    && self.queue.waiting == Some(event.value & INDEX) =>
            {
                self.queue.waiting = None;
                self.mention(event, &format!("CMDQ_CONS = {:#x}: all consumed", event.value & INDEX));
            }
            _ => (),
        }
    }

    /// Whether an entry was shown that barriers and invalidations matter to.
    fn shows_a_table(&self) -> bool {
        self.shown.iter().any(|shown| !matches!(shown.entry, Entry::State(_)))
    }

    fn register(&self, event: &Record) -> Option<u64> {
        self.context.smmu.contains(event.b).then(|| event.b - self.context.smmu.base)
    }

    fn store(&mut self, event: &Record) {
        let at = event.b & !7;
        let old = self.word(at);
        let shift = 8 * (event.b & 7);
        let mask = u64::MAX >> (64 - 8 * u64::from(event.size.clamp(1, 8)));
        let new = old & !(mask << shift) | (event.value & mask) << shift;
        self.words.insert(at, new);
        if self.commands.is_queue(at) {
            if let Some(command) = self.commands.store(at, new) {
                self.command(event, command);
            }
            return;
        }
        if old == new {
            return;
        }
        let found = match Frame::at(self.context, event.b) {
            Some(frame) if frame.state(old).1 == frame.state(new).1 => return,
            Some(frame) => Some((Entry::State(frame), PhysAddr::new(frame.at))),
            None => Entry::at(self.context, PhysAddr::new(at)),
        };
        let Some((entry, base)) = found else { return };
        let (here, size) = match &entry {
            Entry::State(frame) => (frame.at, frame.size()),
            Entry::Page { .. } | Entry::Stream { .. } => (at, 8),
        };
        if !entry.is_wanted(self.wanted, self.context.linear) {
            return;
        }
        let name = entry.name(self.context);
        let stale = entry.cached_by(old);
        if let Some(run) = self.run.as_mut().filter(|run| run.pc == event.pc && run.next == here) {
            run.next = run.next.wrapping_add(size);
            run.count += 1;
        } else {
            self.end_run();
            self.entry(event, (&entry, &name), (at, base.get()), (old, new));
            self.run = Some(Run { pc: event.pc, next: here.wrapping_add(size), count: 0 });
        }
        self.barriers.clear();
        match self.shown.iter_mut().find(|shown| shown.entry == entry) {
            Some(shown) => shown.stale.extend(stale),
            None => self.shown.push(Shown { entry, name, stale }),
        }
    }

    fn entry(
        &mut self,
        event: &Record,
        (entry, name): (&Entry, &str),
        (at, base): (u64, u64),
        (mut old, mut new): (u64, u64),
    ) {
        let (was, is) = match entry {
            Entry::Stream { .. } => self.streams(at, base, old),
            Entry::State(frame) => {
                let ((was, before), (is, after)) = (frame.state(old), frame.state(new));
                (old, new) = (was, is);
                (lane::page_state(&before), lane::page_state(&after))
            }
            Entry::Page { .. } => {
                let mut tables = self.context.tables.iter().chain(self.context.new_tables);
                let table = tables.find(|table| table.entry_at(PhysAddr::new(at)).is_some());
                let meaning = |desc| table.map(|table| table.meaning(desc)).unwrap_or_default();
                (meaning(old), meaning(new))
            }
        };
        let dword = match entry {
            Entry::Stream { .. } => format!(", dword {}", (at - base) / 8),
            Entry::Page { .. } | Entry::State(_) => String::new(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "\n{name}{dword}\n  was {old:#018x}  {was}\n  now {new:#018x}  {is}");
        let site = (self.context.site)(event.pc);
        let place = site.map_or_else(|| format!("{:#x}", event.pc), |site| site.place.clone());
        let frames = event_text::frames(&place);
        let frames = if frames.is_empty() { vec![place.as_str()] } else { frames };
        for (index, frame) in frames.iter().enumerate() {
            let _ = match index {
                0 => writeln!(self.text, "  by  cpu{}, {frame}", event.cpu),
                _ => writeln!(self.text, "      in {frame}"),
            };
        }
        if self.code.insert(event.pc) {
            for line in site.map(|site| site.around.lines()).into_iter().flatten() {
                let _ = writeln!(self.text, "    {line}");
            }
        }
    }

    /// What the stream table entry at `base` means, with `old` at `at` and as it is.
    fn streams(&self, at: u64, base: u64, old: u64) -> (String, String) {
        let now: [u64; 8] = std::array::from_fn(|index| self.word(base.wrapping_add(8 * index as u64)));
        let mut was = now;
        if let Some(dword) = was.get_mut(((at - base) / 8) as usize) {
            *dword = old;
        }
        (ste_meaning(Ste(was)), ste_meaning(Ste(now)))
    }

    fn tlbi(&mut self, event: &Record) {
        let Some(op) = follow::tlbi(event.a) else { return };
        if self.concern(|entry| follow::of_tlbi(op, event.value, entry)) {
            let named =
                op.operand(event.value).map(|named| format!("   {:#x}", named.address)).unwrap_or_default();
            self.mention(event, &format!("{}{named}", self.instruction(event)));
        }
    }

    fn command(&mut self, event: &Record, command: Command) {
        if self.concern(|entry| follow::of_command(&command, entry)) {
            self.queue.unfinished = true;
        } else if command.kind() != CommandKind::Sync || !self.queue.unfinished {
            return;
        } else {
            self.queue.unfinished = false;
        }
        self.queue.untold = true;
        let fields: Vec<String> = command
            .fields()
            .filter(|(name, value)| *value != 0 || *name == "VMID")
            .map(|(name, value)| format!(" {name}={value:#x}"))
            .collect();
        let name = command.to_string();
        let name = name.split(' ').next().unwrap_or_default();
        self.mention(event, &format!("{name}{}", fields.concat()));
    }

    /// Whether something concerns an entry that was shown; what it drops is not stale any more.
    fn concern(&mut self, of: impl Fn(&Entry) -> Concern) -> bool {
        let mut any = false;
        for shown in &mut self.shown {
            match of(&shown.entry) {
                Concern::None => (),
                Concern::Beside(_) => any = true,
                Concern::Drops(lane) => {
                    any = true;
                    shown.stale.retain(|stale| *stale != lane);
                }
            }
        }
        any
    }

    fn mention(&mut self, event: &Record, text: &str) {
        self.end_run();
        self.line(event, text);
        self.barriers.clear();
    }

    fn line(&mut self, event: &Record, text: &str) {
        let site = (self.context.site)(event.pc);
        let frames = site.map(|site| event_text::frames(&site.place)).unwrap_or_default();
        let place = frames.first().copied().unwrap_or_default();
        let line = format!("cpu{} {text:<44} {place}", event.cpu);
        let _ = writeln!(self.text, "then  {}", line.trim_end());
    }

    fn instruction(&self, event: &Record) -> String {
        (self.context.site)(event.pc)
            .map_or_else(|| format!("{:#010x}", event.a), |site| site.instruction.clone())
    }

    fn end_run(&mut self) {
        if let Some(Run { count, .. }) = self.run.take()
            && count != 0
        {
            let last = self.shown.last().map(|shown| shown.name.as_str()).unwrap_or_default();
            let _ = match count {
                1 => writeln!(self.text, "  and the entry behind it, {last}"),
                _ => writeln!(self.text, "  and the {count} entries behind it, up to {last}"),
            };
        }
    }

    fn word(&self, at: u64) -> u64 {
        let stored = self.words.get(&at).copied();
        stored.or_else(|| read_u64(self.context.before, PhysAddr::new(at)).ok()).unwrap_or_default()
    }

    fn end(mut self) -> String {
        self.end_run();
        if self.shown.is_empty() {
            return "\nno store changed such an entry\n".to_owned();
        }
        if self.shown.iter().all(|shown| matches!(shown.entry, Entry::State(_))) {
            self.text.push_str("\nno store changed such an entry of a table\n");
        }
        let stale: Vec<&Shown> = self.shown.iter().filter(|shown| !shown.stale.is_empty()).collect();
        if !stale.is_empty() {
            self.text.push('\n');
        }
        for shown in stale {
            let sides: BTreeSet<&str> = shown.stale.iter().map(|lane| side(*lane)).collect();
            let sides: Vec<&str> = sides.into_iter().collect();
            let _ = writeln!(
                self.text,
                "{}: nothing in this operation drops it from the {}",
                shown.name,
                sides.join(" and the ")
            );
        }
        self.text
    }
}

/// Whose caches hold what is in `lane`.
const fn side(lane: Lane) -> &'static str {
    match lane {
        Lane::Smmu => "SMMU's TLB",
        Lane::Ste => "SMMU's configuration cache",
        _ => "CPUs' TLBs",
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
