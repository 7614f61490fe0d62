//! Whether what happened, happened in the right order. Needs a machine with the plugin.

use parallax_abi::journal::Record;
use parallax_machine::symbols::Symbols;
use parallax_machine::{Machine, MachineError};
use parallax_model::{AddressMap, Finding, Violation};

use crate::judge::{Judge, Moment, StepView};
use crate::order::{Exported, Order, Requirements};

/// The rules of order; nothing of it without a plugin.
#[derive(Debug, Default)]
pub struct Protocol(Option<Order>);

impl Protocol {
    /// For `machine`, which has just booted, if a plugin saw that; `require` is what is asked for beyond the architecture. With `export`, [`Self::exported`] is to have all events.
    ///
    /// # Errors
    /// The machine cannot be read.
    pub fn new(
        machine: &mut dyn Machine,
        booted_with_events: bool,
        export: bool,
        require: Requirements,
    ) -> Result<Self, MachineError> {
        if !booted_with_events {
            return Ok(Self(None));
        }
        let bbm = machine.journal().map_or(Ok(0), |journal| journal.bbm_level())?;
        Ok(Self(Some(Order::new(machine.target(), machine.symbols(), bbm, export, require))))
    }

    /// What is wrong with the order of `events`.
    pub(crate) fn violations(
        &mut self,
        events: &[Record],
        symbols: Option<&Symbols>,
        names: &AddressMap,
    ) -> Vec<Violation> {
        self.0.as_mut().map_or_else(Vec::new, |order| order.judge(events, symbols, names))
    }

    /// Judges what happened behind the last operation's end.
    pub fn rest(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        let violations = self.violations(at.events, at.symbols, &at.context.symbols);
        violations.into_iter().map(|violation| violation.in_state(at.state, at.context)).collect()
    }

    /// All events so far, which are not kept any longer; nothing without a plugin, or if they were not to be kept.
    #[must_use]
    pub fn exported(&mut self) -> Option<Exported> {
        self.0.as_mut().and_then(Order::exported)
    }

    /// How many events were judged; none without a plugin.
    #[must_use]
    pub fn events(&self) -> Option<u64> {
        self.0.as_ref().map(Order::events)
    }
}

impl Judge for Protocol {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        let findings = self.rest(at);
        if let Some(order) = &mut self.0 {
            order.booted();
        }
        findings
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        if let (Some(order), Some(first)) = (&mut self.0, step.performed.first()) {
            order.operation(first.op.line);
        }
        self.rest(&step.after)
    }

    fn finds_again(&self) -> bool {
        false
    }

    fn detail(&self, finding: &Finding, symbols: Option<&Symbols>) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |order| order.detail(finding, symbols))
    }
}
