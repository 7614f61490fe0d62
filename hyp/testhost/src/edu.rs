//! QEMU's `edu` device: DMA between a 4 KiB buffer of its own and any bus address.
//!
//! A transfer takes 100 ms of virtual time, which passes in no time while every CPU waits. The data comes from, and
//! goes to, the [`Scratch`] page by a second transfer, judged apart from the one that was asked for.
//!
//! Safety: register accesses go to the BAR that [`crate::pci`] assigned, mapped as Device memory; transfers stay within the
//! device's buffer. What a device writes to the target is the harness's business.

use crate::time::{Deadline, wait_until};

/// Vendor and device id.
pub(crate) const PCI_ID: u32 = 0x11e8_1234;
/// Bytes that one transfer can move.
pub(crate) const MAX_TRANSFER: u64 = 4096;

/// Devices that are kept.
const MAX_DEVICES: usize = 16;
/// The buffer, as an address of the device's own.
const BUFFER: u64 = 0x40000;
/// Duration of a transfer, and a millisecond more.
const TRANSFER_MS: u64 = 101;
/// How many times that is waited for.
const PATIENCE: u32 = 4;

/// Register offsets.
mod reg {
    pub(super) const SOURCE: u64 = 0x80;
    pub(super) const DESTINATION: u64 = 0x88;
    pub(super) const COUNT: u64 = 0x90;
    pub(super) const COMMAND: u64 = 0x98;
}

/// Command: start; reads 1 while the transfer lasts.
const RUN: u64 = 1 << 0;
/// Command: from the buffer to memory.
const TO_MEMORY: u64 = 1 << 1;

/// A device that was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Device {
    /// Its StreamID.
    pub(crate) stream_id: u64,
    /// CPU address of its registers.
    pub(crate) bar: u64,
}

/// All that were found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Devices {
    list: [Device; MAX_DEVICES],
    len: usize,
}

impl Devices {
    /// Keeps `device`, if there is room.
    pub(crate) fn push(&mut self, device: Device) {
        if self.len < MAX_DEVICES {
            self.list[self.len] = device;
            self.len += 1;
        }
    }

    /// The device with this StreamID.
    pub(crate) fn find(&self, stream_id: u64) -> Option<&Device> {
        self.list[..self.len].iter().find(|device| device.stream_id == stream_id)
    }
}

/// The device did not finish in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimedOut;

impl Device {
    /// Memory to buffer: `count` bytes (at most [`MAX_TRANSFER`]) from bus address `from`.
    pub(crate) fn fetch(&self, from: u64, count: u64) -> Result<(), TimedOut> {
        self.transfer(from, BUFFER, count, 0)
    }

    /// Buffer to memory: `count` bytes (at most [`MAX_TRANSFER`]) to bus address `to`.
    pub(crate) fn store(&self, to: u64, count: u64) -> Result<(), TimedOut> {
        self.transfer(BUFFER, to, count, TO_MEMORY)
    }

    fn transfer(&self, source: u64, destination: u64, count: u64, direction: u64) -> Result<(), TimedOut> {
        debug_assert!(count <= MAX_TRANSFER);
        if self.is_busy() {
            return Err(TimedOut);
        }
        self.write(reg::SOURCE, source);
        self.write(reg::DESTINATION, destination);
        self.write(reg::COUNT, count);
        self.write(reg::COMMAND, RUN | direction);
        for _ in 0..PATIENCE {
            // The device raises no interrupt; the timer is the only thing to wait for.
            wait_until(Deadline::in_ms(TRANSFER_MS), || false);
            if !self.is_busy() {
                return Ok(());
            }
        }
        Err(TimedOut)
    }

    fn is_busy(&self) -> bool {
        // SAFETY: a register of the BAR; reading it has no effect.
        unsafe { ((self.bar + reg::COMMAND) as *const u64).read_volatile() & RUN != 0 }
    }

    fn write(&self, offset: u64, value: u64) {
        // SAFETY: a register of the BAR.
        unsafe { ((self.bar + offset) as *mut u64).write_volatile(value) };
    }
}

/// The page that devices fetch from and store to on the test host's own behalf.
#[repr(C, align(4096))]
pub(crate) struct Scratch([u64; 512]);

impl Scratch {
    /// A page of zeros.
    pub(crate) const fn new() -> Self {
        Self([0; 512])
    }

    /// Its address, for CPU and device alike.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// Writes `value` into every u64 of it.
    pub(crate) fn fill(&mut self, value: u64) {
        for word in &mut self.0 {
            // SAFETY: a reference; volatile because a device reads it.
            unsafe { core::ptr::write_volatile(word, value) };
        }
    }

    /// Its first u64.
    pub(crate) fn first(&self) -> u64 {
        // SAFETY: a reference; volatile because a device wrote it.
        unsafe { core::ptr::read_volatile(&raw const self.0[0]) }
    }
}
