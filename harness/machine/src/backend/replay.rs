//! A recording as a machine.

use parallax_abi::journal::Record;
use parallax_ops::{Answer, Batch};
use parallax_vmsa::PhysMem;

use crate::error::MachineError;
use crate::extensions::Journal;
use crate::machine::Machine;
use crate::recording::{RecordingError, Replay};
use crate::target::{Registers, Target};

impl Machine for Replay {
    fn target(&self) -> &Target {
        &self.target
    }

    /// Goes on to the next operation, which must have been the same batch.
    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError> {
        if !self.step()? {
            let (operation, last) = (self.position() + 1, self.last());
            return Err(RecordingError::End { path: self.path.clone(), operation, last }.into());
        }
        let recorded = self.operation();
        if recorded.requests != batch.requests() || recorded.responses.len() != batch.ops.len() {
            let (path, text) = (self.path.clone(), recorded.text.clone());
            return Err(RecordingError::Different { path, operation: self.position(), text }.into());
        }
        let answers = batch.ops.iter().zip(&recorded.responses);
        Ok(answers.map(|((_, operation), response)| Answer::of(operation, response)).collect())
    }

    fn registers(&mut self) -> Result<Registers, MachineError> {
        Ok(self.registers.clone())
    }

    fn memory(&self) -> &dyn PhysMem {
        &self.memory
    }

    fn journal(&mut self) -> Option<&mut dyn Journal> {
        Some(self)
    }
}

impl Journal for Replay {
    /// What was recorded of the operation after which it stands.
    fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        Ok(self.operation().events.clone())
    }

    fn bbm_level(&mut self) -> Result<u8, MachineError> {
        Ok(0)
    }
}
