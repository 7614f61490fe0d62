//! What it means that the machine stopped or ended unasked.

use super::Linux;
use crate::backend::hyp::report::{cpus, death, indented};
use crate::error::MachineError;
use crate::extensions::Pause;

impl Linux {
    /// What a stop at a breakpoint means that nobody asked for.
    pub(super) fn trapped(&mut self) -> MachineError {
        let positions = match self.positions() {
            Ok(positions) => positions,
            Err(error) => return error,
        };
        let report = self.printed();
        let Some(below) = &self.below else {
            return MachineError::UnexpectedStop { what: "a breakpoint nobody set".to_owned(), report };
        };
        if positions.iter().any(|cpu| cpu.pc == below.panic.get() && cpu.cpsr >> 2 & 3 == 2) {
            return MachineError::Panic { report };
        }
        let registers = [below.registers.pc, below.registers.cpsr];
        let cpus = self.runtime.block_on(cpus(&mut self.client, &below.symbols, &registers));
        let report = format!("{}{report}", cpus.unwrap_or_default());
        MachineError::UnexpectedStop { what: "a breakpoint".to_owned(), report }
    }

    /// QEMU has closed its sockets: as it should?
    pub(super) fn ended(&mut self) -> Result<Pause, MachineError> {
        let printed = self.printed();
        let death = death(&mut self.qemu, &printed);
        if !death.is_killed() && self.qemu.ended().is_some_and(|status| status.success()) {
            return Ok(Pause::Ended);
        }
        Err(death)
    }

    /// The end of what it printed, the hypervisor's addresses explained.
    #[must_use]
    pub fn printed(&self) -> String {
        let text = self.qemu.uart_tail();
        let text = self.below.as_ref().map_or_else(|| text.clone(), |below| below.symbols.annotate(&text));
        format!("the machine printed\n{}", indented(&text))
    }
}
