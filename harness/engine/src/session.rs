//! A machine, taken from operation to operation: the one loop that everything goes through.

use parallax_abi::journal::{Record, kind};
use parallax_addr::Symbol;
use parallax_machine::recording::{Recorder, RecordingMem};
use parallax_machine::{Machine, MachineError, Registers};
use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Context, Delta, Finding, Line, Reporter, Snapshot, View, state_lines};
use parallax_ops::{Answer, Batch, CpuId, Operation, Order};
use parallax_trace::{Op, Outcome};
use parallax_vmsa::PhysMem;

use crate::error::SessionError;
use crate::judge::{Judge, Moment, Performed, StepView};
use crate::judges::{self, Protocol, Spec, Unseen};
use crate::observer::Observer;
use crate::order::{Exported, Requirements};
use crate::recorded;
use crate::stream::Stream;

/// What one operation did.
#[derive(Clone, Debug)]
pub struct Step {
    /// How it ended.
    pub outcome: Outcome,
    /// All that the machine said of it.
    pub answer: Answer,
    /// What changed; the whole state for the operation `snapshot`.
    pub lines: Vec<Line>,
    /// What was found and had not been found before.
    pub findings: Vec<Finding>,
    /// What the plugin saw of it; nothing without a plugin. Of a batch, whose operations are many, it is not kept.
    pub events: Vec<Record>,
}

/// What a session begins with, beside its machine.
#[derive(Default)]
pub struct Beginning {
    /// Where everything goes.
    pub recorder: Option<Recorder>,
    /// Whether [`Session::exported`] is to have all events.
    pub export: bool,
    /// What the order of events is asked for beyond the architecture.
    pub require: Requirements,
    /// Judges beside those that every session has.
    pub judges: Vec<Box<dyn Judge>>,
}

/// What operations did that were looked at together.
#[derive(Clone, Debug)]
pub struct Together {
    /// How each of them ended.
    pub outcomes: Vec<Outcome>,
    /// What was found and had not been found before.
    pub findings: Vec<Finding>,
    /// Whether anything that translates an address changed.
    pub changed: bool,
}

/// What came of a look.
#[derive(Default)]
pub(crate) struct Look {
    lines: Vec<Line>,
    findings: Vec<Finding>,
    /// What was found of each operation of its own, where several were performed at once.
    pub(crate) own: Vec<Vec<Finding>>,
    changed: bool,
}

impl Look {
    /// What an operation at once with others, of which `findings` were found, has of it.
    pub(crate) fn of_one(findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::default() }
    }

    /// The step of the one operation that was answered with `answer`; `events` is what is kept of it.
    pub(crate) fn step(self, answer: &Answer, events: Vec<Record>) -> Step {
        let Self { lines, findings, .. } = self;
        Step { outcome: answer.outcome.clone(), answer: answer.clone(), lines, findings, events }
    }
}

/// An operation that is about to be performed.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// The CPU that performs it.
    pub cpu: CpuId,
    /// What it is on this machine.
    pub operation: Operation,
}

/// A machine between two operations.
pub struct Session<'m> {
    pub(crate) machine: &'m mut dyn Machine,
    pub(crate) observer: Observer,
    pub(crate) registers: Registers,
    pub(crate) now: Snapshot,
    /// Canonical form of `now`.
    pub(crate) form: Canonical,
    pub(crate) reporter: Reporter,
    judges: Vec<Box<dyn Judge>>,
    /// The judge of the order of events, which comes last.
    pub(crate) protocol: Protocol,
    /// Knows what the hypervisor's memory must hold; nothing without a plugin.
    pub(crate) unseen: Option<Unseen>,
    recorder: Option<Recorder>,
    pub(crate) stream: Option<Stream>,
    /// Instructions at EL2 until the end of the boot; 0 without a plugin.
    boot_instructions: u64,
}

impl<'m> Session<'m> {
    /// Looks at a machine that has just booted; also gives what is wrong already. Everything goes into `recorder`.
    ///
    /// # Errors
    /// The machine cannot be read, or the recording cannot be written.
    pub fn start(
        machine: &'m mut dyn Machine,
        recorder: Option<Recorder>,
    ) -> Result<(Self, Vec<Finding>), SessionError> {
        Self::start_with(machine, Beginning { recorder, ..Beginning::default() })
    }

    /// As [`Self::start`], with what `beginning` says.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        machine: &'m mut dyn Machine,
        beginning: Beginning,
    ) -> Result<(Self, Vec<Finding>), SessionError> {
        let Beginning { mut recorder, export, require, judges: further } = beginning;
        let mut observer = Observer::new(machine.target());
        let ram = observer.context().symbols.place(&Symbol::Ram).unwrap_or_default();
        let registers = machine.registers()?;
        let events = events(machine)?;
        // A guest that runs on its own does more than it is asked for.
        let asked_only = machine.running().is_none();
        let mut protocol = Protocol::new(machine, !events.is_empty(), export, require)?;
        let memory = machine.memory();
        let read = recorder.is_some().then(|| RecordingMem::new(memory));
        let now = observer.observe(read.as_ref().map_or(memory, |read| read), &registers);
        let (state, context, symbols) = (&now, observer.context(), machine.symbols());
        let at = Moment { state, context, memory, events: &events, symbols };
        // Stores to the stack are not in the journal; where other hypervisors have theirs is not told.
        let replayed = !events.is_empty() && machine.target().info.is_some();
        let unseen = replayed.then(|| Unseen::new(&now, memory)).flatten();
        let mut judges = judges::all(ram, machine.target(), symbols);
        if asked_only {
            judges.push(Box::new(judges::Tree::new(machine.target())));
        }
        judges.push(Box::new(if asked_only { Spec::default() } else { Spec::beside() }));
        judges.extend(further);
        let mut reporter = Reporter::default();
        let mut findings = reporter.fresh(judges.iter_mut().flat_map(|judge| judge.boot(&at)).collect());
        findings.extend(protocol.boot(&at));
        if let Some((recorder, read)) = recorder.as_mut().zip(read) {
            let boot = recorded::boot(&findings, &|finding| protocol.detail(finding, symbols));
            recorder.add(&boot, &registers, &read).map_err(MachineError::from)?;
        }
        let boot_instructions =
            events.iter().rev().find(|record| record.kind == kind::ERET).map_or(0, |record| record.b);
        let form = Canonical::of(&now, BlockSize::Shown);
        let session = Self {
            machine,
            observer,
            registers,
            now,
            form,
            reporter,
            judges,
            protocol,
            unseen,
            recorder,
            stream: None,
            boot_instructions,
        };
        Ok((session, findings))
    }

    /// Performs `op` and looks at what it did.
    ///
    /// # Errors
    /// The machine failed, `op` names a place that it does not have, or the recording cannot be written.
    pub fn step(&mut self, op: &Op) -> Result<Step, SessionError> {
        let (look, events, answers) = self.perform(&[op], Order::InTurn)?;
        let [answer] = &answers[..] else { return Err(SessionError::NoResponse) };
        Ok(look.step(answer, events))
    }

    /// Performs `ops`, at most as many as a mailbox holds, without a stop between them, and looks at what all of them
    /// did. An operation of a device must be alone.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn together(&mut self, ops: &[&Op]) -> Result<Together, SessionError> {
        let (look, _, answers) = self.perform(ops, Order::Together)?;
        let outcomes = answers.into_iter().map(|answer| answer.outcome).collect();
        Ok(Together { outcomes, findings: look.findings, changed: look.changed })
    }

    /// Performs `ops` and looks at what they did.
    fn perform(
        &mut self,
        ops: &[&Op],
        order: Order,
    ) -> Result<(Look, Vec<Record>, Vec<Answer>), SessionError> {
        let operations = ops.iter().map(|op| self.operation(op)).collect::<Result<Vec<_>, _>>()?;
        let batch = batch(ops, &operations, order);
        self.announce(&batch);
        let answers = self.machine.perform(&batch)?;
        let (look, events) = self.look_at(ops, &operations, &answers, order)?;
        Ok((look, events, answers))
    }

    /// Looks at what `ops`, which are `operations` here, did, and were answered with.
    pub(crate) fn look_at(
        &mut self,
        ops: &[&Op],
        operations: &[Operation],
        answers: &[Answer],
        order: Order,
    ) -> Result<(Look, Vec<Record>), SessionError> {
        if answers.len() != ops.len() {
            return Err(SessionError::NoResponse);
        }
        let performed = ops.iter().zip(operations).zip(answers);
        let performed: Vec<_> =
            performed.map(|((op, operation), answer)| Performed { op, operation, answer }).collect();
        self.look(&performed, order)
    }

    /// Shows the judges what stands before `batch`.
    pub(crate) fn announce(&mut self, batch: &Batch) {
        self.judges.iter_mut().for_each(|judge| judge.before(batch, self.machine.memory()));
    }

    /// Looks at what stands before `op`, which another is to have performed.
    ///
    /// # Errors
    /// `op` names a place that the machine does not have.
    pub fn begin(&mut self, op: &Op) -> Result<Begun, SessionError> {
        let operation = self.operation(op)?;
        let cpu = CpuId::new(op.cpu);
        self.announce(&Batch::one(cpu, operation));
        Ok(Begun { cpu, operation })
    }

    /// Looks at what `op` did, which was begun and answered with `answer`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn end(&mut self, op: &Op, begun: &Begun, answer: &Answer) -> Result<Step, SessionError> {
        let performed = Performed { op, operation: &begun.operation, answer };
        let (look, events) = self.look(&[performed], Order::InTurn)?;
        Ok(look.step(answer, events))
    }

    /// Looks at what was `performed`.
    fn look(
        &mut self,
        performed: &[Performed<'_>],
        order: Order,
    ) -> Result<(Look, Vec<Record>), SessionError> {
        let events = events(self.machine)?;
        self.registers = self.machine.registers()?;
        let context = self.observer.context();
        let due = self.unseen.as_mut().map(|unseen| unseen.is_due(performed, order, &events, context));
        if let Some(stream) = &mut self.stream {
            stream.apply(&events);
            match due.unwrap_or(true) || performed.iter().any(|one| one.may_write_own(&self.now.layout)) {
                true => stream.follow(self.machine.memory(), &self.registers, &self.now)?,
                false => stream.stand(&self.registers),
            }
        }
        Ok((self.judge(performed, order, &events, due.unwrap_or(false))?, events))
    }

    /// How many events were judged; none without a plugin.
    #[must_use]
    pub fn events(&self) -> Option<u64> {
        self.protocol.events()
    }

    /// What `op` is on this machine.
    pub(crate) fn operation(&self, op: &Op) -> Result<Operation, SessionError> {
        Ok(op.operation(&self.observer.context().symbols)?)
    }

    /// Puts what was `performed` before the judges, and keeps it. If it is `due`, the machine stands still and the
    /// hypervisor's memory is compared with what `events` and those before them made of it.
    pub(crate) fn judge(
        &mut self,
        performed: &[Performed<'_>],
        order: Order,
        events: &[Record],
        due: bool,
    ) -> Result<Look, SessionError> {
        let live = self.machine.memory();
        let copy = self.stream.as_ref().map(|stream| stream.over(live));
        let memory = copy.as_ref().map_or(live, |copy| copy as &dyn PhysMem);
        let read = self.recorder.is_some().then(|| RecordingMem::new(memory));
        let state = self.observer.observe(read.as_ref().map_or(memory, |read| read), &self.registers);

        let (context, symbols) = (self.observer.context(), self.machine.symbols());
        let after = Moment { state: &state, context, memory: live, events, symbols };
        let step = StepView { performed, order, before: &self.now, after };
        let mut own = vec![Vec::new(); if order == Order::AtOnce { performed.len() } else { 0 }];
        let (mut anew, mut once) = (Vec::new(), Vec::new());
        for judge in
            self.judges.iter_mut().map(|judge| &mut **judge).chain([&mut self.protocol as &mut dyn Judge])
        {
            if judge.is_of_one() && !own.is_empty() {
                for (own, one) in own.iter_mut().zip(performed.chunks(1)) {
                    own.extend(self.reporter.fresh(judge.judge(&StepView { performed: one, ..step })));
                }
                continue;
            }
            let found = judge.judge(&step);
            if judge.finds_again() { anew.extend(found) } else { once.extend(found) }
        }
        let mut findings = self.reporter.fresh(anew);
        findings.extend(once);
        if let Some(unseen) = &mut self.unseen {
            unseen.apply(events);
            if due {
                findings.extend(unseen.compare(&state, context, live));
            }
        }

        if let Some((recorder, read)) = self.recorder.as_mut().zip(read) {
            let detail = |finding: &Finding| self.protocol.detail(finding, symbols);
            let all: Vec<Finding> = own.iter().flatten().chain(&findings).cloned().collect();
            let operations = recorded::operations(performed, events, &all, &detail);
            if let Some(symbols) = symbols {
                recorder.note_code(&operations, symbols);
            }
            recorder.add(&operations, &self.registers, &read).map_err(MachineError::from)?;
        }
        let form = self.form.after(&self.now, &state, BlockSize::Shown);
        let all = performed.iter().any(|one| matches!(one.operation, Operation::Snapshot));
        let lines = match all {
            true => state_lines(&state, &context.symbols, View::All, BlockSize::Shown),
            false => Delta::of(&self.form, &form).lines(&context.symbols, View::All),
        };
        let changed = form != self.form;
        self.now = state;
        self.form = form;
        Ok(Look { lines, findings, own, changed })
    }

    /// What there is to say of `finding` beyond its text: source lines, and how often until now.
    #[must_use]
    pub fn detail(&self, finding: &Finding) -> Vec<String> {
        let symbols = self.machine.symbols();
        let judges = self.judges.iter().map(|judge| &**judge).chain([&self.protocol as &dyn Judge]);
        judges.flat_map(|judge| judge.detail(finding, symbols)).collect()
    }

    /// All events so far, which are not kept any longer; nothing without a plugin, or if they were not to be kept.
    #[must_use]
    pub fn exported(&mut self) -> Option<Exported> {
        self.protocol.exported()
    }

    /// Instructions at EL2 until the end of the boot; 0 without a plugin.
    #[must_use]
    pub const fn boot_instructions(&self) -> u64 {
        self.boot_instructions
    }

    /// Bytes of memory that are compared at each look with what they were.
    #[must_use]
    pub fn watched(&self) -> u64 {
        self.judges.iter().map(|judge| judge.watched()).sum()
    }

    /// The state now.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.now
    }

    /// The registers now.
    #[must_use]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &dyn Machine {
        self.machine
    }

    /// The machine, for a debugger.
    pub fn machine_mut(&mut self) -> &mut dyn Machine {
        self.machine
    }

    /// What the checks know of the machine.
    #[must_use]
    pub const fn context(&self) -> &Context {
        self.observer.context()
    }

    /// Completes the recording, if there is one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<(), SessionError> {
        self.recorder.map_or(Ok(()), Recorder::finish).map_err(MachineError::from)?;
        Ok(())
    }
}

/// What happened since the last time; nothing without a plugin.
pub(crate) fn events(machine: &mut dyn Machine) -> Result<Vec<Record>, MachineError> {
    machine.journal().map_or_else(|| Ok(Vec::new()), |journal| journal.events())
}

/// `ops` as a machine performs them; `operations` is what they are.
pub(crate) fn batch(ops: &[&Op], operations: &[Operation], order: Order) -> Batch {
    let cpus = ops.iter().map(|op| CpuId::new(op.cpu));
    Batch { ops: cpus.zip(operations.iter().copied()).collect(), order }
}
