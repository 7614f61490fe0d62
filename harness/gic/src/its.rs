//! Registers of an ITS (IHI 0069, 12.19), by field.

use parallax_addr::{PhysAddr, Span};

use crate::fields::{bits, fields};

fields! {
    /// GITS_CTLR: whether the ITS works.
    ItsCtlr {
        /// Enabled.
        enabled [0:0] bool;
        /// Quiescent: nothing is under way, and all tables are in memory.
        quiescent [31:31] bool;
    }
}

fields! {
    /// GITS_TYPER: what the ITS can do.
    ItsTyper {
        /// Physical: it has physical LPIs.
        physical [0:0] bool;
        /// ITT_entry_size: bytes of an entry of an ITT, less one.
        itt_entry_size [7:4] u8;
        /// ID_bits: bits of an EventID, less one.
        id_bits [12:8] u8;
        /// Devbits: bits of a DeviceID, less one.
        devbits [17:13] u8;
        /// PTA: RDbase is an address, not a number of a processor.
        pta [19:19] bool;
        /// HCC: collections that need no memory.
        hcc [31:24] u8;
        /// CIDbits: bits of an ICID, less one, where CIL = 1.
        cidbits [35:32] u8;
        /// CIL: CIDbits means something; otherwise there are 16 bits.
        cil [36:36] bool;
    }
}

impl ItsTyper {
    /// Bytes of an entry of an ITT: 1 to 16.
    #[must_use]
    pub const fn itt_entry_bytes(&self) -> u64 {
        self.itt_entry_size() as u64 + 1
    }

    /// Number of DeviceIDs: at most 2^32.
    #[must_use]
    pub const fn devices(&self) -> u64 {
        2 << self.devbits()
    }

    /// Number of ICIDs: at most 2^16.
    #[must_use]
    pub const fn collections(&self) -> u64 {
        if self.cil() { 2 << self.cidbits() } else { 1 << 16 }
    }
}

fields! {
    /// GITS_CBASER: where the commands are.
    Cbaser {
        /// Size: pages of 4 KiB, less one.
        size [7:0] u8;
        /// Shareability: 1 is inner shareable.
        shareability [11:10] u8;
        /// Physical_Address.
        physical_address [51:12] addr;
        /// InnerCache.
        inner_cache [61:59] u8;
        /// Valid.
        valid [63:63] bool;
    }
}

/// Whether an ITS uses memory with InnerCache `inner` and Shareability `shareability` as write-back (0b011, 0b101 and 0b111) and inner
/// shareable.
const fn is_coherent(inner: u8, shareability: u8) -> bool {
    matches!(inner, 0b011 | 0b101 | 0b111) && shareability == 1
}

impl Cbaser {
    /// The ITS reads the queue through the caches of the CPUs.
    #[must_use]
    pub const fn is_coherent(&self) -> bool {
        is_coherent(self.inner_cache(), self.shareability())
    }

    /// The queue's memory, if there is one.
    #[must_use]
    pub fn memory(&self) -> Option<Span<PhysAddr>> {
        self.valid().then(|| Span::new(self.physical_address(), 0x1000 * (u64::from(self.size()) + 1)))
    }
}

/// GITS_CWRITER.Offset and GITS_CREADR.Offset, in bytes from the start of the queue.
#[must_use]
pub const fn offset(register: u64) -> u64 {
    bits(register, 19, 5) << 5
}

/// GITS_CREADR.Stalled: the command there is wrong.
#[must_use]
pub const fn stalled(register: u64) -> bool {
    register & 1 != 0
}

fields! {
    /// GITS_BASER<n>: a table of the ITS.
    Baser {
        /// Size: pages, less one.
        size [7:0] u8;
        /// Page_Size: 0 for 4 KiB, 1 for 16 KiB, 2 and 3 for 64 KiB.
        page_size [9:8] u8;
        /// Shareability: 1 is inner shareable.
        shareability [11:10] u8;
        /// Entry_Size: bytes of an entry, less one.
        entry_size [52:48] u8;
        /// Type: 0 no table, 1 devices, 2 vPEs, 4 collections.
        table_type [58:56] u8;
        /// InnerCache.
        inner_cache [61:59] u8;
        /// Indirect: the table has two levels.
        indirect [62:62] bool;
        /// Valid.
        valid [63:63] bool;
    }
}

impl Baser {
    /// The ITS reads and writes the table through the caches of the CPUs.
    #[must_use]
    pub const fn is_coherent(&self) -> bool {
        is_coherent(self.inner_cache(), self.shareability())
    }

    /// Bytes of a page.
    #[must_use]
    pub const fn page_bytes(&self) -> u64 {
        match self.page_size() {
            0 => 0x1000,
            1 => 0x4000,
            _ => 0x1_0000,
        }
    }

    /// Physical_Address. With pages of 64 KiB bits 15:12 are bits 51:48 of the address.
    #[must_use]
    pub const fn physical_address(&self) -> PhysAddr {
        let low = bits(self.0, 47, 12) << 12;
        PhysAddr::new(match self.page_size() {
            0 => low,
            1 => low & !0x3fff,
            _ => low & !0xffff | bits(self.0, 15, 12) << 48,
        })
    }

    /// Bytes of an entry: 1 to 32.
    #[must_use]
    pub const fn entry_bytes(&self) -> u64 {
        self.entry_size() as u64 + 1
    }

    /// Memory of the flat table, or of the first level, if there is one.
    #[must_use]
    pub fn memory(&self) -> Option<Span<PhysAddr>> {
        let pages = u64::from(self.size()) + 1;
        self.valid().then(|| Span::new(self.physical_address(), pages * self.page_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_as_long_as_its_pages() {
        let cbaser = Cbaser(1 << 63 | 0x4601_0000 | 3);
        assert_eq!(cbaser.memory(), Some(Span::new(PhysAddr::new(0x4601_0000), 0x4000)));
        assert_eq!(Cbaser(0x4601_0000).memory(), None);
        let coherent = |inner: u64, shareability: u64| Cbaser(inner << 59 | shareability << 10).is_coherent();
        assert!(coherent(7, 1) && coherent(3, 1) && !coherent(1, 1) && !coherent(6, 1) && !coherent(7, 0));
        assert_eq!((offset(0xffff_ffff_ffff_ffe1), stalled(1)), (0xf_ffe0, true));
    }

    #[test]
    fn a_tables_address_depends_on_the_size_of_its_pages() {
        let base = |page_size: u64| Baser(1 << 63 | 1 << 56 | 7 << 48 | page_size << 8 | 0x4000_5000);
        assert_eq!(base(0).physical_address(), PhysAddr::new(0x4000_5000));
        assert_eq!(base(1).physical_address(), PhysAddr::new(0x4000_4000));
        assert_eq!(base(2).physical_address(), PhysAddr::new(0x5_0000_4000_0000));
        assert_eq!((base(0).entry_bytes(), base(0).table_type()), (8, 1));
        assert_eq!(base(2).memory().unwrap().size, 0x1_0000);
    }

    #[test]
    fn identifiers_are_as_many_as_typer_says() {
        let typer = ItsTyper(15 << 13 | 15 << 8 | 0xb << 4 | 1);
        assert_eq!((typer.devices(), typer.collections(), typer.itt_entry_bytes()), (1 << 16, 1 << 16, 12));
        assert_eq!(ItsTyper(1 << 36 | 8 << 32).collections(), 512);
        assert_eq!(ItsTyper(u64::MAX).devices(), 1 << 32);
    }
}
