//! System registers and the instructions that Rust has no word for.

/// Reads a system register by its name.
macro_rules! read {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading a system register has no effect on memory or on the program's state. Registers that
        // a CPU may lack are read only after the ID register that tells of them.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags)
            );
        }
        value
    }};
}

/// Writes a system register by its name. The use must be in an `unsafe` block that says why the new value is
/// harmless to the running program.
macro_rules! write {
    ($name:literal, $value:expr) => {
        core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) $value, options(nostack, preserves_flags))
    };
}

pub(crate) use {read, write};

/// The field of an ID register that starts at bit `shift`: 4 bits wide, as all of them are.
pub(crate) const fn id_field(register: u64, shift: u32) -> u64 {
    (register >> shift) & 0xf
}

/// `isb`.
pub(crate) fn isb() {
    // SAFETY: a barrier changes nothing.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
}

/// Waits for an event or an interrupt.
pub(crate) fn wfe() {
    // SAFETY: a hint changes nothing.
    unsafe { core::arch::asm!("wfe", options(nomem, nostack, preserves_flags)) };
}

/// `smc #0` with four arguments (SMC Calling Convention, DEN0028); returns x0.
pub(crate) fn smc(args: [u64; 4]) -> u64 {
    let result;
    // SAFETY: the firmware keeps x4..x30 or the registers of the SMC64 calling convention named as clobbered
    // here. The callers pass only PSCI functions, whose entry points are this image's own.
    unsafe {
        core::arch::asm!(
            "smc #0",
            inlateout("x0") args[0] => result,
            inlateout("x1") args[1] => _,
            inlateout("x2") args[2] => _,
            inlateout("x3") args[3] => _,
            lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
            lateout("x8") _, lateout("x9") _, lateout("x10") _, lateout("x11") _,
            lateout("x12") _, lateout("x13") _, lateout("x14") _, lateout("x15") _,
            lateout("x16") _, lateout("x17") _,
            options(nostack)
        );
    }
    result
}
