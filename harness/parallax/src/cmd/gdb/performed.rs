//! A trace as a debuggee: its operations are performed one after the other, and may be stopped half-way.
//!
//! QEMU's gdbstub answers for registers, memory, breakpoints and steps. Between two operations the machine waits at
//! `parallax_wait`; to go on from there is to begin the next operation. What the gdbstub cannot do is done here: addresses of
//! the hypervisor while the host runs, watchpoints on physical addresses (where the hypervisor reaches them), what an
//! operation changed, and who stored what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parallax_abi::info::HypInfo;
use parallax_abi::journal::{Record, kind};
use parallax_gdb::{Debuggee, Lost, Motion, Point, PointKind, Stop};
use parallax_machine::live::debug::{Stand, Stops};
use parallax_machine::rsp::hex;
use parallax_machine::{Live, MachineError};
use parallax_model::{Finding, Line};
use parallax_vmsa::mem::read_u64;
use parallax_vmsa::{Regime, translate};

use super::commands::{self, Command, Journey, told};
use super::history::{self, Named};
use super::scene::Scene;
use crate::engine::{Begun, Observer, Session, Step};
use crate::event_text;
use crate::trace::Op;

/// How long one look for a stop takes at most.
const LOOK: Duration = Duration::from_millis(20);
/// Limit of an operation that a `monitor` command has performed.
const OPERATION: Duration = Duration::from_secs(30);
/// What the gdbstub reads or writes at once, in bytes.
const MOST: usize = 2048;
/// GDB's number for a breakpoint or a step.
const SIGTRAP: u8 = 5;

/// The last store to a word.
#[derive(Clone, Copy)]
struct Store {
    /// Index of the operation.
    operation: usize,
    /// The instruction.
    pc: u64,
}

/// A machine that performs a trace.
pub(super) struct Performed<'m> {
    session: Session<'m>,
    observer: Observer,
    info: HypInfo,
    ops: &'m [Op],
    operations: Vec<Named>,
    /// What each operation that was performed did.
    steps: Vec<(Vec<Line>, Vec<Finding>)>,
    begun: Option<Begun>,
    documents: Vec<(String, String)>,
    stops: Stops,
    physical: bool,
    /// Points, and the address that the gdbstub has for each; none for one that the machine stops at anyway.
    points: BTreeMap<Point, Option<u64>>,
    motion: Motion,
    running: bool,
    /// A stop that is not told yet.
    pending: Option<Stop>,
    /// What went wrong with the machine, for a person.
    failed: Option<String>,
    stores: BTreeMap<u64, Store>,
}

fn lost(error: impl ToString) -> Lost {
    Lost(error.to_string())
}

/// A reply that is no refusal.
fn done(reply: &[u8]) -> bool {
    reply == b"OK"
}

impl<'m> Performed<'m> {
    /// For a machine that has booted, and the operations of its trace.
    pub(super) fn new(mut session: Session<'m>, ops: &'m [Op]) -> Result<Self, MachineError> {
        let info = session.machine().info();
        let observer = Observer::new(session.machine().description(), info);
        let live = session.machine_mut().live();
        let live = live.ok_or_else(|| MachineError::Contract("the machine is no live one".to_owned()))?;
        let (documents, stops) = (live.documents()?, live.stops());
        let named = |op: &Op| Named { line: op.line as u64, text: op.to_string(), result: None };
        Ok(Self {
            session,
            observer,
            info,
            ops,
            operations: ops.iter().map(named).collect(),
            steps: Vec::new(),
            begun: None,
            documents,
            stops,
            physical: false,
            points: BTreeMap::new(),
            motion: Motion::Continue,
            running: false,
            pending: None,
            failed: None,
            stores: BTreeMap::new(),
        })
    }

    fn live(&mut self) -> Result<&mut Live, Lost> {
        self.session.machine_mut().live().ok_or_else(|| Lost("the machine is gone".to_owned()))
    }

    fn ask(&mut self, cpu: usize, requests: &[String]) -> Result<Vec<Vec<u8>>, Lost> {
        self.live()?.ask(cpu, requests).map_err(lost)
    }

    /// Begins the next operation; false if there is none.
    fn begin(&mut self) -> Result<bool, Lost> {
        let Some(op) = self.ops.get(self.steps.len()) else { return Ok(false) };
        let begun = self.session.begin(op).map_err(lost)?;
        let request = begun.request;
        self.begun = Some(begun);
        self.live()?.begin(request).map_err(lost)?;
        Ok(true)
    }

    /// The operation that was begun is done: looks at what it did.
    fn end(&mut self) -> Result<(), Lost> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let op = &self.ops[self.steps.len()];
        let response = self.live()?.answer().map_err(lost)?;
        let step = self.session.end(op, begun, response).map_err(lost)?;
        self.note(step);
        Ok(())
    }

    fn note(&mut self, step: Step) {
        let number = self.steps.len();
        let stores = step.events.iter().filter(|event: &&Record| event.kind == kind::STORE);
        for event in stores {
            self.stores.insert(event.b & !7, Store { operation: number, pc: event.pc });
        }
        let found = if step.findings.is_empty() { "" } else { "  !" };
        self.operations[number].result = Some(format!("{}{found}", step.outcome.without_value()));
        self.steps.push((step.lines, step.findings));
    }

    /// What a stop of the machine is to the debugger; none if it is to go on.
    fn judge(&mut self, stand: &Stand) -> Result<Option<Stop>, Lost> {
        let Stand { cpu, pc, el, signal, watch } = *stand;
        let broken = self.points.keys().any(|point| point.kind == PointKind::Execute && point.address == pc);
        if el == 1 && pc == self.stops.wait && self.begun.is_some() {
            self.end()?;
            if broken {
                return Ok(Some(Stop::Break(cpu)));
            }
            if self.motion != Motion::Continue || !self.begin()? {
                return Ok(Some(Stop::Done(cpu)));
            }
            self.live()?.go(None, false).map_err(lost)?;
            return Ok(None);
        }
        if el == 2 && pc == self.stops.panic {
            self.failed = Some(format!("the hypervisor panicked\n{}", self.live()?.said()));
            return Ok(Some(Stop::Failed(cpu)));
        }
        if el == 1 && pc == self.stops.stuck {
            let what = "the test host met something that it has no answer to";
            self.failed = Some(format!("{what}\n{}", self.live()?.said()));
            return Ok(Some(Stop::Failed(cpu)));
        }
        let watched = watch.and_then(|at| {
            let hit = |(point, set): &(&Point, &Option<u64>)| {
                point.kind != PointKind::Execute
                    && set.is_some_and(|set| at >= set && at - set < point.len.max(1))
            };
            self.points.iter().find(hit).map(|(point, _)| *point)
        });
        Ok(Some(match watched {
            Some(point) => Stop::Watch(cpu, point),
            None if broken && signal == SIGTRAP => Stop::Break(cpu),
            None => Stop::Done(cpu),
        }))
    }

    /// The physical address of what EL2 has at `address`.
    fn at_el2(&mut self, address: u64) -> Option<u64> {
        let regime = Regime::el2_stage1(&self.session.registers().sys).ok().flatten()?;
        translate(self.session.machine().memory(), &regime, address).ok().map(|found| found.oa)
    }

    /// Reads physical memory, a device's too.
    fn read_physical(&mut self, pa: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        if self.session.machine().memory().read(pa, buf).is_ok() {
            return Ok(true);
        }
        let request = format!("m{pa:x},{:x}", buf.len());
        let replies = self.ask(0, &[request])?;
        Ok(take(&replies[0], buf))
    }

    fn read_piece(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        if self.physical {
            return self.read_physical(address, buf);
        }
        let request = format!("m{address:x},{:x}", buf.len());
        let replies = self.ask(cpu, &virtually(request))?;
        if take(&replies[1], buf) {
            return Ok(true);
        }
        match self.at_el2(address) {
            Some(pa) => self.read_physical(pa, buf),
            None => Ok(false),
        }
    }

    fn write_piece(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost> {
        let request = |at: u64| format!("M{at:x},{:x}:{}", bytes.len(), hex::encode(bytes));
        if !self.physical && done(&self.ask(cpu, &virtually(request(address)))?[1]) {
            return Ok(true);
        }
        let pa = if self.physical { Some(address) } else { self.at_el2(address) };
        match pa {
            Some(pa) => Ok(done(&self.ask(0, &[request(pa)])?[0])),
            None => Ok(false),
        }
    }

    /// Sets or removes what the gdbstub has of `point`.
    fn point(&mut self, letter: char, point: Point, at: u64) -> Result<bool, Lost> {
        let kind = match point.kind {
            PointKind::Execute => 1,
            PointKind::Write => 2,
            PointKind::Read => 3,
            PointKind::Access => 4,
        };
        Ok(done(&self.ask(0, &[format!("{letter}{kind},{at:x},{:x}", point.len)])?[0]))
    }

    /// Takes all points away from the gdbstub, or sets them again.
    fn all_points(&mut self, letter: char) -> Result<(), Lost> {
        for (point, at) in self.points.clone() {
            if let Some(at) = at {
                self.point(letter, point, at)?;
            }
        }
        Ok(())
    }

    /// Performs operations until `performed` of them are done, whatever points there are.
    fn go_to(&mut self, performed: usize) -> Result<String, Lost> {
        if performed < self.steps.len() || (performed == self.steps.len() && self.begun.is_some()) {
            let text = "a live run does not go back; record it (`parallax run TRACE --record FILE.plx`) and debug that";
            return Ok(format!("error: {text}\n"));
        }
        self.all_points('z')?;
        let gone = self.go_on(performed);
        if self.failed.is_none() && gone.is_ok() {
            self.all_points('Z')?;
        }
        gone?;
        Ok(match &self.failed {
            Some(why) => format!("error: {why}\n"),
            None => history::standing(&self.operations, self.steps.len()),
        })
    }

    fn go_on(&mut self, performed: usize) -> Result<(), Lost> {
        while self.steps.len() < performed && self.failed.is_none() {
            if self.begun.is_none() {
                self.begin()?;
            }
            self.motion = Motion::Step { cpu: 0, alone: false };
            let live = self.live()?;
            live.go(None, false).map_err(lost)?;
            let stand = match live.stopped(OPERATION).map_err(lost)? {
                Some(stand) => stand,
                None => {
                    let stand = live.halt().map_err(lost)?;
                    self.failed = Some(format!("a hang: the operation is not done within {OPERATION:?}"));
                    stand
                }
            };
            self.judge(&stand)?;
        }
        Ok(())
    }

    fn difference(&self, line: Option<u64>) -> Result<String, String> {
        let performed = line.map_or(Ok(self.steps.len()), |line| history::after(&self.operations, line))?;
        let Some(index) = performed.checked_sub(1) else {
            return Err("nothing has been performed yet".to_owned());
        };
        let Some((lines, findings)) = self.steps.get(index) else {
            return Err(format!("operation {} has not been performed yet", self.operations[index].line));
        };
        let mut out = format!("{}\n", self.operations[index].shown());
        for line in lines {
            let _ = writeln!(out, "   {line}");
        }
        for finding in findings {
            let _ = writeln!(out, "   ! {finding}");
        }
        if lines.is_empty() && findings.is_empty() {
            out.push_str("   nothing\n");
        }
        Ok(out)
    }

    /// Who last stored to the entries that translate an address.
    fn explain(&mut self, text: &str) -> Result<String, String> {
        let registers = self.session.machine_mut().registers().map_err(|error| error.to_string())?;
        let memory = self.session.machine().memory();
        let snapshot = self.observer.observe(memory, &registers);
        let context = self.observer.context();
        let scene = Scene { snapshot: &snapshot, registers: &registers, memory, context, info: &self.info };
        let address = scene.address(text)?;
        let mut out = String::new();
        if self.begun.is_some() {
            out.push_str("(what the operation under way stored is known when it is done)\n");
        }
        for (lane, entry) in scene.last_entries(address)? {
            let value = read_u64(memory, entry).unwrap_or_default();
            let _ = writeln!(out, "{lane:<4} entry at {entry:#x} = {value:#018x}");
            match self.stores.get(&entry) {
                Some(store) => {
                    let _ = writeln!(out, "  stored by {}", self.operations[store.operation].shown());
                    if let Some(symbols) = self.session.machine().symbols() {
                        let _ = writeln!(out, "  at {}", event_text::place(store.pc, symbols));
                    }
                }
                None => out.push_str("  no operation stored to it\n"),
            }
        }
        Ok(out)
    }
}

/// `request`, answered as the CPU sees memory; the gdbstub reads physical memory before and after. The second reply counts.
fn virtually(request: String) -> [String; 3] {
    ["Qqemu.PhyMemMode:0".to_owned(), request, "Qqemu.PhyMemMode:1".to_owned()]
}

/// Takes the bytes of a reply, if they are those that were asked for.
fn take(reply: &[u8], buf: &mut [u8]) -> bool {
    match hex::decode(reply).filter(|bytes| bytes.len() == buf.len()) {
        Some(bytes) => {
            buf.copy_from_slice(&bytes);
            true
        }
        None => false,
    }
}

/// The bytes of a `g` packet; `xx` is one that is not known.
fn register_bytes(reply: &[u8]) -> Option<Vec<Option<u8>>> {
    let pairs = reply.chunks(2);
    pairs
        .map(|pair| if pair == b"xx" { Some(None) } else { Some(Some(*hex::decode(pair)?.first()?)) })
        .collect()
}

impl Debuggee for Performed<'_> {
    fn cpus(&self) -> usize {
        usize::try_from(self.info.cpus).unwrap_or(1).max(1)
    }

    fn cpu_name(&self, cpu: usize) -> String {
        format!("CPU {cpu}")
    }

    fn description(&self, document: &str) -> Option<&str> {
        self.documents.iter().find(|(name, _)| name == document).map(|(_, xml)| xml.as_str())
    }

    fn registers(&mut self, cpu: usize) -> Result<Option<Vec<Option<u8>>>, Lost> {
        Ok(register_bytes(&self.ask(cpu, &["g".to_owned()])?[0]))
    }

    fn write_registers(&mut self, cpu: usize, bytes: &[u8]) -> Result<bool, Lost> {
        Ok(done(&self.ask(cpu, &[format!("G{}", hex::encode(bytes))])?[0]))
    }

    fn register(&mut self, cpu: usize, number: usize) -> Result<Option<Vec<u8>>, Lost> {
        Ok(hex::decode(&self.ask(cpu, &[format!("p{number:x}")])?[0]))
    }

    fn write_register(&mut self, cpu: usize, number: usize, bytes: &[u8]) -> Result<bool, Lost> {
        Ok(done(&self.ask(cpu, &[format!("P{number:x}={}", hex::encode(bytes))])?[0]))
    }

    fn read(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        let mut at = address;
        let mut rest = buf;
        while !rest.is_empty() {
            // One translation holds to the end of its page.
            let len = rest.len().min(MOST).min((4096 - at % 4096) as usize);
            let (now, later) = rest.split_at_mut(len);
            if !self.read_piece(cpu, at, now)? {
                return Ok(false);
            }
            (at, rest) = (at.wrapping_add(len as u64), later);
        }
        Ok(true)
    }

    fn write(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost> {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = rest.len().min(MOST / 2).min((4096 - at % 4096) as usize);
            let (now, later) = rest.split_at(len);
            if !self.write_piece(cpu, at, now)? {
                return Ok(false);
            }
            (at, rest) = (at.wrapping_add(len as u64), later);
        }
        Ok(true)
    }

    fn physical(&self) -> bool {
        self.physical
    }

    fn set_physical(&mut self, on: bool) {
        self.physical = on;
    }

    fn insert(&mut self, point: Point) -> Result<bool, Lost> {
        if self.points.contains_key(&point) {
            return Ok(true);
        }
        let own = [self.stops.wait, self.stops.stuck, self.stops.panic];
        let at = match point.kind {
            PointKind::Execute if own.contains(&point.address) => None,
            PointKind::Execute => Some(point.address),
            // The gdbstub watches virtual addresses; the hypervisor reaches memory at this one.
            _ if self.physical => Some(point.address.wrapping_add(self.info.linear_offset)),
            _ => Some(point.address),
        };
        if let Some(at) = at
            && !self.point('Z', point, at)?
        {
            return Ok(false);
        }
        self.points.insert(point, at);
        Ok(true)
    }

    fn remove(&mut self, point: Point) -> Result<bool, Lost> {
        match self.points.remove(&point) {
            Some(Some(at)) => self.point('z', point, at),
            _ => Ok(true),
        }
    }

    fn reverses(&self) -> bool {
        false
    }

    fn resume(&mut self, motion: Motion) -> Result<(), Lost> {
        self.motion = motion;
        if self.failed.is_some() {
            self.pending = Some(Stop::Failed(0));
            return Ok(());
        }
        if self.begun.is_none() && !self.begin()? {
            self.pending = Some(Stop::Done(0));
            return Ok(());
        }
        let (step, alone) = match motion {
            Motion::Step { cpu, alone } => (Some(cpu), alone),
            _ => (None, false),
        };
        self.live()?.go(step, alone).map_err(lost)?;
        self.running = true;
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Stop>, Lost> {
        if let Some(stop) = self.pending.take() {
            return Ok(Some(stop));
        }
        let Some(stand) = self.live()?.stopped(LOOK).map_err(lost)? else { return Ok(None) };
        let stop = self.judge(&stand)?;
        self.running = stop.is_none();
        Ok(stop)
    }

    fn interrupt(&mut self) -> Result<usize, Lost> {
        self.pending = None;
        if !std::mem::take(&mut self.running) {
            return Ok(0);
        }
        let stand = self.live()?.halt().map_err(lost)?;
        // It may have come to the end of an operation in that very moment.
        if stand.pc == self.stops.wait && stand.el == 1 {
            self.end()?;
        }
        Ok(stand.cpu)
    }

    fn leave(&mut self) -> Result<(), Lost> {
        self.interrupt()?;
        self.all_points('z')?;
        self.points.clear();
        self.physical = false;
        Ok(())
    }

    fn monitor(&mut self, command: &str) -> Result<String, Lost> {
        let command = match Command::parse(command) {
            Ok(command) => command,
            Err(error) => return Ok(told(Err(error))),
        };
        match command {
            Command::Journey(Journey::Ops { all }) => {
                return Ok(history::list(&self.operations, self.steps.len(), all));
            }
            Command::Journey(Journey::Go(line)) => {
                return match history::after(&self.operations, line) {
                    Ok(performed) => self.go_to(performed),
                    Err(error) => Ok(told(Err(error))),
                };
            }
            Command::Journey(Journey::Diff(line)) => return Ok(told(self.difference(line))),
            Command::Journey(Journey::Explain(ipa)) => return Ok(told(self.explain(ipa))),
            _ => {}
        }
        self.ask(0, &[])?;
        let registers = self.session.machine_mut().registers().map_err(lost)?;
        let memory = self.session.machine().memory();
        let snapshot = self.observer.observe(memory, &registers);
        let context = self.observer.context();
        let scene = Scene { snapshot: &snapshot, registers: &registers, memory, context, info: &self.info };
        let mut text = told(commands::on_scene(command, &scene));
        if let (Command::Check, Some(why)) = (command, &self.failed) {
            let _ = writeln!(text, "{why}");
        }
        Ok(text)
    }
}
