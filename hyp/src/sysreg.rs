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

/// The ID register S3_0_C0_C`crm`_`op2`, `crm` 1 to 7, which all can be read.
pub(crate) fn id_register(crm: u64, op2: u64) -> u64 {
    macro_rules! registers {
        ($($crm:literal)*) => { registers!(@ $(($crm, 0) ($crm, 1) ($crm, 2) ($crm, 3) ($crm, 4) ($crm, 5) ($crm, 6) ($crm, 7))*) };
        (@ $(($crm:literal, $op2:literal))*) => {
            match (crm, op2) {
                $(($crm, $op2) => {
                    let value: u64;
                    // SAFETY: reading a register changes nothing.
                    unsafe {
                        core::arch::asm!(
                            concat!("mrs {}, S3_0_C0_C", $crm, "_", $op2),
                            out(reg) value, options(nomem, nostack, preserves_flags)
                        );
                    }
                    value
                })*
                _ => 0,
            }
        };
    }
    registers!(1 2 3 4 5 6 7)
}

/// `smc #0` with four arguments (SMC Calling Convention, DEN0028); returns x0 to x3.
pub(crate) fn smc(args: [u64; 4]) -> [u64; 4] {
    let mut results = args;
    // SAFETY: the firmware keeps x4..x30 or the registers of the SMC64 calling convention named as clobbered
    // here. The callers pass only PSCI functions, whose entry points are this image's own, and functions that name no memory.
    unsafe {
        core::arch::asm!(
            "smc #0",
            inlateout("x0") args[0] => results[0],
            inlateout("x1") args[1] => results[1],
            inlateout("x2") args[2] => results[2],
            inlateout("x3") args[3] => results[3],
            lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
            lateout("x8") _, lateout("x9") _, lateout("x10") _, lateout("x11") _,
            lateout("x12") _, lateout("x13") _, lateout("x14") _, lateout("x15") _,
            lateout("x16") _, lateout("x17") _,
            options(nostack)
        );
    }
    results
}
