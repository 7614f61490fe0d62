//! A machine, taken from operation to operation.

use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Request, Response};
use parallax_machine::journal::by_operation;
use parallax_machine::recording::{Operation, Recorder, RecordingMem};
use parallax_machine::{Machine, MachineError, Registers};
use parallax_model::canonical::Canonical;
use parallax_model::{
    BlockSize, Check, Context, Delta, Finding, Line, Reporter, Snapshot, Space, Span, View, check,
    state_lines,
};
use parallax_vmsa::{MemError, PhysMem};

use super::access;
use super::data::Watch;
use super::observer::Observer;
use super::places::{Places, UnknownPlace};
use super::stream::Stream;
use crate::status::{Failure, Status};
use crate::trace::{Action, Op, Outcome};

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
    watch: Option<Watch>,
}

/// A machine between two operations.
pub struct Session<'m> {
    machine: &'m mut dyn Machine,
    places: Places,
    ram: Span,
    observer: Observer,
    registers: Registers,
    now: Snapshot,
    /// Canonical form of `now`.
    form: Canonical,
    reporter: Reporter,
    recorder: Option<Recorder>,
    stream: Option<Stream>,
}

impl<'m> Session<'m> {
    /// Looks at a machine that has just booted; also gives what is wrong already. Everything goes into `recorder`.
    ///
    /// # Errors
    /// The machine cannot be read, or the recording cannot be written.
    pub fn start(
        machine: &'m mut dyn Machine,
        mut recorder: Option<Recorder>,
    ) -> Result<(Self, Vec<Finding>), SessionError> {
        let info = machine.info();
        let places = Places::new(machine.description(), &info);
        let ram = places.ram().map_or(Span::default(), |ram| Span::new(ram.base, ram.size));
        let mut observer = Observer::new(machine.description(), info);
        let registers = machine.registers()?;
        let boot =
            || Operation { line: 0, text: "boot".to_owned(), requests: Vec::new(), responses: Vec::new() };
        let now = observe(machine.memory(), &mut observer, &registers, &mut recorder, boot)?;
        let mut reporter = Reporter::default();
        let findings = reporter.fresh(check(&now, observer.context()));
        let form = Canonical::of(&now, BlockSize::Shown);
        Ok((
            Self { machine, places, ram, observer, registers, now, form, reporter, recorder, stream: None },
            findings,
        ))
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
        let request = self.request(op)?;
        let watch = Watch::before(&request, self.machine.memory(), self.ram);
        Ok(Begun { request, watch })
    }

    /// Looks at what `op` did, which was begun and answered with `response`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn end(&mut self, op: &Op, begun: Begun, response: Response) -> Result<Step, SessionError> {
        let Begun { request, watch } = begun;
        let events = self.machine.events()?;
        self.registers = self.machine.registers()?;
        if let Some(stream) = &mut self.stream {
            stream.apply(&events);
            stream.follow(self.machine.memory(), &self.registers, &self.now)?;
        }
        self.judge(op, (request, response), watch, events)
    }

    /// Performs `ops`, at most as many as a mailbox holds, without a stop between them, and looks at what each of them
    /// did, as the plugin's journal tells it. None of them may be one that [`touches_data`].
    ///
    /// # Errors
    /// As [`Self::step`]; or the journal is not all that happened.
    pub fn batch(&mut self, ops: &[&Op]) -> Result<Vec<Step>, SessionError> {
        let requests = ops.iter().map(|op| self.request(op)).collect::<Result<Vec<_>, _>>()?;
        let responses = self.machine.perform(&requests)?;
        let events = self.machine.events()?;
        let (operations, rest) = by_operation(&events);
        if operations.len() != ops.len() || responses.len() != ops.len() {
            let text = format!("{} operations were performed, {} have a mark", ops.len(), operations.len());
            return Err(SessionError::Unseen(text));
        }
        let mut steps = Vec::with_capacity(ops.len());
        for (((op, request), response), (_, events)) in
            ops.iter().zip(requests).zip(responses).zip(operations)
        {
            let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
            stream.apply(events);
            self.registers = stream.registers().clone();
            steps.push(self.judge(op, (request, response), None, events.to_vec())?);
        }
        let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
        stream.apply(rest);
        self.registers = self.machine.registers()?;
        match stream.agree(self.machine.memory(), &self.registers, &self.now)? {
            None => Ok(steps),
            Some(difference) => Err(SessionError::Unseen(difference)),
        }
    }

    /// What the test host is asked for.
    fn request(&self, op: &Op) -> Result<Request, SessionError> {
        Ok(op.verb.request(op.cpu, &self.places.arguments(op)?))
    }

    /// Looks at what `op` did.
    fn judge(
        &mut self,
        op: &Op,
        (request, response): (Request, Response),
        watch: Option<Watch>,
        events: Vec<Record>,
    ) -> Result<Step, SessionError> {
        let live = self.machine.memory();
        let copy = self.stream.as_ref().map(|stream| stream.over(live));
        let memory = copy.as_ref().map_or(live, |copy| copy as &dyn PhysMem);
        let record = || operation(op, request, response);
        let after = observe(memory, &mut self.observer, &self.registers, &mut self.recorder, record)?;

        let context = self.observer.context();
        let outcome = Outcome::of(op.verb, &response);
        let mut findings: Vec<Finding> = expectation(op, &outcome).into_iter().collect();
        findings.extend(access::check(&request, &response, &outcome, &self.now, &after, context));
        if let Some(watch) = watch {
            findings.extend(watch.after(&request, &response, &outcome, live, &context.symbols));
        }
        findings.extend(check(&after, context));

        let form = Canonical::of(&after, BlockSize::Shown);
        let lines = match op.verb.action {
            Action::Snapshot => state_lines(&after, &context.symbols, View::All, BlockSize::Shown),
            _ => Delta::of(&self.form, &form).lines(&context.symbols, View::All),
        };
        self.now = after;
        self.form = form;
        Ok(Step { outcome, lines, findings: self.reporter.fresh(findings), events })
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

/// Takes a snapshot, and records what it read.
fn observe(
    memory: &dyn PhysMem,
    observer: &mut Observer,
    registers: &Registers,
    recorder: &mut Option<Recorder>,
    operation: impl FnOnce() -> Operation,
) -> Result<Snapshot, MachineError> {
    let Some(recorder) = recorder else { return Ok(observer.observe(memory, registers)) };
    let memory = RecordingMem::new(memory);
    let snapshot = observer.observe(&memory, registers);
    recorder.add(&operation(), registers, &memory)?;
    Ok(snapshot)
}

fn operation(op: &Op, request: Request, response: Response) -> Operation {
    Operation {
        line: u32::try_from(op.line).unwrap_or(u32::MAX),
        text: op.to_string(),
        requests: vec![request],
        responses: vec![response],
    }
}

/// The finding that the result is not the expected one.
fn expectation(op: &Op, outcome: &Outcome) -> Option<Finding> {
    let expected = op.expect.as_ref().filter(|expected| !expected.admits(outcome))?;
    let with_value = matches!(expected, Outcome::Ok { value: Some(_) });
    let actual = if with_value { outcome.clone() } else { outcome.clone().without_value() };
    let device = matches!(op.verb.action, Action::DmaRead | Action::DmaWrite);
    Some(Finding {
        check: Check::Result,
        rule: "expected",
        space: if device { Space::Smmu } else { Space::Cpu },
        // Every operation is a site of its own.
        span: Span::new(op.line as u64, 1),
        subject: String::new(),
        message: format!("expected {expected}, got {actual}"),
        views: Vec::new(),
    })
}
