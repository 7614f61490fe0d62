//! A session that looks at more than what the last operations did: at all that happened since, and at all memory.

use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Finding};

use crate::error::SessionError;
use crate::session::{self, Session};

impl Session<'_> {
    /// All of the hypervisor's memory is compared with what EL2's stores made of it after the next operations, as it is
    /// after others now and then: at the end of a run nothing may be left over.
    pub const fn look_closely(&mut self) {
        if let Some(unseen) = &mut self.unseen {
            unseen.look_closely();
        }
    }

    /// Judges the order of what happened since the last operation, on a machine that goes on by itself. Where that was
    /// wrong, and with `look`, the state is looked at first, for what has become of it.
    ///
    /// # Errors
    /// The machine cannot be read.
    pub fn catch_up(&mut self, look: bool) -> Result<Vec<Finding>, SessionError> {
        let events = session::events(self.machine)?;
        if let Some(unseen) = &mut self.unseen {
            unseen.apply(&events);
        }
        let violations =
            self.protocol.violations(&events, self.machine.symbols(), &self.context().symbols.clone());
        if look && !violations.is_empty() {
            self.registers = self.machine.registers()?;
            self.now = self.observer.observe(self.machine.memory(), &self.registers);
            self.form = Canonical::of(&self.now, BlockSize::Shown);
        }
        let context = self.observer.context();
        Ok(violations.into_iter().map(|violation| violation.in_state(&self.now, context)).collect())
    }
}
