//! Calls of the host to the firmware (SMC Calling Convention, DEN0028): an allow-list.

/// SMCCC_VERSION.
pub const VERSION: u64 = 0x8000_0000;
const ARCH_FEATURES: u64 = 0x8000_0001;
/// SMCCC_ARCH_WORKAROUND_1, 2 and 3: what the firmware does against speculation.
const WORKAROUNDS: [u64; 3] = [0x8000_8000, 0x8000_7fff, 0x8000_3fff];
/// TRNG_VERSION to TRNG_RND of the true random number interface (DEN0098), the last for SMC64 as well.
const TRNG: [u64; 5] = [0x8400_0050, 0x8400_0051, 0x8400_0052, 0x8400_0053, 0xc400_0053];
/// A caller without live SVE state says so.
const SVE_HINT: u64 = 1 << 16;

/// The function that x0 names.
#[must_use]
pub const fn function(x0: u64) -> u64 {
    x0 & 0xffff_ffff & !SVE_HINT
}

/// Whether the firmware gets `function` with x1 = `argument` as it is: it names no memory and no code, and changes nothing of
/// the machine. PSCI is not among them.
#[must_use]
pub fn is_forwarded(function: u64, argument: u64) -> bool {
    match function {
        ARCH_FEATURES => {
            let asked = argument & 0xffff_ffff;
            asked == ARCH_FEATURES || is_forwarded(asked, 0)
        }
        VERSION => true,
        _ => WORKAROUNDS.contains(&function) || TRNG.contains(&function),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_reaches_the_firmware() {
        for id in [VERSION, 0x8000_8000, 0x8000_7fff, 0x8000_3fff, 0x8400_0050, 0xc400_0053] {
            assert!(is_forwarded(id, 0) && is_forwarded(ARCH_FEATURES, id), "{id:#x}");
            assert!(is_forwarded(function(id | SVE_HINT | 1 << 40), 0), "{id:#x} with a hint");
        }
        // PSCI, SDEI, FF-A, the SoC's and the trusted OS's own, and ARCH_FEATURES of those.
        for id in [0x8400_0000, 0xc400_0003, 0xc400_0020, 0x8400_0060, 0x8200_0000, 0xb200_0000, 0xc400_0050]
        {
            assert!(!is_forwarded(id, 0) && !is_forwarded(ARCH_FEATURES, id), "{id:#x}");
        }
        assert!(is_forwarded(ARCH_FEATURES, ARCH_FEATURES));
    }
}
