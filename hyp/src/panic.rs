//! The end: everything that is known is printed, then the CPU stops where the harness has its breakpoint.

use core::ops::Range;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::console::panic_line;
use crate::cpus;
use crate::layout::{EMERGENCY_STACK, IMAGE_VA, STACK, image_size, stack_slot};
use crate::sysreg;
use crate::traps::HostRegs;

macro_rules! say {
    ($($arg:tt)*) => { panic_line(format_args!($($arg)*)) };
}

/// What `vectors.s` saves of an exception that EL2 itself took.
#[repr(C)]
pub(crate) struct El2Regs {
    x: [u64; 31],
    sp: u64,
}

/// Kinds of exceptions, in the order of their vectors.
const KINDS: [&str; 4] = ["synchronous exception", "IRQ", "FIQ", "SError"];

/// Which CPUs are printing their last words, one bit each.
static PANICKING: AtomicU8 = AtomicU8::new(0);

/// Stops a CPU that fails once more while it reports a failure.
fn once() {
    let bit = 1 << cpus::this();
    if PANICKING.fetch_or(bit, Relaxed) & bit != 0 {
        parallax_panic_stop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    once();
    match info.location() {
        Some(location) => say!("panic on cpu {}: {} at {location}", cpus::this(), info.message()),
        None => say!("panic on cpu {}: {}", cpus::this(), info.message()),
    }
    print_system_registers();
    let frame: u64;
    // SAFETY: copies the frame pointer.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    backtrace(frame);
    parallax_panic_stop()
}

/// An exception taken from EL2 to EL2. `kind` is the vector's number: 0 to 3 with SP_EL0, 4 to 7 with SP_EL2;
/// in each synchronous, IRQ, FIQ, SError.
#[unsafe(no_mangle)]
extern "C" fn el2_exception(regs: &El2Regs, kind: u64) -> ! {
    once();
    say!("panic on cpu {}: {} at EL2", cpus::this(), KINDS[(kind & 3) as usize]);
    print_system_registers();
    print_registers(&regs.x);
    say!("sp  {:#018x}", regs.sp);
    say!("backtrace {:#x}", sysreg::read!("elr_el2"));
    backtrace(regs.x[29]);
    parallax_panic_stop()
}

/// An interrupt or SError of the host that EL2's configuration does not route here; `kind` as above.
#[unsafe(no_mangle)]
extern "C" fn host_unexpected(regs: &HostRegs, kind: u64) -> ! {
    say!("panic on cpu {}: {} of the host at EL2", cpus::this(), KINDS[(kind & 3) as usize]);
    print_system_registers();
    print_registers(&regs.x);
    parallax_panic_stop()
}

/// Where a CPU ends after a panic. The harness has a breakpoint here.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".breakpoints")]
#[inline(never)]
extern "C" fn parallax_panic_stop() -> ! {
    loop {
        sysreg::wfe();
    }
}

fn print_system_registers() {
    say!("esr_el2 {:#018x}  elr_el2 {:#018x}", sysreg::read!("esr_el2"), sysreg::read!("elr_el2"));
    say!("far_el2 {:#018x}  hpfar_el2 {:#018x}", sysreg::read!("far_el2"), sysreg::read!("hpfar_el2"));
    say!("spsr_el2 {:#018x}  hcr_el2 {:#018x}", sysreg::read!("spsr_el2"), sysreg::read!("hcr_el2"));
}

fn print_registers(x: &[u64; 31]) {
    for (pair, values) in x.chunks(2).enumerate() {
        match *values {
            [even, odd] => say!("x{:<2} {even:#018x}  x{:<2} {odd:#018x}", 2 * pair, 2 * pair + 1),
            [even] => say!("x{:<2} {even:#018x}", 2 * pair),
            _ => {}
        }
    }
}

/// Prints the return addresses of the frames from `frame` on, innermost first, as EL2 virtual addresses.
fn backtrace(mut frame: u64) {
    let slot = stack_slot(cpus::this());
    let within = |range: &Range<u64>, address| (slot + range.start..slot + range.end - 15).contains(&address);
    let booting = sysreg::read!("tpidr_el2") == 0;
    for _ in 0..64 {
        let on_stack = within(&STACK, frame)
            || within(&EMERGENCY_STACK, frame)
            || booting && (IMAGE_VA..IMAGE_VA + image_size() - 15).contains(&frame);
        if !on_stack || !frame.is_multiple_of(16) {
            return;
        }
        // SAFETY: 16 bytes at `frame` are on a mapped stack of this CPU, or in the image while EL2 still runs
        // on the boot tables, which map all of it.
        let [next, link] = unsafe { (frame as *const [u64; 2]).read() };
        if link == 0 {
            return;
        }
        // The call, not the instruction after it.
        say!("backtrace {:#x}", link - 4);
        if next <= frame {
            return;
        }
        frame = next;
    }
}
