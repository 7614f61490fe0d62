//! Entries of device tables, collection tables and ITTs as QEMU's ITS lays them out.
//!
//! The manual leaves these formats open (IHI 0069, 5.2: IMPLEMENTATION DEFINED); only the entries of a first level are its
//! own ([`L1`]). Another ITS has other ones: [`crate::ItsTyper::itt_entry_bytes`] and [`crate::Baser::entry_bytes`] tell most of them apart.

use parallax_addr::{PhysAddr, Span};

use crate::fields::fields;

fields! {
    /// Entry of the first level of a two-level table (IHI 0069, 5.2): where a page of the second level is.
    L1 {
        /// Physical_Address, of which the bits below the size of a page are 0.
        physical_address [51:12] addr;
        /// Valid.
        valid [63:63] bool;
    }
}

impl L1 {
    /// Bytes of an entry.
    pub const BYTES: u64 = 8;
}

fields! {
    /// QEMU's entry of a device table.
    Dte {
        /// The device is mapped.
        valid [0:0] bool;
        /// Bits of an EventID, less one.
        size [5:1] u8;
        /// The ITT's address, in units of 256 bytes.
        itt_units [49:6] u64;
    }
}

impl Dte {
    /// Bytes of an entry.
    pub const BYTES: u64 = 8;

    /// Number of EventIDs: at most 2^32.
    #[must_use]
    pub const fn events(&self) -> u64 {
        2 << self.size()
    }

    /// The memory of the device's ITT, of entries of `entry_bytes` bytes.
    #[must_use]
    pub const fn itt(&self, entry_bytes: u64) -> Span<PhysAddr> {
        Span::new(PhysAddr::new(self.itt_units() << 8), self.events().saturating_mul(entry_bytes))
    }
}

fields! {
    /// QEMU's entry of a collection table.
    Cte {
        /// The collection is mapped.
        valid [0:0] bool;
        /// The number of the processor whose redistributor gets its LPIs.
        rdbase [16:1] u16;
    }
}

impl Cte {
    /// Bytes of an entry.
    pub const BYTES: u64 = 8;
}

/// QEMU's entry of an ITT: a dword, and a word for the doorbell of a virtual LPI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ite(pub IteLow, pub u32);

fields! {
    /// The dword of QEMU's entry of an ITT.
    IteLow {
        /// The event is mapped.
        valid [0:0] bool;
        /// A physical LPI, not a virtual one.
        physical [1:1] bool;
        /// The LPI's number.
        intid [25:2] u32;
        /// The collection.
        icid [47:32] u16;
        /// The virtual PE of a virtual LPI.
        vpeid [63:48] u16;
    }
}

impl Ite {
    /// Bytes of an entry.
    pub const BYTES: u64 = 12;

    /// An entry from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 12]) -> Self {
        let mut words = [0_u64; 3];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*chunk).into();
        }
        Self(IteLow(words[1] << 32 | words[0]), words[2] as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_field_by_field() {
        let dte = Dte(1 | 4 << 1 | 0x4602_1000 >> 8 << 6);
        assert!(dte.valid());
        assert_eq!(dte.events(), 32);
        assert_eq!(dte.itt(12), Span::new(PhysAddr::new(0x4602_1000), 32 * 12));
        assert_eq!(Dte(u64::MAX).itt(16).size, 16 << 32);
        let cte = Cte(1 | 3 << 1);
        assert_eq!((cte.valid(), cte.rdbase()), (true, 3));
        assert_eq!(L1(1 << 63 | 0x4602_1fff).physical_address(), PhysAddr::new(0x4602_1000));
    }

    #[test]
    fn an_event_leads_to_an_lpi_and_a_collection() {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(3 | 8192_u64 << 2 | 5 << 32 | 7 << 48).to_le_bytes());
        bytes[8..].copy_from_slice(&0x3ff_u32.to_le_bytes());
        let Ite(low, doorbell) = Ite::from_bytes(&bytes);
        assert!(low.valid() && low.physical());
        assert_eq!((low.intid(), low.icid(), low.vpeid(), doorbell), (8192, 5, 7, 1023));
    }
}
