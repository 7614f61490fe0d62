//! A machine, taken from operation to operation.

use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Request, Response};
use parallax_machine::recording::{Operation, Recorder, RecordingMem};
use parallax_machine::{Machine, MachineError, Registers};
use parallax_model::canonical::Canonical;
use parallax_model::{
    BlockSize, Check, Context, Delta, Finding, Line, Reporter, Snapshot, Space, Span, View, check,
    state_lines,
};

use super::access;
use super::data::Watch;
use super::observer::Observer;
use super::places::{Places, UnknownPlace};
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
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Machine(error) => error.into(),
            SessionError::Place(_) => Self::usage(error),
            SessionError::NoResponse => Self { status: Status::Diverged, message: error.to_string() },
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
        let now = observe(machine, &mut observer, &registers, &mut recorder, boot)?;
        let mut reporter = Reporter::default();
        let findings = reporter.fresh(check(&now, observer.context()));
        let form = Canonical::of(&now, BlockSize::Shown);
        Ok((Self { machine, places, ram, observer, registers, now, form, reporter, recorder }, findings))
    }

    /// Performs `op` and looks at what it did.
    ///
    /// # Errors
    /// The machine failed, `op` names a place that it does not have, or the recording cannot be written.
    pub fn step(&mut self, op: &Op) -> Result<Step, SessionError> {
        let request = op.verb.request(op.cpu, &self.places.arguments(op)?);
        let watch = Watch::before(&request, self.machine.memory(), self.ram);
        let response = self.machine.perform(&[request])?.pop().ok_or(SessionError::NoResponse)?;
        let events = self.machine.events()?;
        self.registers = self.machine.registers()?;
        let record = || operation(op, request, response);
        let after = observe(self.machine, &mut self.observer, &self.registers, &mut self.recorder, record)?;

        let context = self.observer.context();
        let outcome = Outcome::of(op.verb, &response);
        let mut findings: Vec<Finding> = expectation(op, &outcome).into_iter().collect();
        findings.extend(access::check(&request, &response, &outcome, &self.now, &after, context));
        if let Some(watch) = watch {
            findings.extend(watch.after(
                &request,
                &response,
                &outcome,
                self.machine.memory(),
                &context.symbols,
            ));
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
    machine: &dyn Machine,
    observer: &mut Observer,
    registers: &Registers,
    recorder: &mut Option<Recorder>,
    operation: impl FnOnce() -> Operation,
) -> Result<Snapshot, MachineError> {
    let Some(recorder) = recorder else { return Ok(observer.observe(machine.memory(), registers)) };
    let memory = RecordingMem::new(machine.memory());
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
