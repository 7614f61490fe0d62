//! `parallax attach`: the tables of a QEMU that somebody else started, whatever runs at EL2 there.

use std::fmt::Write;

use anyhow::Result;
use parallax_addr::{AddressMap, Ipa};
use parallax_engine::status::{Failure, Status};
use parallax_machine::{Attached, FailureClass, MachineError, Names, Registers};
use parallax_model::checks::isolation::check_tables;
use parallax_model::lane::{self, Lane};
use parallax_model::{
    BlockSize, CaptureCache, Context, Line, Run, S2Entry, Snapshot, Told, View, capture, raw, state_lines,
};
use parallax_trace::spec::{MmioPolicy, SmmuMode};

use super::output::print;
use crate::cli::{Attach, DumpView};
use crate::interrupt;

/// Runs it.
pub(super) fn attach(args: &Attach) -> Result<Status> {
    if args.view == DumpView::Guest {
        let what = "--view guest: where another hypervisor keeps its virtual machines is not known here";
        return Err(Failure::usage(what).into());
    }
    let cancel = interrupt::token()?;
    let failure = |error: MachineError| {
        let cancelled = error.class() == FailureClass::Cancelled;
        let status = if cancelled { Status::Interrupted } else { Status::Setup };
        Failure { status, message: format!("the gdbstub at {}: {error}", args.gdb) }
    };
    let names = args.symbols.as_ref().map(|path| Names::read(path, args.moved)).transpose();
    let names = names.map_err(|error| Failure::usage(format!("--symbols {error}")))?.unwrap_or_default();
    let mut machine = Attached::to(&args.gdb, &cancel).map_err(failure)?;
    if let Some(ram) = &args.ram {
        machine.read_ram_from(ram).map_err(failure)?;
    }
    let registers = machine.registers(args.smmu).map_err(failure)?;
    let snapshot = snapshot(&machine, &registers);
    let mut text = tables(args, &machine, &registers, (&snapshot, &names));
    machine.complete().map_err(failure)?;
    drop(machine);
    for fault in &snapshot.faults {
        let _infallible = writeln!(text, "cannot be read: {fault}");
    }
    let found = check_tables(&snapshot, &context());
    for finding in &found {
        let _infallible = writeln!(text, "! {finding}");
    }
    print(&text)?;
    // Tables that cannot be read are not judged, and that is no good news.
    Ok(match (found.is_empty(), snapshot.faults.is_empty()) {
        (false, _) => Status::Diverged,
        (true, false) => Status::Setup,
        (true, true) => Status::Same,
    })
}

/// The state, of which nothing is known but what registers and tables say.
fn snapshot(machine: &Attached, registers: &Registers) -> Snapshot {
    let others = registers.others.iter().enumerate().filter(|(_, cpu)| cpu.below_el2);
    let others = others.map(|(index, cpu)| (index + 1, cpu.sys));
    let (smmu, nothing) = (registers.smmu.as_ref(), Told::default());
    capture(&mut CaptureCache::default(), machine, &registers.sys, others, smmu, &nothing)
}

fn tables(
    args: &Attach,
    machine: &Attached,
    registers: &Registers,
    (snapshot, names): (&Snapshot, &Names),
) -> String {
    let view = match args.view {
        DumpView::Both => View::Both,
        DumpView::Cpu => View::Cpu,
        DumpView::Smmu => View::Smmu,
        DumpView::El2 => View::El2,
        DumpView::Guest => View::Guest,
        DumpView::All | DumpView::Raw => View::All,
    };
    if args.view == DumpView::Raw {
        let smmu = registers.smmu.as_ref();
        let lines = raw::text(machine, &registers.sys, smmu, &AddressMap::default(), view);
        return lines.iter().map(|line| format!("{line}\n")).collect();
    }
    let mut text = String::new();
    if view.shows(Lane::Cpu) {
        stage2(&mut text, Lane::Cpu, snapshot.host());
    }
    if view.shows(Lane::Smmu) {
        let tables = snapshot.smmu.iter().flat_map(|smmu| &smmu.tables);
        tables.for_each(|table| stage2(&mut text, Lane::Smmu, &table.entries));
    }
    let lines = state_lines(snapshot, &AddressMap::default(), view, BlockSize::Shown);
    for line in lines.iter().filter(|line| !matches!(line.lane, Lane::Cpu | Lane::Smmu)) {
        let _infallible = match named(line, names) {
            Some((first, 0)) => writeln!(text, "{line}  {first}"),
            Some((first, more)) => writeln!(text, "{line}  {first} and {more} more"),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// The names of what begins in an entry of EL2's stage 1.
fn named<'a>(line: &Line, names: &'a Names) -> Option<(&'a str, usize)> {
    let (from, to) = line.subject.split_once("..").filter(|_| line.lane == Lane::El2)?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    names.within(number(from)?, number(to)?)
}

/// The entries of a stage 2. An invalid one says no more than its number: what it means is its hypervisor's business.
fn stage2(text: &mut String, lane: Lane, entries: &[Run<Ipa, S2Entry>]) {
    let names = AddressMap::default();
    for run in entries {
        let value = match run.value {
            S2Entry::Annotated { raw } => format!("invalid {raw:#018x}"),
            other => lane::s2_entry(&other, run.base, lane, &names),
        };
        let _infallible = writeln!(text, "{:<4} {}  {value}", lane.name(), names.span(run.span()));
    }
}

/// A machine without names.
fn context() -> Context {
    Context {
        symbols: AddressMap::default(),
        memory: Vec::new(),
        smmu: SmmuMode::Shared,
        mmio: MmioPolicy::Region,
        sid_bits: 0,
        emulated: false,
        smmu_stage1: true,
        lpis: Vec::new(),
        masters: Vec::new(),
        common: Vec::new(),
        donated: Vec::new(),
        smmu_fails: false,
        freedoms: parallax_model::Freedoms::default(),
        loaded: Vec::new(),
    }
}
