//! `parallax attach`: the tables of a QEMU that somebody else started, whatever runs at EL2 there.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use parallax_addr::{AddressMap, Ipa, PhysAddr, Span};
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::{Attached, CancellationToken, FailureClass, MachineError, Monitor, Names, Registers};
use parallax_model::checks::isolation::check_tables;
use parallax_model::lane::{self, Lane};
use parallax_model::raw::{self, Roots};
use parallax_model::{
    BlockSize, CaptureCache, Context, Finding, Line, Run, S2Entry, Snapshot, Space, Told, View, capture, run,
    state_lines,
};
use parallax_report::{regular, text_diff};
use parallax_trace::spec::{MmioPolicy, SmmuMode};

use super::output::print;
use crate::cli::{Attach, DumpView};
use crate::interrupt;

/// A file of an earlier look has at most so many bytes.
const MOST: u64 = 64 << 20;

/// What to say when the gdbstub did not confirm that the machine goes on.
const STANDS: &str = "the machine may stand still now: `detach` of a gdb that is connected there lets it go on, or `cont` of QEMU's monitor";

/// Runs it.
pub(super) fn attach(args: &Attach) -> Result<Status> {
    if args.view == DumpView::Guest {
        let what = "--view guest: where another hypervisor keeps its virtual machines is not known here";
        return Err(Failure::usage(what).into());
    }
    let cancel = interrupt::token()?;
    args.gdb.check().map_err(|why| Failure::usage(format!("--gdb {}: {why}", args.gdb)))?;
    let failure = |error: MachineError| failure(args, &error);
    let names = args.symbols.as_ref().map(|path| Names::read(path, args.moved)).transpose();
    let names = names.map_err(|error| Failure::usage(format!("--symbols {error}")))?.unwrap_or_default();
    let before = args.against.as_ref().map(|path| earlier(path)).transpose()?;
    // Before the gdbstub stops it.
    let monitor = args.qmp.as_ref().map(|path| asked(path, &cancel)).transpose()?;
    let stays = monitor.as_ref().is_some_and(|monitor| !monitor.running);
    let mut machine = Attached::to(&args.gdb, stays, &cancel).map_err(failure)?;
    let looked = look(args, &mut machine, monitor.as_ref(), &names);
    // Whatever was found, it goes on.
    if !machine.leave() && !cancel.is_cancelled() {
        anstream::eprintln!("{}: {STANDS}", args.gdb);
    }
    let (snapshot, mut text) = looked?;
    for fault in &snapshot.faults {
        let _infallible = writeln!(text, "cannot be read: {fault}");
    }
    let found = check_tables(&snapshot, &context());
    for finding in &found {
        let _infallible = writeln!(text, "! {finding}{}", names_there(finding, &snapshot, &names));
    }
    if let Some(before) = &before {
        return otherwise(before, &text);
    }
    print(&text)?;
    // Tables that cannot be read are not judged, and that is no good news.
    Ok(match (found.is_empty(), snapshot.faults.is_empty()) {
        (false, _) => Status::Diverged,
        (true, false) => Status::Setup,
        (true, true) => Status::Same,
    })
}

/// What to say of `error`.
fn failure(args: &Attach, error: &MachineError) -> Failure {
    let cancelled = error.class() == FailureClass::Cancelled;
    let status = if cancelled { Status::Interrupted } else { Status::Setup };
    Failure { status, message: format!("the gdbstub at {}: {error}", args.gdb) }
}

/// The state of `machine`, and what to print of it, once all of it was read.
fn look(
    args: &Attach,
    machine: &mut Attached,
    monitor: Option<&Monitor>,
    names: &Names,
) -> Result<(Snapshot, String), Failure> {
    let failure = |error: MachineError| failure(args, &error);
    if let Some(monitor) = monitor {
        same_machine(args, monitor, machine.cpus())?;
    }
    match (&args.ram, monitor.and_then(Monitor::ram_file)) {
        (Some(ram), _) => machine.read_ram_from(ram).map_err(failure)?,
        (None, Some(ram)) => machine.may_read_ram_from(&ram),
        (None, None) => {}
    }
    let smmu = args.smmu.or_else(|| monitor?.smmu);
    if let Some(base) = smmu
        && let Some(why) = machine.no_smmu(base).map_err(failure)?
    {
        let message = format!(
            "no SMMUv3 is at {base:#x}: {why}; mmio:smmu on the board `virt` with iommu=smmuv3, and --qmp knows where it is elsewhere"
        );
        return Err(Failure { status: Status::Usage, message });
    }
    let registers = machine.registers(smmu).map_err(failure)?;
    let snapshot = snapshot(machine, &registers);
    let mut text = monitor.map_or_else(String::new, board);
    text += &tables(args, machine, &registers, (&snapshot, names));
    machine.complete().map_err(failure)?;
    if let Some((inside, outside)) =
        machine.from_file().filter(|(inside, outside)| *inside == 0 || *outside > 0)
    {
        let read = inside + outside;
        anstream::eprintln!(
            "--ram: {outside} of {read} pages that were read are not in the file, and came by the gdbstub: is it too short, or does it begin elsewhere (FILE@ADDRESS)?"
        );
    }
    Ok((snapshot, text))
}

/// What an earlier look printed into the file at `path`.
fn earlier(path: &Path) -> Result<String, Failure> {
    let bytes = regular::read_any(path, MOST).map_err(|error| Failure::file(path.display(), &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("--against {}: no text", path.display())))
}

/// What is not as it was `before`.
fn otherwise(before: &str, now: &str) -> Result<Status> {
    let difference = text_diff::unified(before, now);
    if difference.is_empty() {
        print("as it was\n")?;
        return Ok(Status::Same);
    }
    print(&visible::lines(&difference))?;
    Ok(Status::Diverged)
}

/// What the monitor at `path` says.
fn asked(path: &Path, cancel: &CancellationToken) -> Result<Monitor, Failure> {
    Monitor::ask(path, cancel).map_err(|error| {
        let cancelled = error.class() == FailureClass::Cancelled;
        let status = if cancelled { Status::Interrupted } else { Status::Setup };
        Failure { status, message: format!("the monitor at {}: {error}", path.display()) }
    })
}

/// Refuses a monitor of a machine that has another number of CPUs than that of the gdbstub.
fn same_machine(args: &Attach, monitor: &Monitor, cpus: usize) -> Result<(), Failure> {
    if monitor.cpus == cpus {
        return Ok(());
    }
    let path = args.qmp.as_deref().unwrap_or_else(|| Path::new(""));
    let message = format!(
        "the monitor at {} has {} CPUs, the gdbstub at {} has {cpus}: name those of one machine",
        path.display(),
        monitor.cpus,
        args.gdb
    );
    Err(Failure { status: Status::Setup, message })
}

/// What the monitor knows, as lines.
fn board(monitor: &Monitor) -> String {
    let Monitor { version, status, cpus, ram, smmu, .. } = monitor;
    let mut text = format!("qemu  {version}, {status}, {cpus} CPUs\n");
    let names = AddressMap::default();
    for piece in ram {
        let file = piece.file.as_ref().map_or_else(String::new, |file| format!(" in {}", file.display()));
        let _infallible = writeln!(text, "qemu  {}  {}{file}", names.span(piece.span), piece.name);
    }
    if let Some(smmu) = smmu {
        let _infallible = writeln!(text, "qemu  {smmu:#x}  SMMUv3");
    }
    visible::lines(&text)
}

/// The names of what EL2 has where `finding` is, if it has any there.
fn names_there(finding: &Finding, snapshot: &Snapshot, names: &Names) -> String {
    let entries = match finding.space {
        Space::Cpu => snapshot.host(),
        Space::Smmu => snapshot
            .smmu
            .as_ref()
            .and_then(|smmu| smmu.tables.first())
            .map_or(&[][..], |table| &table.entries),
        _ => return String::new(),
    };
    let reached = run::within(entries, finding.span.cast())
        .filter_map(|(part, entry)| Some(entry.leaf()?.outputs(part)));
    let reached: Vec<Span<PhysAddr>> = reached.collect();
    for run in snapshot.el2() {
        let Some(leaf) = run.value.leaf() else { continue };
        let output = leaf.outputs(run.span());
        let parts = reached.iter().filter_map(|span| span.intersect(output));
        for at in parts.map(|part| leaf.inputs(part)) {
            match names.within(at.base.get(), at.end().get()) {
                Some((first, 0)) => return format!(" ({first})"),
                Some((first, more)) => return format!(" ({first} and {more} more)"),
                None => {}
            }
        }
    }
    String::new()
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
    let mut text = String::new();
    if args.view == DumpView::Raw || args.at.is_some() {
        let roots = Roots { sys: &registers.sys, smmu: registers.smmu.as_ref(), guests: &[] };
        let lines = raw::text(machine, roots, &AddressMap::default(), view, args.at);
        lines.iter().for_each(|line| text += &format!("{line}\n"));
    }
    if args.view == DumpView::Raw {
        return text;
    }
    if view.shows(Lane::Cpu) {
        stage2(&mut text, Lane::Cpu, snapshot.host(), args.at);
    }
    if view.shows(Lane::Smmu) {
        let tables = snapshot.smmu.iter().flat_map(|smmu| &smmu.tables);
        tables.for_each(|table| stage2(&mut text, Lane::Smmu, &table.entries, args.at));
    }
    let lines = state_lines(snapshot, &AddressMap::default(), view, BlockSize::Shown);
    let wanted = |line: &&Line| match args.at {
        Some(at) => addresses(line).is_some_and(|(from, to)| (from..to).contains(&at)),
        None => !matches!(line.lane, Lane::Cpu | Lane::Smmu),
    };
    for line in lines.iter().filter(wanted) {
        let _infallible = match named(line, names) {
            Some((first, 0)) => writeln!(text, "{line}  {first}"),
            Some((first, more)) => writeln!(text, "{line}  {first} and {more} more"),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// The first address and the end of what an entry of EL2's stage 1 translates.
fn addresses(line: &Line) -> Option<(u64, u64)> {
    let (from, to) = line.subject.split_once("..").filter(|_| line.lane == Lane::El2)?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    Some((number(from)?, number(to)?))
}

/// The names of what begins in an entry of EL2's stage 1.
fn named<'a>(line: &Line, names: &'a Names) -> Option<(&'a str, usize)> {
    let (from, to) = addresses(line)?;
    names.within(from, to)
}

/// The entries of a stage 2. An invalid one says no more than its number: what it means is its hypervisor's business.
fn stage2(text: &mut String, lane: Lane, entries: &[Run<Ipa, S2Entry>], at: Option<u64>) {
    let names = AddressMap::default();
    for run in entries.iter().filter(|run| at.is_none_or(|at| run.span().contains(Ipa::new(at)))) {
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
