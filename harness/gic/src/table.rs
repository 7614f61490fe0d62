//! Device and collection table (IHI 0069, 5.2): which memory each occupies, and which entries are valid.
//!
//! Nothing is read beyond the identifiers that the ITS has, and no more than [`MOST`] bytes of a table.

use parallax_addr::{PhysAddr, Span};
use parallax_vmsa::mem::{MemError, PhysMem};

use crate::entry::{Cte, Dte, L1};
use crate::its::{Baser, ItsTyper};

/// Most bytes of a table that are read, both levels together.
pub const MOST: u64 = 8 << 20;
/// Most entries of a table that are valid.
pub const MOST_VALID: usize = 1 << 16;

/// What a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableKind {
    /// Type 1: devices.
    Devices,
    /// Type 4: collections.
    Collections,
    /// Any other: vPEs, or what is reserved. Its entries are not looked at.
    Other(u8),
}

impl TableKind {
    /// From GITS_BASER<n>.Type.
    #[must_use]
    pub const fn from_type(table_type: u8) -> Self {
        match table_type {
            1 => Self::Devices,
            4 => Self::Collections,
            other => Self::Other(other),
        }
    }
}

/// Why a table could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFault {
    /// A part of it is not memory.
    Memory(MemError),
    /// Its entries are not of QEMU's size.
    EntrySize(u64),
    /// It has more bytes than are read.
    TooLarge,
    /// More of its entries are valid than are taken.
    TooMany,
}

impl std::fmt::Display for TableFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::EntrySize(bytes) => write!(f, "entries of {bytes} bytes are not QEMU's"),
            Self::TooLarge => write!(f, "more than {MOST} bytes"),
            Self::TooMany => write!(f, "more than {MOST_VALID} valid entries"),
        }
    }
}

/// A table of the ITS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it is for.
    pub kind: TableKind,
    /// The flat table, or the first level: all that the register names.
    pub first: Span<PhysAddr>,
    /// Pages of the second level, of a two-level table.
    pub second: Vec<Span<PhysAddr>>,
    /// Identifier and entry where the entry is valid, in order.
    pub valid: Vec<(u32, u64)>,
    /// What could not be read.
    pub fault: Option<TableFault>,
}

impl Table {
    /// The table that `baser` names, if it names one.
    #[must_use]
    pub fn read(mem: &dyn PhysMem, baser: Baser, typer: ItsTyper) -> Option<Self> {
        let first = baser.memory()?;
        let kind = TableKind::from_type(baser.table_type());
        let mut table = Self { kind, first, second: Vec::new(), valid: Vec::new(), fault: None };
        let (identifiers, bytes) = match kind {
            TableKind::Devices => (typer.devices(), Dte::BYTES),
            TableKind::Collections => (typer.collections(), Cte::BYTES),
            TableKind::Other(_) => return Some(table),
        };
        table.fault = if baser.entry_bytes() == bytes {
            table.fill(mem, baser, identifiers).err()
        } else {
            Some(TableFault::EntrySize(baser.entry_bytes()))
        };
        Some(table)
    }

    fn fill(&mut self, mem: &dyn PhysMem, baser: Baser, identifiers: u64) -> Result<(), TableFault> {
        let bytes = baser.entry_bytes();
        if !baser.indirect() {
            return self.entries(
                mem,
                Span { size: self.first.size.min(identifiers * bytes), ..self.first },
                0,
            );
        }
        let page = baser.page_bytes();
        let per_page = page / bytes;
        let needed = identifiers.div_ceil(per_page) * L1::BYTES;
        let size = self.first.size.min(needed);
        let mut left = MOST.checked_sub(size).ok_or(TableFault::TooLarge)?;
        for (index, entry) in (0_u64..).zip(words(mem, Span { size, ..self.first })?) {
            let entry = L1(entry);
            if entry.valid() {
                left = left.checked_sub(page).ok_or(TableFault::TooLarge)?;
                let span = Span::new(entry.physical_address().align_down(page), page);
                self.second.push(span);
                self.entries(mem, span, index * per_page)?;
            }
        }
        Ok(())
    }

    /// Takes the valid entries of `span`, of which the first is that of identifier `from`.
    fn entries(&mut self, mem: &dyn PhysMem, span: Span<PhysAddr>, from: u64) -> Result<(), TableFault> {
        for (index, entry) in (from..).zip(words(mem, span)?) {
            // Both formats have their valid bit there.
            if entry & 1 != 0 {
                if self.valid.len() == MOST_VALID {
                    return Err(TableFault::TooMany);
                }
                self.valid.push((u32::try_from(index).unwrap_or(u32::MAX), entry));
            }
        }
        Ok(())
    }

    /// All of its memory.
    pub fn memory(&self) -> impl Iterator<Item = Span<PhysAddr>> {
        std::iter::once(self.first).chain(self.second.iter().copied())
    }
}

/// The dwords in `span`.
fn words(mem: &dyn PhysMem, span: Span<PhysAddr>) -> Result<Vec<u64>, TableFault> {
    let size = usize::try_from(span.size).ok().filter(|_| span.size <= MOST).ok_or(TableFault::TooLarge)?;
    let mut bytes = vec![0; size];
    mem.read(span.base, &mut bytes).map_err(TableFault::Memory)?;
    Ok(bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect())
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;
    use proptest::prelude::*;

    use super::*;

    const BASE: u64 = 0x4600_0000;
    /// 8 bits of DeviceIDs.
    const TYPER: ItsTyper = ItsTyper(7 << 13);
    const FLAT: u64 = 1 << 63 | 1 << 56 | 7 << 48 | BASE;

    fn memory() -> SparseMem {
        let mut memory = SparseMem::new();
        memory.write(PhysAddr::new(BASE), &[0; 0x4000]);
        memory
    }

    #[test]
    fn a_flat_table_has_the_valid_entries_of_the_devices_that_there_are() {
        let mut memory = memory();
        memory.write_u64(PhysAddr::new(BASE + 8 * 8), 0x11);
        memory.write_u64(PhysAddr::new(BASE + 9 * 8), 0x10);
        memory.write_u64(PhysAddr::new(BASE + 256 * 8), 0x11);
        let table = Table::read(&memory, Baser(FLAT), TYPER).unwrap();
        assert_eq!((table.kind, table.valid, table.fault), (TableKind::Devices, vec![(8, 0x11)], None));
        assert_eq!(table.first, Span::new(PhysAddr::new(BASE), 0x1000));
        assert_eq!(Table::read(&memory, Baser(FLAT & !(1 << 63)), TYPER), None);
    }

    #[test]
    fn a_two_level_table_leads_to_its_pages() {
        let mut memory = memory();
        let typer = ItsTyper(15 << 13);
        memory.write_u64(PhysAddr::new(BASE + 8), 1 << 63 | (BASE + 0x2000));
        memory.write_u64(PhysAddr::new(BASE + 0x2000 + 8), 0x21);
        let table = Table::read(&memory, Baser(FLAT | 1 << 62), typer).unwrap();
        assert_eq!(table.second, [Span::new(PhysAddr::new(BASE + 0x2000), 0x1000)]);
        assert_eq!(table.valid, [(513, 0x21)]);
        assert_eq!(table.memory().count(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let elsewhere = Baser(FLAT + 0x100_0000);
        let table = Table::read(&memory(), elsewhere, TYPER).unwrap();
        assert!(matches!(table.fault, Some(TableFault::Memory(_))));
        let wide = Table::read(&memory(), Baser(FLAT | 0x1f << 48), TYPER).unwrap();
        assert_eq!(wide.fault, Some(TableFault::EntrySize(32)));
        let other = Table::read(&memory(), Baser(FLAT & !(7 << 56) | 2 << 56), TYPER).unwrap();
        assert_eq!((other.kind, other.fault), (TableKind::Other(2), None));
    }

    /// Memory that is the same dword everywhere.
    struct Everywhere(u64);

    impl PhysMem for Everywhere {
        fn read(&self, _: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
            buf.iter_mut().zip(self.0.to_le_bytes().into_iter().cycle()).for_each(|(to, from)| *to = from);
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn whatever_stands_there_a_table_has_an_end(baser: u64, typer: u64, word: u64) {
            let baser = Baser(baser & !(7 << 56) | 1 << 63 | 1 << 56);
            let table = Table::read(&Everywhere(word), baser, ItsTyper(typer)).unwrap();
            prop_assert!(table.valid.len() <= MOST_VALID);
            prop_assert!(table.second.iter().map(|span| span.size).sum::<u64>() <= MOST);
        }
    }
}
