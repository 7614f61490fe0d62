//! PCI: finds the DMA devices behind the host bridge, and gives them addresses.
//!
//! Depth first from the root bus; bridges get the next bus number and a window of the MMIO range. Only `edu` devices
//! get a BAR. A device's StreamID is its requester id, as the device tree's `iommu-map` has it on this machine.
//!
//! Safety: configuration space is the device tree's ECAM range, mapped as Device memory; every access is checked
//! against its size.

use crate::board::PciHost;
use crate::edu::{self, Device, Devices};

/// Bridges are followed this deep.
const MAX_DEPTH: u32 = 8;

/// Configuration header offsets.
mod reg {
    pub(super) const ID: u16 = 0x00;
    pub(super) const COMMAND: u16 = 0x04;
    /// Header type in bits 23:16.
    pub(super) const HEADER: u16 = 0x0c;
    pub(super) const BAR0: u16 = 0x10;
    /// Primary, secondary and subordinate bus number, a byte each.
    pub(super) const BUSES: u16 = 0x18;
    pub(super) const IO_WINDOW: u16 = 0x1c;
    pub(super) const MEMORY_WINDOW: u16 = 0x20;
    pub(super) const PREFETCH_WINDOW: u16 = 0x24;
}

/// Command register: memory space and bus master enabled.
const COMMAND_ENABLE: u32 = 1 << 1 | 1 << 2;
/// A bridge window whose base is above its limit: closed.
const CLOSED: u32 = 0x0000_fff0;
/// Granule of a bridge's memory window, bytes.
const WINDOW_ALIGN: u64 = 1 << 20;

/// Bus, device and function.
#[derive(Clone, Copy)]
struct Function {
    bus: u8,
    device: u8,
    function: u8,
}

struct Scan<'a> {
    host: &'a PciHost,
    last_bus: u8,
    /// Offset of the next free byte in the MMIO window.
    next: u64,
    found: Devices,
}

/// Finds all `edu` devices and makes them ready for use.
pub(crate) fn scan(host: &PciHost) -> Devices {
    let mut scan = Scan { host, last_bus: host.first_bus, next: 0, found: Devices::default() };
    scan.bus(host.first_bus, 0);
    scan.found
}

impl Scan<'_> {
    fn bus(&mut self, bus: u8, depth: u32) {
        for device in 0..32 {
            for function in 0..8 {
                let at = Function { bus, device, function };
                let id = self.read(at, reg::ID);
                if id & 0xffff == 0xffff {
                    if function == 0 {
                        break;
                    }
                    continue;
                }
                let header = self.read(at, reg::HEADER) >> 16 & 0xff;
                if header & 0x7f == 1 {
                    self.bridge(at, depth);
                } else if id == edu::PCI_ID {
                    self.edu(at);
                }
                if function == 0 && header & 0x80 == 0 {
                    break;
                }
            }
        }
    }

    fn bridge(&mut self, at: Function, depth: u32) {
        let buses = self.host.ecam_size >> 20;
        if depth == MAX_DEPTH || u64::from(self.last_bus - self.host.first_bus) + 1 >= buses {
            return;
        }
        self.last_bus += 1;
        let secondary = self.last_bus;
        let numbers = u32::from(at.bus) | u32::from(secondary) << 8;
        self.write(at, reg::BUSES, numbers | 0xff << 16);
        self.next = self.next.next_multiple_of(WINDOW_ALIGN);
        let start = self.next;
        self.bus(secondary, depth + 1);
        self.next = self.next.next_multiple_of(WINDOW_ALIGN);
        self.write(at, reg::BUSES, numbers | u32::from(self.last_bus) << 16);
        let window = if self.next == start {
            CLOSED
        } else {
            let base = (self.host.mmio_bus + start) as u32;
            let limit = (self.host.mmio_bus + self.next - 1) as u32;
            limit & 0xfff0_0000 | base >> 16 & 0xfff0
        };
        self.write(at, reg::MEMORY_WINDOW, window);
        self.write(at, reg::PREFETCH_WINDOW, CLOSED);
        self.write(at, reg::IO_WINDOW, 0x00f0);
        self.write(at, reg::COMMAND, COMMAND_ENABLE);
    }

    fn edu(&mut self, at: Function) {
        self.write(at, reg::BAR0, u32::MAX);
        let size = u64::from((!(self.read(at, reg::BAR0) & !0xf)).wrapping_add(1));
        let start = self.next.next_multiple_of(size.max(1));
        if size == 0 || start + size > self.host.mmio_size {
            return;
        }
        self.next = start + size;
        self.write(at, reg::BAR0, (self.host.mmio_bus + start) as u32);
        self.write(at, reg::COMMAND, COMMAND_ENABLE);
        let stream_id = u64::from(at.bus) << 8 | u64::from(at.device) << 3 | u64::from(at.function);
        self.found.push(Device { stream_id, bar: self.host.mmio + start });
    }

    /// Address of a 32-bit register, if the ECAM reaches that far.
    fn address(&self, at: Function, offset: u16) -> Option<*mut u32> {
        let bus = u64::from(at.bus.checked_sub(self.host.first_bus)?);
        let offset =
            bus << 20 | u64::from(at.device) << 15 | u64::from(at.function) << 12 | u64::from(offset);
        (offset < self.host.ecam_size).then_some((self.host.ecam + offset) as *mut u32)
    }

    /// All ones if there is nothing.
    fn read(&self, at: Function, offset: u16) -> u32 {
        // SAFETY: configuration space; reads of these registers have no effect.
        self.address(at, offset).map_or(u32::MAX, |register| unsafe { register.read_volatile() })
    }

    fn write(&self, at: Function, offset: u16, value: u32) {
        if let Some(register) = self.address(at, offset) {
            // SAFETY: configuration space; the devices are this image's to configure.
            unsafe { register.write_volatile(value) };
        }
    }
}
