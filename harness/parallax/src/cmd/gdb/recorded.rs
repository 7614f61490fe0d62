//! A recording as a debuggee: it goes from operation to operation, forward and back.
//!
//! The program counter is in front of the operation that is performed next, and so are stops at watchpoints: forward, in
//! front of the operation that will change the memory; back, behind the one that changed it. That is where hardware that
//! stops before an access leaves a debugger of AArch64, which takes the step itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use parallax_abi::info::HypInfo;
use parallax_gdb::{Debuggee, Lost, Motion, Point, PointKind, Stop, program};
use parallax_machine::recording::{RecordingError, Replay, Search};
use parallax_machine::{Machine, Registers};
use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Delta, Snapshot, View, state_lines};
use parallax_vmsa::{Regime, translate};

use super::commands::{self, Command, Journey, told};
use super::history::{self, Named};
use super::inside::Inside;
use super::recorded_registers;
use super::scene::Scene;
use crate::engine::Observer;
use crate::source;

/// A way that is under way.
enum Way {
    /// Nowhere; what to say here.
    Here(Stop),
    /// Only a place to go to, and what to say there.
    To(u64, Stop),
    /// A search for a change; where to stop if there is none.
    Search { search: Search, otherwise: (u64, Stop) },
}

/// The recording.
pub(super) struct Recorded {
    replay: Replay,
    operations: Vec<Named>,
    events: bool,
    observer: Observer,
    info: HypInfo,
    description: String,
    physical: bool,
    /// Points with the physical addresses of what they watch.
    points: BTreeSet<(Point, u64)>,
    way: Option<Way>,
    /// The place inside of the operation behind the one after which the replay stands; none between two operations.
    inside: Option<Inside>,
}

fn lost(error: RecordingError) -> Lost {
    Lost(error.to_string())
}

impl Recorded {
    /// For `replay`.
    pub(super) fn new(replay: Replay) -> Result<Self, RecordingError> {
        let listed = replay.operations()?;
        let events = listed.iter().any(|listed| listed.events);
        let operations = listed.into_iter().skip(1).map(|listed| {
            let result = source::result(&listed.text, listed.response.as_ref());
            Named { line: u64::from(listed.line), text: listed.text, result: Some(result) }
        });
        let operations = operations.collect();
        let info = replay.info();
        let observer = Observer::new(replay.description(), info);
        Ok(Self {
            replay,
            operations,
            events,
            observer,
            info,
            description: recorded_registers::description(),
            physical: false,
            points: BTreeSet::new(),
            way: None,
            inside: None,
        })
    }

    /// The operations.
    pub(super) fn operations(&self) -> &[Named] {
        &self.operations
    }

    /// Whether it says what happened inside of operations.
    pub(super) const fn events(&self) -> bool {
        self.events
    }

    /// Revision of the hypervisor's source.
    pub(super) fn revision(&self) -> &str {
        self.replay.revision()
    }

    const fn position(&self) -> u64 {
        self.replay.position()
    }

    fn now(&mut self) -> Result<(Snapshot, Registers), String> {
        let registers = self.replay.registers().map_err(|error| error.to_string())?;
        let snapshot = self.observer.observe(self.replay.memory(), &registers);
        Ok((snapshot, registers))
    }

    /// The physical address of `address`: by EL2's stage 1, or as an address of the host.
    fn resolve(&mut self, address: u64) -> Option<u64> {
        if self.physical {
            return Some(address);
        }
        let registers = self.replay.registers().ok()?;
        let memory = self.replay.memory();
        let el2 = Regime::el2_stage1(&registers.sys).ok().flatten();
        let host = Regime::stage2(&registers.sys).ok().flatten();
        let found = el2.and_then(|regime| translate(memory, &regime, address).ok());
        let found = found.or_else(|| host.and_then(|regime| translate(memory, &regime, address).ok()));
        found.map(|found| found.oa)
    }

    /// Watchpoints of stores: each piece of memory with its point. A recording knows of no loads.
    fn watched(&self) -> Vec<(Point, (u64, u64))> {
        let stores = self
            .points
            .iter()
            .filter(|(point, _)| matches!(point.kind, PointKind::Write | PointKind::Access));
        stores.map(|(point, pa)| (*point, (*pa, point.len))).collect()
    }

    /// Positions of breakpoints.
    fn breakpoints(&self) -> impl Iterator<Item = u64> {
        let points = self.points.iter().filter(|(point, _)| point.kind == PointKind::Execute);
        points.filter_map(|(point, _)| program::index(point.address))
    }

    fn begin(&mut self, motion: Motion) -> Way {
        let (at, last) = (self.position(), self.replay.last());
        let pieces = self.watched().iter().map(|(_, piece)| *piece).collect::<Vec<_>>();
        let (to, stop) = match motion {
            Motion::Step { .. } if at == last => return Way::To(at, Stop::End),
            Motion::Step { cpu, .. } => (at + 1, Stop::Done(cpu)),
            Motion::ReverseStep if at == 0 => return Way::To(at, Stop::Begin),
            Motion::ReverseStep => (at - 1, Stop::Done(0)),
            Motion::Continue => match self.breakpoints().filter(|&point| point > at && point <= last).min() {
                Some(point) => (point, Stop::Break(0)),
                None => (last, Stop::End),
            },
            Motion::ReverseContinue => match self.breakpoints().filter(|&point| point < at).max() {
                Some(point) => (point, Stop::Break(0)),
                None => (0, Stop::Begin),
            },
        };
        if pieces.is_empty() || to == at {
            return Way::To(to, stop);
        }
        let search = if to > at { Search::forward(pieces, at, to) } else { Search::back(pieces, at, to) };
        Way::Search { search, otherwise: (to, stop) }
    }

    /// Standing in front of an operation that will change what is watched (`forward`), or behind one that changed it: goes on
    /// to the very store if the recording has it, and says what there is to be said of it.
    fn enter(&mut self, forward: bool, stop: Stop) -> Result<Stop, RecordingError> {
        let op = if forward { self.position() + 1 } else { self.position() };
        self.replay.go_to(op)?;
        let inside = Inside::end(op, self.replay.events().unwrap_or_default());
        if let Some(mut inside) = inside {
            self.replay.go_to(op - 1)?;
            if let Some(stop) = self.change(&mut inside, forward) {
                self.inside = Some(inside);
                return Ok(stop);
            }
        }
        self.replay.go_to(if forward { op - 1 } else { op })?;
        Ok(stop)
    }

    /// Takes `inside` to the next change of what is watched.
    fn change(&self, inside: &mut Inside, forward: bool) -> Option<Stop> {
        let watched = self.watched();
        let pieces: Vec<(u64, u64)> = watched.iter().map(|(_, piece)| *piece).collect();
        let (found, cpu) = if forward {
            // From the end, where an operation is entered, to its beginning.
            if inside.next().is_none() {
                inside.rewind();
            }
            (inside.next_change(self.replay.memory(), &pieces)?, inside.next().map(|store| store.cpu))
        } else {
            (inside.last_change(self.replay.memory(), &pieces)?, None)
        };
        Some(Stop::Watch(usize::from(cpu.unwrap_or(0)), watched.get(found)?.0))
    }

    /// How `motion` goes on from inside of an operation; none between two operations.
    fn begin_inside(&mut self, motion: Motion) -> Result<Option<Way>, RecordingError> {
        let Some(mut inside) = self.inside.take() else { return Ok(None) };
        let op = inside.op;
        let stop = match motion {
            Motion::Step { cpu, .. } => (inside.step() && inside.next().is_some()).then_some(Stop::Done(cpu)),
            Motion::ReverseStep => inside.back().then_some(Stop::Done(0)),
            Motion::Continue if inside.next().is_some() => self.change(&mut inside, true),
            Motion::Continue => None,
            Motion::ReverseContinue => self.change(&mut inside, false),
        };
        if let Some(stop) = stop {
            self.inside = Some(inside);
            return Ok(Some(Way::Here(stop)));
        }
        Ok(match motion {
            // Out of it: to its end, or to its beginning, where the replay stands.
            Motion::Step { cpu, .. } => Some(Way::To(op, Stop::Done(cpu))),
            Motion::ReverseStep => Some(Way::Here(Stop::Done(0))),
            Motion::Continue => {
                self.replay.go_to(op)?;
                None
            }
            Motion::ReverseContinue => None,
        })
    }

    fn journey(&mut self, journey: Journey<'_>) -> Result<String, String> {
        let at = self.position();
        if matches!(journey, Journey::Go(_)) {
            self.inside = None;
        }
        let text = |error: RecordingError| error.to_string();
        match journey {
            Journey::Ops { all } => Ok(history::list(&self.operations, at as usize, all)),
            Journey::Go(line) => {
                let performed = history::after(&self.operations, line)?;
                self.replay.go_to(performed as u64).map_err(text)?;
                Ok(history::standing(&self.operations, performed))
            }
            Journey::Diff(line) => {
                let performed =
                    line.map_or(Ok(at as usize), |line| history::after(&self.operations, line))?;
                let shown = self.difference(performed as u64);
                self.replay.go_to(at).map_err(text)?;
                shown
            }
            Journey::Explain(ipa) => {
                let told = self.explain(ipa);
                self.replay.go_to(at).map_err(text)?;
                told
            }
        }
    }

    /// What operation number `performed` changed.
    fn difference(&mut self, performed: u64) -> Result<String, String> {
        let go = |replay: &mut Replay, op| replay.go_to(op).map_err(|error| error.to_string());
        let mut out = String::new();
        let before = match performed.checked_sub(1) {
            Some(before) => {
                go(&mut self.replay, before)?;
                let (snapshot, _) = self.now()?;
                Some(Canonical::of(&snapshot, BlockSize::Shown))
            }
            None => None,
        };
        go(&mut self.replay, performed)?;
        let (snapshot, _) = self.now()?;
        let symbols = &self.observer.context().symbols;
        let lines = match before {
            Some(before) => {
                let _ = writeln!(out, "{}", self.operations[performed as usize - 1].shown());
                Delta::of(&before, &Canonical::of(&snapshot, BlockSize::Shown)).lines(symbols, View::All)
            }
            None => {
                out.push_str("0: boot\n");
                state_lines(&snapshot, symbols, View::All, BlockSize::Shown)
            }
        };
        for line in &lines {
            let _ = writeln!(out, "   {line}");
        }
        if lines.is_empty() {
            out.push_str("   nothing\n");
        }
        Ok(out)
    }

    /// Which operations last changed the entries that translate an address.
    fn explain(&mut self, ipa: &str) -> Result<String, String> {
        let at = self.position();
        let (snapshot, registers) = self.now()?;
        let scene = Scene {
            snapshot: &snapshot,
            registers: &registers,
            memory: self.replay.memory(),
            context: self.observer.context(),
            info: &self.info,
        };
        let address = scene.address(ipa)?;
        let entries = scene.last_entries(address)?;
        let mut out = String::new();
        for (lane, entry) in entries {
            let value = |replay: &Replay| {
                parallax_vmsa::mem::read_u64(replay.memory(), entry)
                    .map_or_else(|_| "not recorded".to_owned(), |value| format!("{value:#018x}"))
            };
            let mut search = Search::back(vec![(entry, 8)], at, 0);
            let mut change = None;
            while change.is_none() && !search.done() {
                change = search.stretch(&mut self.replay).map_err(|error| error.to_string())?;
            }
            let _ = writeln!(out, "{lane:<4} entry at {entry:#x}");
            match change {
                Some(change) => {
                    let _ = writeln!(out, "  changed by {}", self.operations[change.op as usize - 1].shown());
                    self.replay.go_to(change.op - 1).map_err(|error| error.to_string())?;
                    let before = value(&self.replay);
                    self.replay.go_to(change.op).map_err(|error| error.to_string())?;
                    let _ = writeln!(out, "  {before} -> {}", value(&self.replay));
                }
                None => out.push_str("  as the boot left it\n"),
            }
        }
        Ok(out)
    }
}

impl Debuggee for Recorded {
    fn cpus(&self) -> usize {
        usize::try_from(self.info.cpus).unwrap_or(1).clamp(1, 8)
    }

    fn cpu_name(&self, cpu: usize) -> String {
        format!("CPU {cpu}, recorded")
    }

    fn description(&self, document: &str) -> Option<&str> {
        (document == "target.xml").then_some(&self.description)
    }

    fn registers(&mut self, cpu: usize) -> Result<Option<Vec<Option<u8>>>, Lost> {
        let pc = match &self.inside {
            Some(inside) => inside.next().map_or(program::address(inside.op), |store| store.pc),
            None => program::address(self.position()),
        };
        let registers = self.replay.registers().map_err(|error| Lost(error.to_string()))?;
        Ok(Some(recorded_registers::bytes(pc, cpu, &registers)))
    }

    fn write_registers(&mut self, _cpu: usize, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn register(&mut self, _cpu: usize, _number: usize) -> Result<Option<Vec<u8>>, Lost> {
        Ok(None)
    }

    fn write_register(&mut self, _cpu: usize, _number: usize, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn read(&mut self, _cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        let mut done = 0;
        while done < buf.len() {
            let at = address.wrapping_add(done as u64);
            // One translation holds to the end of its page.
            let len = (buf.len() - done).min((4096 - at % 4096) as usize);
            let Some(pa) = self.resolve(at) else { return Ok(false) };
            let piece = &mut buf[done..done + len];
            if self.replay.memory().read(pa, piece).is_err() {
                return Ok(false);
            }
            if let Some(inside) = &self.inside {
                inside.patch(pa, piece);
            }
            done += len;
        }
        Ok(true)
    }

    fn write(&mut self, _cpu: usize, _address: u64, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn physical(&self) -> bool {
        self.physical
    }

    fn set_physical(&mut self, on: bool) {
        self.physical = on;
    }

    fn insert(&mut self, point: Point) -> Result<bool, Lost> {
        let pa = match point.kind {
            PointKind::Execute => Some(point.address),
            _ => self.resolve(point.address),
        };
        Ok(pa.is_some_and(|pa| {
            self.points.insert((point, pa));
            true
        }))
    }

    fn remove(&mut self, point: Point) -> Result<bool, Lost> {
        self.points.retain(|(known, _)| *known != point);
        Ok(true)
    }

    fn reverses(&self) -> bool {
        true
    }

    fn resume(&mut self, motion: Motion) -> Result<(), Lost> {
        self.way = Some(match self.begin_inside(motion).map_err(lost)? {
            Some(way) => way,
            None => self.begin(motion),
        });
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Stop>, Lost> {
        let Some(way) = &mut self.way else { return Ok(None) };
        let mut found = None;
        let (to, stop) = match way {
            Way::Here(stop) => {
                let stop = *stop;
                self.way = None;
                return Ok(Some(stop));
            }
            Way::To(to, stop) => (*to, *stop),
            Way::Search { search, otherwise } => match search.stretch(&mut self.replay).map_err(lost)? {
                Some(change) => {
                    let forward = search.is_forward();
                    let to = if forward { change.op - 1 } else { change.op };
                    let watched = self.watched();
                    let point = watched.get(change.piece);
                    found = Some(forward);
                    (to, point.map_or(Stop::Done(0), |(point, _)| Stop::Watch(0, *point)))
                }
                None if search.done() => *otherwise,
                None => return Ok(None),
            },
        };
        self.way = None;
        self.replay.go_to(to).map_err(lost)?;
        match found {
            Some(forward) => self.enter(forward, stop).map(Some).map_err(lost),
            None => Ok(Some(stop)),
        }
    }

    fn interrupt(&mut self) -> Result<usize, Lost> {
        self.way = None;
        Ok(0)
    }

    fn leave(&mut self) -> Result<(), Lost> {
        (self.way, self.inside) = (None, None);
        self.points.clear();
        self.physical = false;
        Ok(())
    }

    fn monitor(&mut self, command: &str) -> Result<String, Lost> {
        let command = match Command::parse(command) {
            Ok(command) => command,
            Err(error) => return Ok(told(Err(error))),
        };
        if let Command::Journey(journey) = command {
            return Ok(told(self.journey(journey)));
        }
        let (snapshot, registers) = match self.now() {
            Ok(now) => now,
            Err(error) => return Ok(told(Err(error))),
        };
        let scene = Scene {
            snapshot: &snapshot,
            registers: &registers,
            memory: self.replay.memory(),
            context: self.observer.context(),
            info: &self.info,
        };
        Ok(told(commands::on_scene(command, &scene)))
    }
}
