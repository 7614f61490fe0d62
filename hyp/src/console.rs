//! The UART (PL011, Arm DDI 0183) and the `log!` macro: one line a message, begun with `hyp: `.

use core::fmt::{self, Write};
use hyp_core::addr::PhysAddr;
use spin::mutex::SpinMutex;

use crate::hw::Yield;
use crate::layout::linear;

/// Data register.
const UARTDR: u64 = 0x00;
/// Flag register.
const UARTFR: u64 = 0x18;
/// UARTFR: transmit FIFO full.
const TXFF: u32 = 1 << 5;
/// How often the flag register is read before a byte is dropped: longer than a byte takes at 9600 baud.
const PATIENCE: u32 = 1 << 17;
/// Control register.
const UARTCR: u64 = 0x30;
/// UARTCR: UARTEN and TXE.
const ENABLE: u32 = 1 | 1 << 8;

/// A PL011 whose frame is in the linear map.
struct Pl011 {
    base: u64,
}

impl Pl011 {
    fn read(&self, offset: u64) -> u32 {
        // SAFETY: `base` is the linear address of the UART's frame, mapped as Device for as long as EL2 runs.
        unsafe { ((self.base + offset) as *const u32).read_volatile() }
    }

    fn write(&self, offset: u64, value: u32) {
        // SAFETY: as for `read`; the UART has no access to memory.
        unsafe { ((self.base + offset) as *mut u32).write_volatile(value) }
    }

    /// Sends a byte, or drops it: the host has the UART as well, and may have stopped it with its FIFO full.
    fn put(&self, byte: u8) {
        if (0..PATIENCE).any(|_| self.read(UARTFR) & TXFF == 0) {
            self.write(UARTDR, u32::from(byte));
        }
    }
}

impl Write for Pl011 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

static UART: SpinMutex<Option<Pl011>, Yield> = SpinMutex::new(None);

/// Starts to use the UART at `pa`, whose frame the linear map shows.
pub(crate) fn init(pa: PhysAddr) {
    let uart = Pl011 { base: linear(pa).0 };
    uart.write(UARTCR, uart.read(UARTCR) | ENABLE);
    *UART.lock() = Some(uart);
}

/// Prints one line. Does nothing before [`init`].
pub(crate) fn line(text: fmt::Arguments<'_>) {
    print(&mut UART.lock(), text);
}

/// Prints one line for a CPU that panics: does not wait for ever for a lock that it may hold itself.
pub(crate) fn panic_line(text: fmt::Arguments<'_>) {
    let mut tries = 0;
    loop {
        if let Some(mut uart) = UART.try_lock() {
            return print(&mut uart, text);
        }
        tries += 1;
        if tries == 1_000_000 {
            // SAFETY: this CPU or one that is stuck holds the lock; nothing worse than mixed output can
            // follow.
            unsafe { UART.force_unlock() };
        }
    }
}

fn print(uart: &mut Option<Pl011>, text: fmt::Arguments<'_>) {
    if let Some(uart) = uart {
        // A PL011 takes every byte: there is no error to report.
        let _ = writeln!(uart, "hyp: {text}");
    }
}

/// Prints one line on the console.
macro_rules! log {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}
pub(crate) use log;
