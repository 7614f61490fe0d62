//! A Linux machine as an `edu` device sees it.

use std::time::Duration;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_trace::spec::RAM_BASE;

use super::Linux;
use crate::backend::edu::Bus;
use crate::error::MachineError;
use crate::extensions::Pause;
use crate::ram::MappedRam;

/// The slot of its device.
pub(super) const SLOT: u8 = 5;
/// The StreamID of that.
pub const STREAM: u64 = (SLOT as u64) << 3;

impl Bus for Linux {
    fn read(&mut self, pa: PhysAddr, len: usize) -> Result<Vec<u8>, MachineError> {
        self.read_physical(pa, len)
    }

    fn write(&mut self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MachineError> {
        self.write_physical(pa, bytes)
    }

    fn ram(&self) -> &MappedRam {
        &self.ram
    }

    fn pass(&mut self, time: Duration) -> Result<(), MachineError> {
        match self.run_for(time)? {
            Pause::Ended => Err(MachineError::SwitchedOff),
            _ => Ok(()),
        }
    }

    /// The last page of RAM, one of the [`super::KEPT`].
    fn scratch(&self) -> PhysAddr {
        RAM_BASE.wrapping_add(self.description().config.mem_bytes - PAGE_SIZE)
    }

    fn printed(&self) -> String {
        Self::printed(self)
    }
}
