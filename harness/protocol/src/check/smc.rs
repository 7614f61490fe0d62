//! Calls of the hypervisor's to the firmware (SMC Calling Convention, DEN0028; PSCI, DEN0022; TRNG, DEN0098).
//!
//! Firmware runs above the hypervisor, and what it is asked for it does: a CPU that it starts runs at EL2, from wherever it was told.

use super::bases::overlaps;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;

/// The bit of a function id that says SMC64: its arguments are as wide as registers.
const SMC64: u64 = 1 << 30;
/// PSCI's functions that take an entry point, in x2.
const CPU_SUSPEND: u64 = 0x8400_0001;
const CPU_ON: u64 = 0x8400_0003;
/// What may be asked for, without [`SMC64`]: SMCCC_VERSION, SMCCC_ARCH_FEATURES, ARCH_WORKAROUND_3, 2 and 1.
const OF_THE_ARCHITECTURE: [u64; 5] = [0x8000_0000, 0x8000_0001, 0x8000_3fff, 0x8000_7fff, 0x8000_8000];
/// PSCI_VERSION, CPU_SUSPEND, CPU_OFF, CPU_ON, AFFINITY_INFO, MIGRATE_INFO_TYPE, SYSTEM_OFF, SYSTEM_RESET, PSCI_FEATURES,
/// SYSTEM_RESET2.
const PSCI: [u64; 10] = [
    0x8400_0000,
    CPU_SUSPEND,
    0x8400_0002,
    CPU_ON,
    0x8400_0004,
    0x8400_0006,
    0x8400_0008,
    0x8400_0009,
    0x8400_000a,
    0x8400_0012,
];
/// TRNG_VERSION, TRNG_FEATURES, TRNG_GET_UUID, TRNG_RND.
const TRNG: [u64; 4] = [0x8400_0050, 0x8400_0051, 0x8400_0052, 0x8400_0053];

impl Checker {
    /// EL2 calls the firmware. In logs without an image (a hint) nothing is known of what is the hypervisor's own.
    pub(super) fn smc_allowed(&mut self, at: Site, function: u64, entry: u64) {
        let Some(image) = self.areas.image else { return };
        let id = function & !SMC64;
        let known = [&OF_THE_ARCHITECTURE[..], &PSCI, &TRNG].concat().contains(&id);
        let what = if !known {
            "asks the firmware for something that is not on the list"
        } else if matches!(id, CPU_SUSPEND | CPU_ON) && !overlaps(Some(image), (entry, 4)) {
            "has the firmware start a CPU at EL2 outside of the hypervisor's image"
        } else {
            return;
        };
        let missing =
            "a function of the architecture, PSCI or TRNG, and an entry point of the hypervisor's own"
                .to_owned();
        self.report(Rule::SmcForbidden, Subject::Register("SMC"), at, None, what.to_owned(), missing);
    }
}
