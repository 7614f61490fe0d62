//! The one interrupt that EL2 raises: the global error of the SMMU that the host sees, on the wire that the device tree gives it.
//!
//! The distributor is the host's. GICD_ISPENDR only takes ones, so a write for one interrupt disturbs nothing that the
//! host does at the same time; whether, where and when the interrupt is taken stays the host's to say.

use hyp_core::addr::PAGE_SIZE;
use hyp_core::hw::Mmio;
use hyp_core::regions::Range;
use spin::Once;

use crate::hw::Frame;
use crate::platform::Platform;

/// GICD_ISPENDR<n>, one bit an interrupt (IHI 0069, 12.9).
const GICD_ISPENDR: u64 = 0x200;
/// INTID of the first SPI, and their number.
const SPIS: u32 = 32;
const SPIS_NR: u32 = 988;

static GERROR: Once<(Frame, u32)> = Once::new();

/// What of the distributor EL2's table must show; `None` when there is no such wire.
pub(crate) fn init(platform: &Platform) -> Option<Range> {
    let spi = platform.smmu_gerror.filter(|&spi| spi < SPIS_NR)?;
    let page = Range { size: PAGE_SIZE, ..platform.gicd? };
    GERROR.call_once(|| (Frame::new(page.base, page.size), SPIS + spi));
    Some(page)
}

/// Makes the interrupt pending, as an edge on its wire would.
pub(crate) fn raise_gerror() {
    if let Some((gicd, intid)) = GERROR.get() {
        gicd.write32(GICD_ISPENDR + u64::from(intid / 32) * 4, 1 << (intid % 32));
    }
}
