//! A [`Debuggee`] as a target of the `gdbstub` crate.

use std::num::NonZeroUsize;

use gdbstub::arch::{Arch, RegId, Registers};
use gdbstub::common::Tid;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{MultiThreadBase, MultiThreadResumeOps};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};

use crate::debuggee::{Debuggee, Lost, Motion, Point, PointKind, Stop};

/// How much text one packet of console output carries, in bytes.
const CONSOLE: usize = 1024;

/// The debuggee, and how it is to be resumed next.
pub(crate) struct Front<'a> {
    pub(crate) debuggee: &'a mut dyn Debuggee,
    pub(crate) motion: Motion,
    /// Whether a monitor command took the debuggee to another place, of which the debugger knows nothing yet.
    pub(crate) moved: bool,
    /// The next step stays where it is and is told as one, so that the debugger learns where that is.
    pub(crate) stay: bool,
    /// A stop of such a step.
    pub(crate) pending: Option<Stop>,
}

/// The registers of the `g` packet, byte by byte: which ones there are is the target description's business.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bytes(Vec<Option<u8>>);

impl Registers for Bytes {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        0
    }

    fn gdb_serialize(&self, write_byte: impl FnMut(Option<u8>)) {
        self.0.iter().copied().for_each(write_byte);
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = bytes.iter().copied().map(Some).collect();
        Ok(())
    }
}

/// A register by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(usize);

impl RegId for Number {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        Some((Self(id), None))
    }
}

/// AArch64, as the target description says.
#[derive(Debug)]
pub(crate) enum Described {}

impl Arch for Described {
    type Usize = u64;
    type Registers = Bytes;
    type BreakpointKind = usize;
    type RegId = Number;
}

/// Index of the CPU that thread `tid` is.
pub(crate) const fn cpu(tid: Tid) -> usize {
    tid.get() - 1
}

/// The thread that CPU `cpu` is.
pub(crate) const fn tid(cpu: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(cpu)
}

/// Refuses a request that was not carried out.
fn carried_out(done: Result<bool, Lost>) -> Result<(), TargetError<Lost>> {
    match done {
        Ok(true) => Ok(()),
        Ok(false) => Err(TargetError::NonFatal),
        Err(lost) => Err(TargetError::Fatal(lost)),
    }
}

impl Target for Front<'_> {
    type Arch = Described;
    type Error = Lost;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }
}

impl TargetDescriptionXmlOverride for Front<'_> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let name = std::str::from_utf8(annex).map_err(|_| TargetError::NonFatal)?;
        let text = self.debuggee.description(name).ok_or(TargetError::NonFatal)?.as_bytes();
        let rest = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)).unwrap_or_default();
        let part = &rest[..rest.len().min(length).min(buf.len())];
        buf[..part.len()].copy_from_slice(part);
        Ok(part.len())
    }
}

impl MultiThreadBase for Front<'_> {
    fn read_registers(&mut self, registers: &mut Bytes, tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.known(tid)?;
        let bytes = self.debuggee.registers(cpu).map_err(TargetError::Fatal)?;
        registers.0 = bytes.ok_or(TargetError::NonFatal)?;
        Ok(())
    }

    fn write_registers(&mut self, registers: &Bytes, tid: Tid) -> TargetResult<(), Self> {
        let (cpu, bytes) = (self.known(tid)?, registers.0.iter().copied().collect::<Option<Vec<u8>>>());
        carried_out(self.debuggee.write_registers(cpu, &bytes.ok_or(TargetError::NonFatal)?))
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, address: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let cpu = self.known(tid)?;
        carried_out(self.debuggee.read(cpu, address, data))?;
        Ok(data.len())
    }

    fn write_addrs(&mut self, address: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let cpu = self.known(tid)?;
        carried_out(self.debuggee.write(cpu, address, data))
    }

    fn list_active_threads(&mut self, report: &mut dyn FnMut(Tid)) -> Result<(), Lost> {
        (0..self.debuggee.cpus()).for_each(|cpu| report(tid(cpu)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for Front<'_> {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Lost> {
        let Ok(cpu) = self.known(tid) else { return Ok(0) };
        let name = self.debuggee.cpu_name(cpu);
        let name = &name.as_bytes()[..name.len().min(buf.len())];
        buf[..name.len()].copy_from_slice(name);
        Ok(name.len())
    }
}

impl SingleRegisterAccess<Tid> for Front<'_> {
    fn read_register(&mut self, tid: Tid, number: Number, buf: &mut [u8]) -> TargetResult<usize, Self> {
        let cpu = self.known(tid)?;
        let bytes = self.debuggee.register(cpu, number.0).map_err(TargetError::Fatal)?;
        let bytes = bytes.filter(|bytes| bytes.len() <= buf.len()).ok_or(TargetError::NonFatal)?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_register(&mut self, tid: Tid, number: Number, bytes: &[u8]) -> TargetResult<(), Self> {
        let cpu = self.known(tid)?;
        carried_out(self.debuggee.write_register(cpu, number.0, bytes))
    }
}

impl Front<'_> {
    /// The CPU that thread `tid` is. The `gdbstub` crate lets a client choose (`Hg`) a thread that there is not.
    fn known(&self, tid: Tid) -> TargetResult<usize, Self> {
        let cpu = cpu(tid);
        (cpu < self.debuggee.cpus()).then_some(cpu).ok_or(TargetError::NonFatal)
    }

    fn insert(&mut self, kind: PointKind, address: u64, len: u64) -> TargetResult<bool, Self> {
        self.debuggee.insert(Point { kind, address, len }).map_err(TargetError::Fatal)
    }

    fn remove(&mut self, kind: PointKind, address: u64, len: u64) -> TargetResult<bool, Self> {
        self.debuggee.remove(Point { kind, address, len }).map_err(TargetError::Fatal)
    }
}

impl Breakpoints for Front<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Front<'_> {
    fn add_sw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.insert(PointKind::Execute, address, kind as u64)
    }

    fn remove_sw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.remove(PointKind::Execute, address, kind as u64)
    }
}

impl HwBreakpoint for Front<'_> {
    fn add_hw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.insert(PointKind::Execute, address, kind as u64)
    }

    fn remove_hw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        self.remove(PointKind::Execute, address, kind as u64)
    }
}

impl HwWatchpoint for Front<'_> {
    fn add_hw_watchpoint(&mut self, address: u64, len: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        self.insert(watched(kind), address, len)
    }

    fn remove_hw_watchpoint(&mut self, address: u64, len: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        self.remove(watched(kind), address, len)
    }
}

const fn watched(kind: WatchKind) -> PointKind {
    match kind {
        WatchKind::Write => PointKind::Write,
        WatchKind::Read => PointKind::Read,
        WatchKind::ReadWrite => PointKind::Access,
    }
}

/// Which kind of watchpoint `stop` is told as.
pub(crate) const fn watch_kind(kind: PointKind) -> WatchKind {
    match kind {
        PointKind::Read => WatchKind::Read,
        PointKind::Access => WatchKind::ReadWrite,
        PointKind::Write | PointKind::Execute => WatchKind::Write,
    }
}

impl MonitorCmd for Front<'_> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Lost> {
        let command = String::from_utf8_lossy(command);
        let text = match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["phys"] => format!("phys {}\n", if *self.debuggee.physical() { "on" } else { "off" }),
            ["phys", word @ ("on" | "off")] => {
                *self.debuggee.physical() = word == "on";
                String::new()
            }
            ["stay"] => {
                self.stay = std::mem::take(&mut self.moved);
                if self.stay { "the next step stays here\n".to_owned() } else { String::new() }
            }
            ref words => {
                self.moved |= words.first() == Some(&"op");
                self.debuggee.monitor(&command)?
            }
        };
        for part in text.as_bytes().chunks(CONSOLE) {
            out.write_raw(part);
            out.flush();
        }
        Ok(())
    }
}

impl Front<'_> {
    /// Why it stands still, as the `gdbstub` crate says it.
    pub(crate) const fn reason(stop: Stop) -> gdbstub::stub::MultiThreadStopReason<u64> {
        use gdbstub::common::Signal;
        use gdbstub::stub::MultiThreadStopReason as Reason;
        use gdbstub::target::ext::base::reverse_exec::ReplayLogPosition;
        match stop {
            Stop::Done(cpu) => Reason::SignalWithThread { tid: tid(cpu), signal: Signal::SIGTRAP },
            Stop::Break(cpu) => Reason::SwBreak(tid(cpu)),
            Stop::Watch(cpu, point) => {
                Reason::Watch { tid: tid(cpu), kind: watch_kind(point.kind), addr: point.address }
            }
            Stop::Failed(cpu) => Reason::SignalWithThread { tid: tid(cpu), signal: Signal::SIGABRT },
            Stop::Begin => Reason::ReplayLog { tid: None, pos: ReplayLogPosition::Begin },
            Stop::End => Reason::ReplayLog { tid: None, pos: ReplayLogPosition::End },
        }
    }
}
