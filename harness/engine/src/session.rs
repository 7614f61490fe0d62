//! A machine, taken from operation to operation.

use std::time::Duration;

use parallax_abi::journal::{Record, kind};
use parallax_abi::mailbox::{Request, Response};
use parallax_addr::{Symbol, UnknownPlace};
use parallax_machine::journal::by_operation;
use parallax_machine::recording::{self, RecordedFinding, Recorder, RecordingMem};
use parallax_machine::{Live, Machine, MachineError, Registers};
use parallax_model::canonical::Canonical;
use parallax_model::{
    BlockSize, Context, Delta, Finding, Line, Reporter, Snapshot, Span, View, check, state_lines,
};
use parallax_ops::{Answer, Operation};
use parallax_trace::{Op, Outcome};
use parallax_vmsa::{MemError, PhysMem};

use super::access;
use super::data::Watch;
use super::expected;
use super::observer::Observer;
use super::stream::Stream;
use crate::order::Order;
use crate::status::{Failure, Status};

/// Pause when the machine has not done another operation yet.
const PAUSE: Duration = Duration::from_micros(50);
/// Pauses in a row after which the batch's end is waited for.
const MOST_PAUSES: u32 = 100;

/// A trace could not be taken to its end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The trace names a place that this machine does not have.
    #[error(transparent)]
    Place(#[from] UnknownPlace),
    /// A request without a response.
    #[error("the machine gave no response")]
    NoResponse,
    /// A batch before [`Session::stream`].
    #[error("operations can only be streamed with the plugin")]
    NoStream,
    /// Something happened that is not in the plugin's journal.
    #[error("the plugin's journal is not all that happened: {0}")]
    Unseen(String),
}

impl From<MemError> for SessionError {
    fn from(error: MemError) -> Self {
        Self::Machine(error.into())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Machine(error) => error.into(),
            SessionError::Place(_) => Self::usage(error),
            SessionError::NoResponse | SessionError::NoStream | SessionError::Unseen(_) => {
                Self { status: Status::Diverged, message: error.to_string() }
            }
        }
    }
}

/// What one operation did.
#[derive(Clone, Debug)]
pub struct Step {
    /// How it ended.
    pub outcome: Outcome,
    /// What changed; the whole state for the operation `snapshot`.
    pub lines: Vec<Line>,
    /// What was found and had not been found before.
    pub findings: Vec<Finding>,
    /// What the plugin saw of it; nothing without a plugin.
    pub events: Vec<Record>,
}

/// An operation that is about to be performed.
pub struct Begun {
    /// What the test host is asked for.
    pub request: Request,
    operation: Operation,
    watch: Option<Watch>,
}

/// A machine between two operations.
pub struct Session<'m> {
    pub(super) machine: &'m mut dyn Machine,
    pub(super) ram: Span,
    pub(super) observer: Observer,
    pub(super) registers: Registers,
    pub(super) now: Snapshot,
    /// Canonical form of `now`.
    pub(super) form: Canonical,
    pub(super) reporter: Reporter,
    recorder: Option<Recorder>,
    stream: Option<Stream>,
    /// Only with a plugin.
    order: Option<Order>,
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
        Self::start_with(machine, recorder, false)
    }

    /// As [`Self::start`]; with `export`, [`Self::exported`] is to have all events.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        machine: &'m mut dyn Machine,
        mut recorder: Option<Recorder>,
        export: bool,
    ) -> Result<(Self, Vec<Finding>), SessionError> {
        let info = machine.info();
        let mut observer = Observer::new(machine.description(), info);
        let ram = observer.context().symbols.place(&Symbol::Ram).unwrap_or_default();
        let registers = machine.registers()?;
        let (boot, bbm) = (machine.events()?, machine.bbm_level()?);
        let read = recorder.is_some().then(|| RecordingMem::new(machine.memory()));
        let memory = read.as_ref().map_or(machine.memory(), |read| read);
        let now = observer.observe(memory, &registers);
        let mut reporter = Reporter::default();
        let mut findings = reporter.fresh(check(&now, observer.context()));
        let order = order_from(machine, (&boot, bbm, export), (&now, observer.context()), &mut findings)?;
        if let Some((recorder, read)) = recorder.as_mut().zip(read) {
            let findings = findings.iter().cloned().map(RecordedFinding::from).collect();
            let boot = recording::Operation { text: "boot".to_owned(), findings, ..Default::default() };
            recorder.add(&boot, &registers, &read)?;
        }
        let boot_instructions =
            boot.iter().rev().find(|record| record.kind == kind::ERET).map_or(0, |record| record.b);
        let form = Canonical::of(&now, BlockSize::Shown);
        let stream = None;
        let session = Self {
            machine,
            ram,
            observer,
            registers,
            now,
            form,
            reporter,
            recorder,
            stream,
            order,
            boot_instructions,
        };
        Ok((session, findings))
    }

    /// From now on keeps a copy of the hypervisor's memory that follows the plugin's journal, so that [`Self::batch`] can
    /// be used. The machine must have the plugin.
    ///
    /// # Errors
    /// The hypervisor's memory cannot be read.
    pub fn stream(&mut self) -> Result<(), SessionError> {
        let info = self.machine.info();
        self.machine.events()?;
        self.stream = Some(Stream::new(self.machine.memory(), &self.registers, &info)?);
        Ok(())
    }

    /// Performs `op` and looks at what it did.
    ///
    /// # Errors
    /// The machine failed, `op` names a place that it does not have, or the recording cannot be written.
    pub fn step(&mut self, op: &Op) -> Result<Step, SessionError> {
        let begun = self.begin(op)?;
        let response = self.machine.perform(&[begun.request])?.pop().ok_or(SessionError::NoResponse)?;
        self.end(op, begun, response)
    }

    /// Looks at what stands before `op`, which another is to have performed.
    ///
    /// # Errors
    /// `op` names a place that the machine does not have.
    pub fn begin(&mut self, op: &Op) -> Result<Begun, SessionError> {
        let operation = self.operation(op)?;
        let watch = Watch::before(&operation, self.machine.memory(), self.ram);
        Ok(Begun { request: operation.request(op.cpu), operation, watch })
    }

    /// Looks at what `op` did, which was begun and answered with `response`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn end(&mut self, op: &Op, begun: Begun, response: Response) -> Result<Step, SessionError> {
        let Begun { request, operation, watch } = begun;
        let events = self.machine.events()?;
        self.registers = self.machine.registers()?;
        if let Some(stream) = &mut self.stream {
            stream.apply(&events);
            stream.follow(self.machine.memory(), &self.registers, &self.now)?;
        }
        self.judge(op, (operation, request, response), watch, events)
    }

    /// Performs `ops`, at most as many as a mailbox holds, without a stop between them, and looks at what each of them
    /// did, as the plugin's journal tells it, while the machine goes on with the next ones. None of them may be one that [`touches_data`].
    ///
    /// # Errors
    /// As [`Self::step`]; or the journal is not all that happened.
    pub fn batch(&mut self, ops: &[&Op]) -> Result<Vec<Step>, SessionError> {
        let operations = ops.iter().map(|op| self.operation(op)).collect::<Result<Vec<_>, _>>()?;
        let requests: Vec<Request> =
            ops.iter().zip(&operations).map(|(op, operation)| operation.request(op.cpu)).collect();
        self.live()?.launch(&requests)?;
        let mut steps = Vec::with_capacity(ops.len());
        let mut events = Vec::new();
        let mut idle = 0;
        loop {
            // In this order: when it has ended, all that happened is in the journal.
            let ended = self.live()?.ended(idle > MOST_PAUSES)?;
            events.extend(self.machine.events()?);
            let (performed, rest) = by_operation(&events);
            idle = if performed.is_empty() { idle + 1 } else { 0 };
            let next = ops.iter().zip(operations.iter().zip(&requests)).skip(steps.len());
            if performed.len() > next.len() {
                return Err(SessionError::Unseen(format!("more than {} operations have a mark", ops.len())));
            }
            for ((op, (operation, request)), (_, events)) in next.zip(performed) {
                let response = self.live()?.response(steps.len())?;
                let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
                stream.apply(events);
                if self.registers != *stream.registers() {
                    self.registers.clone_from(stream.registers());
                }
                let performed = (*operation, *request, response);
                steps.push(self.judge(op, performed, None, events.to_vec())?);
            }
            let judged = events.len() - rest.len();
            events.drain(..judged);
            if ended {
                break;
            }
            if idle > 0 {
                std::thread::sleep(PAUSE);
            }
        }
        if steps.len() != ops.len() {
            let text = format!("{} operations were performed, {} have a mark", ops.len(), steps.len());
            return Err(SessionError::Unseen(text));
        }
        let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
        stream.apply(&events);
        if let (Some(order), Some(last)) = (&mut self.order, steps.last_mut()) {
            let context = self.observer.context();
            let claims = order.judge(&events, self.machine.symbols(), &context.symbols);
            last.findings.extend(claims.into_iter().map(|violation| violation.in_state(&self.now, context)));
        }
        self.registers = self.machine.registers()?;
        match stream.agree(self.machine.memory(), &self.registers, &self.now)? {
            None => Ok(steps),
            Some(difference) => Err(SessionError::Unseen(difference)),
        }
    }

    /// The machine, which must be a live one to be looked at while it runs.
    fn live(&mut self) -> Result<&mut Live, SessionError> {
        self.machine.live().ok_or(SessionError::NoStream)
    }

    /// What `op` is on this machine.
    pub(super) fn operation(&self, op: &Op) -> Result<Operation, SessionError> {
        Ok(op.operation(&self.observer.context().symbols)?)
    }

    /// Looks at what `op` did.
    fn judge(
        &mut self,
        op: &Op,
        (operation, request, response): (Operation, Request, Response),
        watch: Option<Watch>,
        events: Vec<Record>,
    ) -> Result<Step, SessionError> {
        let live = self.machine.memory();
        let copy = self.stream.as_ref().map(|stream| stream.over(live));
        let memory = copy.as_ref().map_or(live, |copy| copy as &dyn PhysMem);
        let read = self.recorder.is_some().then(|| RecordingMem::new(memory));
        let after = self.observer.observe(read.as_ref().map_or(memory, |read| read), &self.registers);

        let context = self.observer.context();
        let answer = Answer::of(&operation, &response);
        let ended = (&operation, &answer.outcome);
        let mut findings: Vec<Finding> = expected::check(op, ended, &after, context).into_iter().collect();
        findings.extend(access::check(&operation, &answer, &self.now, &after, context));
        if let Some(watch) = watch {
            let claims = watch.after(&operation, &answer, live, &context.symbols);
            findings
                .extend(claims.into_iter().map(|claim| expected::seen(claim, &operation, &after, context)));
        }
        findings.extend(check(&after, context));
        let mut findings = self.reporter.fresh(findings);
        if let Some(order) = &mut self.order {
            order.operation(op.line);
            let claims = order.judge(&events, self.machine.symbols(), &context.symbols);
            findings.extend(claims.into_iter().map(|violation| violation.in_state(&after, context)));
        }
        if let Some((recorder, read)) = self.recorder.as_mut().zip(read) {
            let performed = recorded(op, (request, response), &events, &findings);
            if let Some(symbols) = self.machine.symbols() {
                recorder.note_code(&performed, symbols);
            }
            recorder.add(&performed, &self.registers, &read)?;
        }

        let form = self.form.after(&self.now, &after, BlockSize::Shown);
        let lines = match operation {
            Operation::Snapshot => state_lines(&after, &context.symbols, View::All, BlockSize::Shown),
            _ => Delta::of(&self.form, &form).lines(&context.symbols, View::All),
        };
        self.now = after;
        self.form = form;
        Ok(Step { outcome: answer.outcome, lines, findings, events })
    }

    /// What there is to say of `finding` beyond its text: source lines, and how often until now.
    #[must_use]
    pub fn detail(&self, finding: &Finding) -> Vec<String> {
        self.order.as_ref().map_or_else(Vec::new, |order| order.detail(finding, self.machine.symbols()))
    }

    /// All events so far as a Casemate trace; nothing without a plugin, or if they were not to be kept.
    #[must_use]
    pub fn exported(&self) -> Option<&str> {
        self.order.as_ref().and_then(Order::exported)
    }

    /// Instructions at EL2 until the end of the boot; 0 without a plugin.
    #[must_use]
    pub const fn boot_instructions(&self) -> u64 {
        self.boot_instructions
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

/// Judges the `boot`, and adds to `findings` what was wrong. Nothing comes of it without a plugin.
fn order_from(
    machine: &dyn Machine,
    (boot, bbm, export): (&[Record], u8, bool),
    (state, context): (&Snapshot, &Context),
    findings: &mut Vec<Finding>,
) -> Result<Option<Order>, MachineError> {
    if boot.is_empty() {
        return Ok(None);
    }
    let mut order = Order::new(&machine.info(), machine.symbols(), bbm, export)?;
    let claims = order.judge(boot, machine.symbols(), &context.symbols);
    findings.extend(claims.into_iter().map(|violation| violation.in_state(state, context)));
    order.booted();
    Ok(Some(order))
}

/// `op` as a recording holds it.
fn recorded(
    op: &Op,
    (request, response): (Request, Response),
    events: &[Record],
    findings: &[Finding],
) -> recording::Operation {
    recording::Operation {
        line: u32::try_from(op.line).unwrap_or(u32::MAX),
        text: op.to_string(),
        requests: vec![request],
        responses: vec![response],
        events: events.to_vec(),
        findings: findings.iter().cloned().map(RecordedFinding::from).collect(),
    }
}
