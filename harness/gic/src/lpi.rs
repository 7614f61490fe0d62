//! Tables of LPIs (IHI 0069, 5.1): a byte of configuration for each, and a bit for each that is pending.

use parallax_addr::{PhysAddr, Span};

use crate::raw::RawRedistributor;
use crate::redistributor::{Pendbaser, Propbaser, RedistributorCtlr};

/// INTIDs that are no LPIs: the configuration table has nothing for them.
const FIRST_LPI: u64 = 8192;
/// Most bits of an INTID.
const MAX_ID_BITS: u8 = 24;

/// The memory of a redistributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LpiTables {
    /// EnableLPIs, or a write that is not complete: the tables are in use.
    pub in_use: bool,
    /// The configuration table; empty where no INTID is an LPI.
    pub configuration: Span<PhysAddr>,
    /// The pending table.
    pub pending: Span<PhysAddr>,
}

impl LpiTables {
    /// What the registers of a redistributor say. `gicd_typer` is GICD_TYPER, which limits the bits of an INTID.
    #[must_use]
    pub fn of(registers: &RawRedistributor, gicd_typer: u32) -> Self {
        let ctlr = RedistributorCtlr(registers.ctlr.into());
        let (configuration, pending) = (Propbaser(registers.propbaser), Pendbaser(registers.pendbaser));
        // GICD_TYPER.IDbits is bits 23:19.
        let largest = (gicd_typer >> 19 & 0x1f) as u8;
        let bits = (configuration.id_bits().min(largest) + 1).min(MAX_ID_BITS);
        let ids = 1_u64 << bits;
        Self {
            in_use: ctlr.enable_lpis() || ctlr.rwp(),
            configuration: Span::new(configuration.physical_address(), ids.saturating_sub(FIRST_LPI)),
            pending: Span::new(pending.physical_address(), ids.div_ceil(8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_as_large_as_both_sides_allow() {
        let registers = |propbaser| RawRedistributor {
            ctlr: 1,
            propbaser,
            pendbaser: 0x4602_1234,
            ..RawRedistributor::default()
        };
        let tables = LpiTables::of(&registers(0x4603_000f), 0x17 << 19);
        assert!(tables.in_use);
        assert_eq!(tables.configuration, Span::new(PhysAddr::new(0x4603_0000), 0xe000));
        assert_eq!(tables.pending, Span::new(PhysAddr::new(0x4602_0000), 0x2000));
        assert_eq!(LpiTables::of(&registers(0x4603_001f), 0xf << 19), tables);
        assert_eq!(LpiTables::of(&registers(0x1f), u32::MAX).pending.size, 1 << 21);
        assert!(LpiTables::of(&registers(3), u32::MAX).configuration.is_empty());
    }
}
