//! `parallax explain`: who wrote an entry, with what, and what invalidation followed.
//!
//! ```text
//! smmu L3 ram+0x20000..+0x21000: maps 0x40020000, RW -> empty
//!   0x00000000400207ff -> 0x0000000000000000 by cpu0
//!   at 0xa0000000412c hyp/core/src/pgtable/tree.rs:232 < hyp/core/src/pgtable/tree.rs:198
//!   then cpu0 command    CMD_TLBI_S2_IPA NUM=0 SCALE=0 VMID=0 Leaf=0 TTL=0 TG=0 Address=0x40020000
//! ```

use std::fmt::Write;

use anyhow::Result;
use parallax_abi::journal::{Record, kind};
use parallax_machine::shadow::Shadow;
use parallax_machine::symbols::Symbols;
use parallax_machine::{Machine, Region};
use parallax_model::table_map::{Table, tables};
use parallax_model::{Span, SymbolMap};
use parallax_smmu::Command;
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::print;
use crate::cli;
use crate::engine::Session;
use crate::event_text;
use crate::interrupt;
use crate::jobs::Boot;
use crate::live::LiveBoot;
use crate::project;
use crate::status::{Failure, Status};
use crate::suite;

/// Runs it.
pub(super) fn explain(args: &cli::Explain) -> Result<Status> {
    let cases = suite::load(std::slice::from_ref(&args.trace)).map_err(Failure::from)?;
    let [case] = &cases[..] else { return Err(Failure::usage("name one trace").into()) };
    let ops = &case.trace.ops;
    let Some(wanted) = ops.iter().position(|op| op.line == args.op) else {
        return Err(Failure::usage(format!("no operation in line {}", args.op)).into());
    };
    let cancel = interrupt::token()?;
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let boot = LiveBoot::build(&root, [&case.trace], &cancel)?.with_events(&root)?;
    let mut machine = boot.boot(&case.trace).map_err(Failure::from)?;
    let (mut session, _) = Session::start(machine.as_mut(), None).map_err(Failure::from)?;
    for op in &ops[..wanted] {
        session.step(op).map_err(Failure::from)?;
    }
    let before = Before::of(&session)?;
    let op = &ops[wanted];
    let step = session.step(op).map_err(Failure::from)?;
    let mut known = before.tables.clone();
    known.extend(all_tables(&session));
    let info = session.machine().info();
    let story = Story {
        args,
        known: &known,
        symbols: session.machine().symbols(),
        map: &session.context().symbols,
        commands: Span::new(info.cmdq_pa, info.cmdq_size),
    };
    let text = story.tell(before.shadow, session.machine(), &step.events);
    let mut out = format!("{}: {op} -> {}\n{text}", op.line, step.outcome.without_value());
    for finding in &step.findings {
        let _ = writeln!(out, "found: {finding}");
    }
    print(&out)?;
    Ok(Status::Same)
}

/// The state in front of the operation.
struct Before {
    shadow: Shadow,
    tables: Vec<Table>,
}

impl Before {
    fn of(session: &Session<'_>) -> Result<Self> {
        let machine = session.machine();
        let info = machine.info();
        let spans = [
            Region::new("hyp", info.image_pa, info.image_size),
            Region::new("pool", info.pool_pa, info.pool_size),
        ];
        let smmu = Region::new("smmu", info.smmu_pa, info.smmu_size);
        let shadow = Shadow::new(machine.memory(), session.registers().clone(), &spans, smmu)?;
        Ok(Self { shadow, tables: all_tables(session) })
    }
}

fn all_tables(session: &Session<'_>) -> Vec<Table> {
    let registers = session.registers();
    tables(session.machine().memory(), &registers.sys, registers.smmu.as_ref())
}

struct Story<'a> {
    args: &'a cli::Explain,
    known: &'a [Table],
    symbols: Option<&'a Symbols>,
    map: &'a SymbolMap,
    /// The SMMU's command queue.
    commands: Span,
}

impl Story<'_> {
    /// The stores to the entries that are asked for, and the invalidations and barriers behind each.
    fn tell(&self, mut shadow: Shadow, machine: &dyn Machine, events: &[Record]) -> String {
        let mut text = String::new();
        for event in events {
            match event.kind {
                kind::STORE => {
                    let at = event.b & !7;
                    let old = read_u64(&shadow.over(machine.memory()), at).unwrap_or_default();
                    shadow.apply(std::slice::from_ref(event));
                    let new = read_u64(&shadow.over(machine.memory()), at).unwrap_or_default();
                    if old != new {
                        self.entry(&mut text, event, at, (old, new));
                    }
                    // The second dword of a command completes it.
                    if !text.is_empty() && self.commands.contains(at) && at % 16 == 8 {
                        let mut bytes = [0; 16];
                        if shadow.over(machine.memory()).read(at - 8, &mut bytes).is_ok() {
                            let _ = writeln!(
                                text,
                                "  then cpu{} command    {}",
                                event.cpu,
                                Command::from_bytes(&bytes)
                            );
                        }
                    }
                }
                kind::TLBI | kind::BARRIER | kind::MMIO_WRITE if !text.is_empty() => {
                    let _ = writeln!(text, "  then {}", event_text::line(event, self.symbols).trim_start());
                }
                _ => (),
            }
        }
        if text.is_empty() {
            text.push_str("no store changed such an entry\n");
        }
        text
    }

    fn entry(&self, text: &mut String, event: &Record, at: u64, (old, new): (u64, u64)) {
        let found = self.known.iter().find_map(|table| Some((table, table.entry_at(at)?)));
        let Some((table, span)) = found else { return };
        let asked = self.args.ipa.is_none_or(|ipa| span.contains(ipa));
        if !asked {
            return;
        }
        let place = self.map.span(span);
        let (was, is) = (table.meaning(old), table.meaning(new));
        let _ = writeln!(text, "{} {} {place}: {was} -> {is}", table.lane.name(), table.level);
        let _ = writeln!(text, "  {old:#018x} -> {new:#018x} by cpu{}", event.cpu);
        if let Some(symbols) = self.symbols {
            let _ = writeln!(text, "  at {}", event_text::place(event.pc, symbols));
            text.push_str(&symbols.disassembly(event.pc));
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
}
