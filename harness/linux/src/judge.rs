//! Check 5 on a Linux: the order of everything that the hypervisor does, from its first instruction to the last.

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_machine::{Linux, MachineError};
use parallax_model::{AddressMap, Finding, Violation};

use parallax_engine::order::Order;

/// Judges it piece by piece.
#[derive(Debug, Default)]
pub(super) struct Judge {
    order: Option<Order>,
    /// What happened before it is known where the hypervisor is.
    waiting: Vec<Record>,
    names: AddressMap,
}

impl Judge {
    /// Takes what happened since the last call, and gives what was wrong and not told before.
    pub(super) fn judge_events(&mut self, linux: &mut Linux) -> Result<Vec<Violation>, MachineError> {
        let records = linux.events()?;
        let Some(order) = &mut self.order else {
            self.waiting.extend(records);
            return Ok(Vec::new());
        };
        Ok(order.judge(&records, linux.symbols(), &self.names))
    }

    /// Tells it where the hypervisor is, once that is known. Gives what was wrong until then.
    pub(super) fn meet(
        &mut self,
        linux: &mut Linux,
        info: &HypInfo,
        names: &AddressMap,
    ) -> Result<Vec<Violation>, MachineError> {
        if self.order.is_some() || !linux.events_recorded() {
            return Ok(Vec::new());
        }
        // The machine may have run on to where it can be looked at, and the boot ended there.
        self.waiting.extend(linux.events()?);
        linux.watch_loads(info);
        self.names = names.clone();
        let bbm = linux.bbm_level()?;
        let mut order = Order::new(info, linux.symbols(), bbm, false)?;
        let findings = order.judge(&std::mem::take(&mut self.waiting), linux.symbols(), names);
        order.booted();
        self.order = Some(order);
        Ok(findings)
    }

    /// How many events were judged; none if no event was recorded.
    pub(super) fn events(&self) -> Option<u64> {
        self.order.as_ref().map(Order::events)
    }

    /// What there is to say of a finding beyond its text.
    pub(super) fn detail(&self, linux: &Linux, finding: &Finding) -> Vec<String> {
        self.order.as_ref().map_or_else(Vec::new, |order| order.detail(finding, linux.symbols()))
    }
}
