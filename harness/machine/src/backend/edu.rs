//! QEMU's `edu` device, used from outside: the harness writes its registers, the kernel has no driver for it.

use std::time::Duration;

use parallax_addr::PhysAddr;
use parallax_trace::spec::ECAM_BASE;
use parallax_vmsa::PhysMem;

use crate::error::MachineError;
use crate::ram::MappedRam;

/// Vendor and device id.
const PCI_ID: u64 = 0x11e8_1234;
/// Offsets in the configuration space: command, first base address, and of a bridge the number of the bus behind it.
const COMMAND: u64 = 0x04;
const BAR: u64 = 0x10;
const SECONDARY: u64 = 0x19;
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
const PERIOD: (Duration, usize) = (Duration::from_millis(20), 250);

/// A machine, to the device.
pub(super) trait Bus {
    /// Reads physical memory or registers, in one access if a device has it that wide.
    fn read(&mut self, pa: PhysAddr, len: usize) -> Result<Vec<u8>, MachineError>;
    /// Writes them.
    fn write(&mut self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MachineError>;
    /// Its RAM.
    fn ram(&self) -> &MappedRam;
    /// Lets the machine's time pass for so long in wall time.
    fn pass(&mut self, time: Duration) -> Result<(), MachineError>;
    /// A page of RAM where its data come from and go to.
    fn scratch(&self) -> PhysAddr;
    /// What the machine printed.
    fn printed(&self) -> String;
}

/// The device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edu {
    registers: PhysAddr,
    config: PhysAddr,
}

impl Edu {
    /// The one in `slot` of bus 0, where the kernel has put it. None before the kernel has looked at its buses.
    pub(super) fn find(bus: &mut dyn Bus, slot: u8) -> Result<Option<Self>, MachineError> {
        Self::at(bus, config(0, slot))
    }

    /// The one behind the root port in `slot` of bus 0, and the number of its bus.
    pub(super) fn find_behind(bus: &mut dyn Bus, slot: u8) -> Result<Option<(Self, u8)>, MachineError> {
        let number = bus.read(beyond(config(0, slot), SECONDARY), 1)?.first().copied().unwrap_or_default();
        let found = if number == 0 { None } else { Self::at(bus, config(number, 0))? };
        Ok(found.map(|edu| (edu, number)))
    }

    fn at(bus: &mut dyn Bus, config: PhysAddr) -> Result<Option<Self>, MachineError> {
        let bar = number(&bus.read(beyond(config, BAR), 4)?) & !0xf;
        let there = number(&bus.read(config, 4)?) == PCI_ID && bar != 0;
        Ok(there.then_some(Self { registers: PhysAddr::new(bar), config }))
    }

    /// Lets it do DMA; what the kernel had decided of that is given.
    pub(super) fn enable(self, bus: &mut dyn Bus) -> Result<Vec<u8>, MachineError> {
        let before = bus.read(beyond(self.config, COMMAND), 2)?;
        bus.write(beyond(self.config, COMMAND), &ENABLE.to_le_bytes())?;
        Ok(before)
    }

    /// Puts back what [`Self::enable`] gave.
    pub(super) fn put_back(self, bus: &mut dyn Bus, before: &[u8]) -> Result<(), MachineError> {
        bus.write(beyond(self.config, COMMAND), before)
    }

    /// Writes `bytes`, 4096 at most, to bus address `to`. The machine runs meanwhile.
    pub(super) fn write(self, bus: &mut dyn Bus, to: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let (scratch, count) = (bus.scratch(), bytes.len() as u64);
        bus.ram().write(scratch, bytes)?;
        self.transfer(bus, [scratch.get(), BUFFER, count, RUN])?;
        self.transfer(bus, [BUFFER, to, count, RUN | TO_MEMORY])
    }

    /// Reads `count` bytes, 4096 at most, from bus address `from`. The machine runs meanwhile.
    pub(super) fn read(self, bus: &mut dyn Bus, from: u64, count: u64) -> Result<Vec<u8>, MachineError> {
        let (scratch, mut bytes) = (bus.scratch(), vec![0; count as usize]);
        bus.ram().write(scratch, &bytes)?;
        self.transfer(bus, [scratch.get(), BUFFER, count, RUN])?;
        self.transfer(bus, [from, BUFFER, count, RUN])?;
        self.transfer(bus, [BUFFER, scratch.get(), count, RUN | TO_MEMORY])?;
        bus.ram().read(scratch, &mut bytes)?;
        Ok(bytes)
    }

    fn transfer(self, bus: &mut dyn Bus, values: [u64; 4]) -> Result<(), MachineError> {
        for (offset, value) in REGISTERS.iter().zip(values) {
            bus.write(beyond(self.registers, *offset), &value.to_le_bytes())?;
        }
        let (period, tries) = PERIOD;
        for _ in 0..tries {
            bus.pass(period)?;
            if number(&bus.read(beyond(self.registers, REGISTERS[3]), 8)?) & RUN == 0 {
                return Ok(());
            }
        }
        Err(MachineError::Hang {
            waiting_for: "the end of a DMA transfer",
            limit: period * tries as u32,
            report: bus.printed(),
        })
    }
}

/// Where the configuration space of function 0 of a device is.
const fn config(bus: u8, slot: u8) -> PhysAddr {
    PhysAddr::new(ECAM_BASE.get() + ((bus as u64) << 20 | (slot as u64) << 15))
}

/// The address `offset` bytes behind `base`.
const fn beyond(base: PhysAddr, offset: u64) -> PhysAddr {
    PhysAddr::new(base.get().wrapping_add(offset))
}

/// A little-endian number.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use parallax_trace::spec::RAM_BASE;

    use super::*;

    const BAR_AT: u64 = 0x1000_0000;

    /// A machine with the device in slot 1 and one behind the port in slot 2; time makes the transfer.
    struct Fake {
        ram: MappedRam,
        words: BTreeMap<u64, u64>,
        buffer: [u8; 4096],
        slow: bool,
    }

    impl Fake {
        fn new() -> Self {
            let file = tempfile::tempfile().unwrap();
            file.set_len(0x4000).unwrap();
            let device = |config: PhysAddr, bar: u64| [(config.get(), PCI_ID), (config.get() + BAR, bar | 4)];
            let mut words: BTreeMap<u64, u64> = device(config(0, 1), BAR_AT).into_iter().collect();
            words.extend(device(config(3, 0), BAR_AT + 0x10_0000));
            words.insert(config(0, 2).get() + SECONDARY, 3);
            words.insert(config(0, 1).get() + COMMAND, 0x400);
            Self { ram: MappedRam::new(&file, 0x4000).unwrap(), words, buffer: [0; 4096], slow: false }
        }
    }

    impl Bus for Fake {
        fn read(&mut self, pa: PhysAddr, len: usize) -> Result<Vec<u8>, MachineError> {
            let value = self.words.get(&pa.get()).copied().unwrap_or_default();
            Ok(value.to_le_bytes()[..len].to_vec())
        }

        fn write(&mut self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MachineError> {
            self.words.insert(pa.get(), number(bytes));
            Ok(())
        }

        fn ram(&self) -> &MappedRam {
            &self.ram
        }

        fn pass(&mut self, _: Duration) -> Result<(), MachineError> {
            if self.slow {
                return Ok(());
            }
            let [from, to, count, command] = REGISTERS.map(|at| self.words[&(BAR_AT + at)]);
            let len = count as usize;
            if command & TO_MEMORY != 0 {
                assert_eq!(from, BUFFER);
                self.ram.write(PhysAddr::new(to), &self.buffer[..len])?;
            } else {
                assert_eq!(to, BUFFER);
                self.ram.read(PhysAddr::new(from), &mut self.buffer[..len])?;
            }
            self.words.insert(BAR_AT + REGISTERS[3], command & !RUN);
            Ok(())
        }

        fn scratch(&self) -> PhysAddr {
            RAM_BASE
        }

        fn printed(&self) -> String {
            "printed".to_owned()
        }
    }

    #[test]
    fn what_is_written_by_it_is_read_by_it() {
        let mut bus = Fake::new();
        let edu = Edu::find(&mut bus, 1).unwrap().unwrap();
        let at = RAM_BASE.get() + 0x1ff8;
        edu.write(&mut bus, at, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]).unwrap();
        assert_eq!(edu.read(&mut bus, at + 8, 8).unwrap(), [9, 10, 11, 12, 13, 14, 15, 16]);
        bus.slow = true;
        assert!(edu.read(&mut bus, at, 8).unwrap_err().to_string().contains("DMA transfer"));
    }

    #[test]
    fn a_device_is_where_its_machine_says_and_as_before_afterwards() {
        let mut bus = Fake::new();
        let edu = Edu::find(&mut bus, 1).unwrap().unwrap();
        let before = edu.enable(&mut bus).unwrap();
        assert_eq!(bus.words[&(config(0, 1).get() + COMMAND)], u64::from(ENABLE));
        edu.put_back(&mut bus, &before).unwrap();
        assert_eq!(bus.words[&(config(0, 1).get() + COMMAND)], 0x400);
        assert!(matches!(Edu::find_behind(&mut bus, 2), Ok(Some((_, 3)))));
        assert!(
            Edu::find(&mut bus, 3).unwrap().is_none() && Edu::find_behind(&mut bus, 4).unwrap().is_none()
        );
    }
}
