//! A machine that performs operations in stream mode, judged after each of them.

use parallax_abi::mailbox::SLOTS;
use parallax_engine::status::Failure;
use parallax_engine::{Beginning, Session, SessionError, touches_data};
use parallax_machine::coverage::Executed;
use parallax_machine::{Backend, FailureClass, Machine, MachineError};
use parallax_model::{BlockSize, Finding, Rule, View, state_lines};
use parallax_ops::Outcome;
use parallax_spec::{Held, Observed};
use parallax_trace::Op;
use parallax_trace::spec::MachineSpec;

use crate::end::of_hypervisor;
use crate::round::Trouble;

/// Boots `spec`. A hypervisor that does not get through its boot is trouble.
///
/// # Errors
/// There is nothing that could boot it, or the user cancelled.
pub(super) fn boot(
    spec: &MachineSpec,
    backend: &dyn Backend,
) -> Result<Result<Box<dyn Machine>, Trouble>, MachineError> {
    match backend.boot(spec) {
        Ok(machine) => Ok(Ok(machine)),
        Err(error) if error.class() == FailureClass::Run => Ok(Err(ended(0, "boot", error.into()))),
        Err(error) => Err(error),
    }
}

/// What came of a piece of a list.
pub(super) struct Piece {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) trouble: Option<Trouble>,
}

/// A machine.
pub(super) struct Performing<'m> {
    session: Session<'m>,
    performed: u64,
    /// One operation at a time, as a trace is performed.
    step: bool,
    /// Rules that say nothing here.
    quiet: &'static [&'static str],
}

impl<'m> Performing<'m> {
    /// `machine`, which has just booted; what is wrong with it already is trouble. Without `step` it does not stop between
    /// operations.
    ///
    /// # Errors
    /// The machine cannot be read.
    pub(super) fn new(
        machine: &'m mut dyn Machine,
        step: bool,
    ) -> Result<(Self, Option<Trouble>), MachineError> {
        let (mut session, findings) =
            Session::start_with(machine, Beginning::default()).map_err(crate::explore::lost)?;
        if !step {
            session.stream().map_err(crate::explore::lost)?;
        }
        let trouble = trouble(0, "boot", findings);
        Ok((Self { session, performed: 0, step, quiet: &[] }, trouble))
    }

    /// All of the hypervisor's memory is compared after what comes next.
    pub(super) const fn look_closely(&mut self) {
        self.session.look_closely();
    }

    /// These rules say nothing from now on.
    pub(super) const fn quiet(&mut self, rules: &'static [&'static str]) {
        self.quiet = rules;
    }

    /// How many of `ops` go together from the first one on.
    pub(super) fn piece_len<'a>(&self, ops: impl Iterator<Item = &'a Op>) -> usize {
        let most = if self.step { 1 } else { SLOTS };
        ops.take(most).take_while(|op| !touches_data(op)).count().max(1)
    }

    /// Performs `ops`, which [`Self::piece_len`] has found to go together.
    ///
    /// # Errors
    /// The user cancelled, or QEMU was killed. Any other end of the machine is trouble.
    pub(super) fn perform(&mut self, ops: &[&Op]) -> Result<Piece, MachineError> {
        let steps = match ops {
            [op] if self.step || touches_data(op) => self.session.step(op).map(|step| vec![step]),
            _ => self.session.batch(ops),
        };
        let steps = match steps {
            Ok(steps) => steps,
            Err(error) => {
                let error = of_hypervisor(error)?;
                let named = ops.last().map_or_else(String::new, |op| op.to_string());
                let trouble = Some(ended(self.performed + ops.len() as u64, &named, error));
                return Ok(Piece { outcomes: Vec::new(), trouble });
            }
        };
        let mut piece = Piece { outcomes: Vec::with_capacity(ops.len()), trouble: None };
        for (op, step) in ops.iter().zip(steps) {
            self.performed += 1;
            let mut findings = step.findings;
            if op.expect.is_none() && step.outcome == Outcome::Timeout {
                // Its CPU is off: that was not meant, and is in order.
                findings.retain(|finding| finding.rule != Rule::ResultExpected);
            }
            piece.outcomes.push(step.outcome);
            if !self.quiet.is_empty() {
                findings.retain(|finding| !self.quiet.contains(&finding.rule.to_string().as_str()));
            }
            piece.trouble = trouble(self.performed, &op.to_string(), findings);
            if piece.trouble.is_some() {
                break;
            }
        }
        Ok(piece)
    }

    /// What the specification is asked of.
    pub(super) fn with_view<T>(&self, then: impl FnOnce(&Observed<'_>) -> T) -> T {
        let (snapshot, context) = (self.session.snapshot(), self.session.context());
        then(&Observed { snapshot, context, held: &Held::default() })
    }

    /// The names of its addresses.
    pub(super) const fn map(&self) -> &parallax_addr::AddressMap {
        &self.session.context().symbols
    }

    /// Which instructions ran until now.
    pub(super) fn executed(&self) -> Option<Executed> {
        self.session.machine().executed()
    }

    /// The state now, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = state_lines(self.session.snapshot(), self.map(), View::All, BlockSize::Shown);
        lines.iter().map(ToString::to_string).collect()
    }
}

fn trouble(at: u64, op: &str, findings: Vec<Finding>) -> Option<Trouble> {
    let key = findings.first()?.rule.to_string();
    Some(Trouble { at, key, op: op.to_owned(), findings, end: None })
}

/// The machine came to an end.
fn ended(at: u64, op: &str, error: SessionError) -> Trouble {
    let Failure { message, .. } = error.into();
    let key = message.lines().next().unwrap_or_default().to_owned();
    Trouble { at, key, op: op.to_owned(), findings: Vec::new(), end: Some(message) }
}
