//! A look at a machine that somebody else started: its state, and what is said of it.

use std::fmt::Write;
use std::path::Path;

use parallax_addr::{AddressMap, Ipa, PhysAddr, Span};
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::{Attached, FailureClass, GdbAddress, MachineError, Monitor, Names, Registers};
use parallax_model::checks::isolation::check_tables;
use parallax_model::lane::{self, Lane};
use parallax_model::raw::{self, Roots};
use parallax_model::{
    BlockSize, CaptureCache, Context, Finding, Line, Run, S2Entry, Snapshot, Space, Told, View, capture, run,
    state_lines,
};
use parallax_trace::spec::{MmioPolicy, SmmuMode};

use crate::cli::{AttachedMachine, AttachedView};

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) gdb: &'a GdbAddress,
    pub(super) machine: &'a AttachedMachine,
    pub(super) monitor: Option<&'a Monitor>,
    pub(super) names: &'a Names,
    pub(super) view: AttachedView,
    /// One input address alone.
    pub(super) at: Option<u64>,
}

/// What a look has shown.
pub(super) struct Looked {
    /// The tables.
    pub(super) tables: String,
    /// What is found, and what cannot be read.
    pub(super) judged: String,
    /// Whether something is found.
    pub(super) found: bool,
    /// Whether something cannot be read.
    pub(super) faults: bool,
    /// Pages that walks read as tables.
    pub(super) pages: u64,
}

impl Look<'_> {
    /// Looks at `machine`. Nothing is shown of it unless all of it was read.
    ///
    /// # Errors
    /// The connection failed, or the arguments name what is not there.
    pub(super) fn at(self, machine: &mut Attached) -> Result<Looked, Failure> {
        let Self { gdb, machine: args, monitor, names, .. } = self;
        let failure = |error: MachineError| failure(gdb, &error);
        if let Some(monitor) = monitor {
            same_machine((gdb, args), monitor, machine.cpus())?;
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
        let mut tables = monitor.map_or_else(String::new, board);
        tables += &self.tables(machine, &registers, &snapshot);
        machine.complete().map_err(failure)?;
        if let Some((inside, outside)) =
            machine.from_file().filter(|(inside, outside)| *inside == 0 || *outside > 0)
        {
            let read = inside + outside;
            super::tell(&format!(
                "--ram: {outside} of {read} pages that were read are not in the file, and came by the gdbstub: is it too short, or does it begin elsewhere (FILE@ADDRESS)?"
            ));
        }
        let mut judged = String::new();
        for fault in &snapshot.faults {
            let _infallible = writeln!(judged, "cannot be read: {fault}");
        }
        let found = check_tables(&snapshot, &context());
        for finding in &found {
            let _infallible = writeln!(judged, "! {finding}{}", names_there(finding, &snapshot, names));
        }
        let pages = snapshot.tables.iter().map(|run| run.span().pages().count() as u64).sum();
        let faults = !snapshot.faults.is_empty();
        Ok(Looked { tables, judged, found: !found.is_empty(), faults, pages })
    }
}

/// What to say of `error`.
pub(super) fn failure(gdb: &GdbAddress, error: &MachineError) -> Failure {
    let cancelled = error.class() == FailureClass::Cancelled;
    let status = if cancelled { Status::Interrupted } else { Status::Setup };
    Failure { status, message: format!("the gdbstub at {gdb}: {error}") }
}

/// Refuses a monitor of a machine that has another number of CPUs than that of the gdbstub.
fn same_machine(
    (gdb, args): (&GdbAddress, &AttachedMachine),
    monitor: &Monitor,
    cpus: usize,
) -> Result<(), Failure> {
    if monitor.cpus == cpus {
        return Ok(());
    }
    let path = args.qmp.as_deref().unwrap_or_else(|| Path::new(""));
    let message = format!(
        "the monitor at {} has {} CPUs, the gdbstub at {} has {cpus}: name those of one machine",
        path.display(),
        monitor.cpus,
        gdb
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

impl Look<'_> {
    /// The tables of `machine`, as they are shown.
    fn tables(self, machine: &Attached, registers: &Registers, snapshot: &Snapshot) -> String {
        let view = match self.view {
            AttachedView::Both => View::Both,
            AttachedView::Cpu => View::Cpu,
            AttachedView::Smmu => View::Smmu,
            AttachedView::El2 => View::El2,
            AttachedView::All | AttachedView::Raw => View::All,
        };
        let mut text = String::new();
        if self.view == AttachedView::Raw || self.at.is_some() {
            let roots = Roots { sys: &registers.sys, smmu: registers.smmu.as_ref(), guests: &[] };
            let lines = raw::text(machine, roots, &AddressMap::default(), view, self.at);
            lines.iter().for_each(|line| text += &format!("{line}\n"));
        }
        if self.view == AttachedView::Raw {
            return text;
        }
        if view.shows(Lane::Cpu) {
            stage2(&mut text, Lane::Cpu, snapshot.host(), self.at);
        }
        if view.shows(Lane::Smmu) {
            let tables = snapshot.smmu.iter().flat_map(|smmu| &smmu.tables);
            tables.for_each(|table| stage2(&mut text, Lane::Smmu, &table.entries, self.at));
        }
        let lines = state_lines(snapshot, &AddressMap::default(), view, BlockSize::Shown);
        let wanted = |line: &&Line| match self.at {
            Some(at) => addresses(line).is_some_and(|(from, to)| (from..to).contains(&at)),
            None => !matches!(line.lane, Lane::Cpu | Lane::Smmu),
        };
        for line in lines.iter().filter(wanted) {
            let _infallible = match named(line, self.names) {
                Some((first, 0)) => writeln!(text, "{line}  {first}"),
                Some((first, more)) => writeln!(text, "{line}  {first} and {more} more"),
                None => writeln!(text, "{line}"),
            };
        }
        text
    }
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
