//! QEMU's `edu` device, used from outside: the harness writes its registers, the kernel has no driver for it.

use std::time::Duration;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_trace::spec::{ECAM_BASE, RAM_BASE};

use super::Linux;
use crate::error::MachineError;
use crate::extensions::Pause;

/// Its configuration space: bus 0, slot 5, function 0.
const CONFIG: PhysAddr = ECAM_BASE.wrapping_add(5 << 15);
/// Its StreamID.
pub const STREAM: u64 = 5 << 3;
/// Vendor and device id.
const PCI_ID: u64 = 0x11e8_1234;
/// Offsets in the configuration space: command, first base address.
const COMMAND: u64 = 0x04;
const BAR: u64 = 0x10;
/// Memory space and bus master.
const ENABLE: u16 = 0b110;

/// Offsets of its registers: source, destination, count in bytes, command (bit 0 starts, and is 1 until the end; bit 1: to
/// memory).
const REGISTERS: [u64; 4] = [0x80, 0x88, 0x90, 0x98];
const RUN: u64 = 1;
const TO_MEMORY: u64 = 2;
/// Its buffer, as an address of its own.
const BUFFER: u64 = 0x4_0000;
/// A transfer takes 100 ms of the machine's time. How often that is looked for, and how many times.
const PERIOD: (Duration, usize) = (Duration::from_millis(20), 100);

/// The device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edu {
    registers: PhysAddr,
}

impl Edu {
    /// Finds it where the kernel has put it, and lets it do DMA. None before the kernel has looked at its buses.
    pub(super) fn find(linux: &mut Linux) -> Result<Option<Self>, MachineError> {
        let bar = number(&linux.read_physical(beyond(CONFIG, BAR), 4)?) & !0xf;
        if number(&linux.read_physical(CONFIG, 4)?) != PCI_ID || bar == 0 {
            return Ok(None);
        }
        linux.write_physical(beyond(CONFIG, COMMAND), &ENABLE.to_le_bytes())?;
        Ok(Some(Self { registers: PhysAddr::new(bar) }))
    }

    /// Writes `bytes`, 4096 at most, to bus address `to`. The machine runs meanwhile.
    pub(super) fn write(self, linux: &mut Linux, to: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let (scratch, count) = (scratch(linux), bytes.len() as u64);
        linux.write_memory(scratch, bytes)?;
        self.transfer(linux, [scratch.get(), BUFFER, count, RUN])?;
        self.transfer(linux, [BUFFER, to, count, RUN | TO_MEMORY])
    }

    /// Reads `count` bytes, 4096 at most, from bus address `from`. The machine runs meanwhile.
    pub(super) fn read(self, linux: &mut Linux, from: u64, count: u64) -> Result<Vec<u8>, MachineError> {
        let scratch = scratch(linux);
        let mut bytes = vec![0; count as usize];
        linux.write_memory(scratch, &bytes)?;
        self.transfer(linux, [scratch.get(), BUFFER, count, RUN])?;
        self.transfer(linux, [from, BUFFER, count, RUN])?;
        self.transfer(linux, [BUFFER, scratch.get(), count, RUN | TO_MEMORY])?;
        linux.memory().read(scratch, &mut bytes)?;
        Ok(bytes)
    }

    fn transfer(self, linux: &mut Linux, values: [u64; 4]) -> Result<(), MachineError> {
        for (offset, value) in REGISTERS.iter().zip(values) {
            linux.write_physical(beyond(self.registers, *offset), &value.to_le_bytes())?;
        }
        let (period, tries) = PERIOD;
        for _ in 0..tries {
            if linux.run_for(period)? == Pause::Ended {
                return Err(MachineError::SwitchedOff);
            }
            if number(&linux.read_physical(beyond(self.registers, REGISTERS[3]), 8)?) & RUN == 0 {
                return Ok(());
            }
        }
        Err(MachineError::Hang {
            waiting_for: "the end of a DMA transfer",
            limit: period * tries as u32,
            report: linux.printed(),
        })
    }
}

/// Where its data come from and go to: the last page of RAM, one of the [`super::KEPT`].
fn scratch(linux: &Linux) -> PhysAddr {
    RAM_BASE.wrapping_add(linux.description().config.mem_bytes - PAGE_SIZE)
}

/// The address `offset` bytes behind `base`.
const fn beyond(base: PhysAddr, offset: u64) -> PhysAddr {
    PhysAddr::new(base.get().wrapping_add(offset))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
