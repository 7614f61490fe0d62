//! A trace as a debuggee: its operations are performed one after the other, and may be stopped half-way.
//!
//! QEMU's gdbstub answers for registers, memory, breakpoints and steps. Between two operations the machine waits at
//! `parallax_wait`; to go on from there is to begin the next operation. What the gdbstub cannot do is done here: addresses of
//! the hypervisor while the host runs, watchpoints on physical addresses (where the hypervisor reaches them), what an
//! operation changed, and who stored what.

mod history_commands;
mod memory;
mod points;
mod registers;

use std::collections::BTreeMap;
use std::time::Duration;

use parallax_abi::journal::{Record, kind};
use parallax_engine::{Begun, Session, Step};
use parallax_machine::rsp::hex;
use parallax_machine::{Debug, MachineError, Stand, Stops};
use parallax_model::{Finding, Line};
use parallax_trace::Op;

use crate::{Debuggee, Lost, Motion, Point, PointKind, Stop};

use crate::history::Named;
use crate::state_view::StateViews;

/// How long one look for a stop takes at most.
const LOOK: Duration = Duration::from_millis(20);
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
pub struct Performed<'m> {
    session: Session<'m>,
    /// The trace's name, for a person.
    file: String,
    states: StateViews,
    ops: &'m [Op],
    operations: Vec<Named>,
    /// What was found after the boot.
    booted: Vec<String>,
    /// What each operation that was performed did, and what was found then, with all that there is to say of it.
    steps: Vec<(Vec<Line>, Vec<String>)>,
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

/// A finding with all that there is to say of it.
fn said(session: &Session<'_>, finding: &Finding) -> Vec<String> {
    let detail = session.detail(finding).into_iter().map(|line| format!("    {line}"));
    std::iter::once(format!("! {finding}")).chain(detail).collect()
}

/// A reply that is no refusal.
fn done(reply: &[u8]) -> bool {
    reply == b"OK"
}

impl<'m> Performed<'m> {
    /// For a machine that has booted, after which `found` was found, and the operations of its trace, which is `file`.
    pub fn new(
        mut session: Session<'m>,
        found: &[Finding],
        ops: &'m [Op],
        file: String,
    ) -> Result<Self, MachineError> {
        let states = StateViews::new(session.machine().target());
        let debug = session.machine_mut().debug();
        let debug = debug.ok_or_else(|| MachineError::Contract("no debugger has a way in".to_owned()))?;
        let (mut documents, stops) = (debug.documents()?, debug.stops());
        registers::complete(&mut documents, states.info.smmu_pa != 0);
        let named = |op: &Op| Named { line: op.line as u64, text: op.to_string(), result: None };
        let booted = found.iter().flat_map(|finding| said(&session, finding)).collect();
        Ok(Self {
            session,
            file,
            states,
            ops,
            booted,
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

    fn debug(&mut self) -> Result<&mut dyn Debug, Lost> {
        self.session.machine_mut().debug().ok_or_else(|| Lost("the machine is gone".to_owned()))
    }

    fn ask(&mut self, cpu: usize, requests: &[String]) -> Result<Vec<Vec<u8>>, Lost> {
        self.debug()?.ask(cpu, requests).map_err(lost)
    }

    /// Begins the next operation; false if there is none.
    fn begin(&mut self) -> Result<bool, Lost> {
        let Some(op) = self.ops.get(self.steps.len()) else { return Ok(false) };
        let begun = self.session.begin(op).map_err(lost)?;
        self.begun = Some(begun);
        self.debug()?.begin(begun.cpu, &begun.operation).map_err(lost)?;
        Ok(true)
    }

    /// The operation that was begun is done: looks at what it did.
    fn end(&mut self) -> Result<(), Lost> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let op = &self.ops[self.steps.len()];
        let answer = self.debug()?.answer(&begun.operation).map_err(lost)?;
        let step = self.session.end(op, &begun, &answer).map_err(lost)?;
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
        let said = step.findings.iter().flat_map(|finding| said(&self.session, finding)).collect();
        self.steps.push((step.lines, said));
    }

    /// What a stop of the machine is to the debugger; none if it is to go on.
    fn judge(&mut self, stand: &Stand) -> Result<Option<Stop>, Lost> {
        let Stand { cpu, pc, el, signal, watch } = *stand;
        let broken =
            self.points.keys().any(|point| point.kind == PointKind::Execute && point.address == pc.get());
        if el == 1 && pc == self.stops.wait && self.begun.is_some() {
            self.end()?;
            if broken {
                return Ok(Some(Stop::Break(cpu)));
            }
            if self.motion != Motion::Continue || !self.begin()? {
                return Ok(Some(Stop::Done(cpu)));
            }
            self.debug()?.go(None, false).map_err(lost)?;
            return Ok(None);
        }
        if el == 2 && pc == self.stops.panic.into() {
            self.failed = Some(format!("the hypervisor panicked\n{}", self.debug()?.printed()));
            return Ok(Some(Stop::Failed(cpu)));
        }
        if el == 1 && pc == self.stops.stuck {
            let debug = self.debug()?;
            self.failed = Some(format!("{}\n{}", debug.stuck(), debug.printed()));
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
}

impl Debuggee for Performed<'_> {
    fn cpus(&self) -> usize {
        usize::try_from(self.states.info.cpus).unwrap_or(1).max(1)
    }

    fn cpu_name(&self, cpu: usize) -> String {
        format!("CPU {cpu}")
    }

    fn description(&self, document: &str) -> Option<&str> {
        self.documents.iter().find(|(name, _)| name == document).map(|(_, xml)| xml.as_str())
    }

    fn registers(&mut self, cpu: usize) -> Result<Option<Vec<Option<u8>>>, Lost> {
        Ok(registers::bytes(&self.ask(cpu, &["g".to_owned()])?[0]))
    }

    fn write_registers(&mut self, cpu: usize, bytes: &[u8]) -> Result<bool, Lost> {
        Ok(done(&self.ask(cpu, &[format!("G{}", hex::encode(bytes))])?[0]))
    }

    fn register(&mut self, cpu: usize, number: usize) -> Result<Option<Vec<u8>>, Lost> {
        if let Some(offset) = registers::smmu(number) {
            let mut bytes = [0; 4];
            let known = self.read_physical(self.states.info.smmu_pa.wrapping_add(offset), &mut bytes)?;
            return Ok(known.then(|| bytes.to_vec()));
        }
        Ok(hex::decode(&self.ask(cpu, &[format!("p{number:x}")])?[0]))
    }

    fn write_register(&mut self, cpu: usize, number: usize, bytes: &[u8]) -> Result<bool, Lost> {
        Ok(done(&self.ask(cpu, &[format!("P{number:x}={}", hex::encode(bytes))])?[0]))
    }

    fn read(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        self.read_memory(cpu, address, buf)
    }

    fn write(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost> {
        self.write_memory(cpu, address, bytes)
    }

    fn physical(&mut self) -> &mut bool {
        &mut self.physical
    }

    fn insert(&mut self, point: Point) -> Result<bool, Lost> {
        self.insert_point(point)
    }

    fn remove(&mut self, point: Point) -> Result<bool, Lost> {
        self.remove_point(point)
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
        self.debug()?.go(step, alone).map_err(lost)?;
        self.running = true;
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Stop>, Lost> {
        if let Some(stop) = self.pending.take() {
            return Ok(Some(stop));
        }
        let Some(stand) = self.debug()?.stopped(LOOK).map_err(lost)? else { return Ok(None) };
        let stop = self.judge(&stand)?;
        self.running = stop.is_none();
        Ok(stop)
    }

    fn interrupt(&mut self) -> Result<usize, Lost> {
        self.pending = None;
        if !std::mem::take(&mut self.running) {
            return Ok(0);
        }
        let stand = self.debug()?.halt().map_err(lost)?;
        // It may have come to the end of an operation in that very moment.
        if stand.pc == self.stops.wait && stand.el == 1 {
            self.end()?;
        }
        Ok(stand.cpu)
    }

    fn monitor(&mut self, command: &str) -> Result<String, Lost> {
        self.command(command)
    }

    fn leave(&mut self) -> Result<(), Lost> {
        self.interrupt()?;
        self.all_points('z')?;
        self.points.clear();
        self.physical = false;
        Ok(())
    }
}
