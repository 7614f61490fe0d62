//! From the plugin's records to the checker's events.
//!
//! Each record is at most one event. What the rules say nothing of is left out: stores to other memory than the page
//! pool and the boot tables, devices other than the SMMU, registers that translation does not hang on.

use parallax_abi::info::HypInfo;
use parallax_abi::journal::{Record, kind};
use parallax_addr::PhysAddr;
use parallax_machine::symbols::{Image, SymbolError, Symbols};
use parallax_protocol::{Barrier, Dsb, Kind, Sysreg, TlbiOp};

/// Symbols around the tables that the hypervisor boots on.
const BOOT_TABLES: [&str; 2] = ["__boot_tables", "__boot_tables_end"];
/// The variable that holds the hypervisor's locks.
const HYP: &str = "HYP";
/// Its locks that protect trees.
const LOCKS: [&str; 3] = ["host", "el2", "smmu"];

/// Knows where the hypervisor's memory, its locks and the SMMU are.
#[derive(Debug)]
pub(super) struct Converter {
    memory: [(u64, u64); 2],
    smmu: (u64, u64),
    /// Name and physical address.
    locks: Vec<(String, u64)>,
    /// Addresses of store-release instructions, in order.
    releases: Vec<u64>,
}

impl Converter {
    /// For a machine that has booted, with the `symbols` of its images.
    ///
    /// # Errors
    /// The image does not tell where its locks are.
    pub(super) fn new(info: &HypInfo, symbols: Option<&Symbols>) -> Result<Self, SymbolError> {
        let image = symbols.map(|symbols| &symbols.hyp);
        let physical = |va: u64| va.wrapping_sub(info.image_va).wrapping_add(info.image_pa);
        let boot = BOOT_TABLES
            .map(|name| image.and_then(|image| image.symbol(name)).map_or(0, |va| physical(va.get())));
        let locks = image.map(|image| image.locks(HYP, &LOCKS)).transpose()?.unwrap_or_default();
        Ok(Self {
            memory: [(info.pool_pa, info.pool_pa.saturating_add(info.pool_size)), (boot[0], boot[1])],
            smmu: (info.smmu_pa, info.smmu_size),
            locks: locks.into_iter().map(|lock| (lock.name, physical(lock.address.get()))).collect(),
            releases: image.map_or_else(Vec::new, releases),
        })
    }

    /// Physical address of the lock called `name`.
    pub(super) fn lock(&self, name: &str) -> Option<u64> {
        self.locks.iter().find(|(known, _)| known == name).map(|(_, pa)| *pa)
    }

    /// What `record` means.
    pub(super) fn event(&self, record: &Record) -> Option<Kind> {
        match record.kind {
            kind::STORE => self.store(record),
            kind::LOAD => Some(Kind::Load { pa: PhysAddr::new(record.b), value: record.value }),
            kind::MMIO_WRITE | kind::MMIO_READ => {
                let (base, size) = self.smmu;
                let offset = record.b.checked_sub(base).filter(|offset| *offset < size)?;
                let (offset, size, value) = (u32::try_from(offset).ok()?, record.size, record.value);
                Some(match record.kind {
                    kind::MMIO_WRITE => Kind::SmmuWrite { offset, size, value },
                    _ => Kind::SmmuRead { offset, size, value },
                })
            }
            kind::TLBI => {
                let Fields { op1, crm, op2, .. } = Fields::of(record.a);
                Some(Kind::Tlbi { op: TlbiOp::from_encoding(op1, crm, op2)?, operand: record.value })
            }
            kind::BARRIER => Some(Kind::Barrier(barrier(record.a)?)),
            kind::MSR => Some(Kind::SysregWrite { reg: sysreg(record.a)?, value: record.value }),
            kind::ERET => Some(Kind::Return),
            kind::VECTOR => Some(Kind::Enter),
            _ => None,
        }
    }

    fn store(&self, record: &Record) -> Option<Kind> {
        let (pa, value, size) = (record.b, record.value, record.size);
        if self.memory.iter().any(|(from, to)| (*from..*to).contains(&pa)) {
            let release = self.releases.binary_search(&record.pc).is_ok();
            return Some(Kind::Store { pa: PhysAddr::new(pa), value, size, release });
        }
        let lock = size == 1 && self.locks.iter().any(|(_, lock)| *lock == pa);
        lock.then_some(if value == 0 { Kind::Unlock { address: pa } } else { Kind::Lock { address: pa } })
    }
}

/// Where the store-release instructions of an image are (DDI 0487, C6.2: STLR, STLRB, STLRH).
fn releases(image: &Image) -> Vec<u64> {
    let words = image.code().flat_map(|(base, bytes)| (base.get()..).step_by(4).zip(bytes.as_chunks().0));
    let is_release = |word: &[u8; 4]| u32::from_le_bytes(*word) & 0x3fff_fc00 == 0x089f_fc00;
    let mut found: Vec<u64> = words.filter(|(_, word)| is_release(word)).map(|(pc, _)| pc).collect();
    found.sort_unstable();
    found
}

/// Fields of an instruction of the system class (DDI 0487, C4.1.94).
struct Fields {
    op1: u8,
    crn: u8,
    crm: u8,
    op2: u8,
}

impl Fields {
    fn of(word: u64) -> Self {
        let field = |shift: u32, mask: u64| (word >> shift & mask) as u8;
        Self { op1: field(16, 7), crn: field(12, 15), crm: field(8, 15), op2: field(5, 7) }
    }
}

fn barrier(word: u64) -> Option<Barrier> {
    let Fields { crm, op2, .. } = Fields::of(word);
    match op2 {
        0b100 => Some(Barrier::Dsb(Dsb::from_crm(crm))),
        0b101 => Some(Barrier::Dmb(Dsb::from_crm(crm))),
        0b110 => Some(Barrier::Isb),
        _ => None,
    }
}

/// The register that an MSR of EL2 writes (DDI 0487, D24.2).
fn sysreg(word: u64) -> Option<Sysreg> {
    let Fields { op1, crn, crm, op2 } = Fields::of(word);
    match (op1, crn, crm, op2) {
        (4, 1, 0, 0) => Some(Sysreg::SctlrEl2),
        (4, 1, 1, 0) => Some(Sysreg::HcrEl2),
        (4, 2, 0, 0) => Some(Sysreg::Ttbr0El2),
        (4, 2, 0, 2) => Some(Sysreg::TcrEl2),
        (4, 2, 1, 0) => Some(Sysreg::VttbrEl2),
        (4, 2, 1, 2) => Some(Sysreg::VtcrEl2),
        (4, 10, 2, 0) => Some(Sysreg::MairEl2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: u64 = 0x4040_0000;

    fn converter() -> Converter {
        Converter {
            memory: [(POOL, POOL + 0x1000), (0, 0)],
            smmu: (0x0905_0000, 0x2_0000),
            locks: vec![("host".to_owned(), 0x4020_5000)],
            releases: vec![0xa000_0000_0010],
        }
    }

    fn of(kind: u8, a: u64, b: u64, value: u64, size: u8) -> Option<Kind> {
        let record = Record { kind, pc: 0xa000_0000_0010, a, b, value, size, ..Record::default() };
        converter().event(&record)
    }

    #[test]
    fn instructions_are_told_by_their_words() {
        let tlbi = |word| of(kind::TLBI, word, 0, 0x4_0000, 0);
        let ipas2e1is = TlbiOp::from_name("ipas2e1is").unwrap();
        assert_eq!(tlbi(0xd50c_8020), Some(Kind::Tlbi { op: ipas2e1is, operand: 0x4_0000 }));
        let barrier = |word| of(kind::BARRIER, word, 0, 0, 0);
        assert_eq!(barrier(0xd503_3a9f), Some(Kind::Barrier(Barrier::Dsb(Dsb::Ishst))));
        assert_eq!(barrier(0xd503_3fbf), Some(Kind::Barrier(Barrier::Dmb(Dsb::Sy))));
        assert_eq!(barrier(0xd503_3fdf), Some(Kind::Barrier(Barrier::Isb)));
        let vttbr = Kind::SysregWrite { reg: Sysreg::VttbrEl2, value: POOL };
        assert_eq!(of(kind::MSR, 0xd51c_2100, 0, POOL, 0), Some(vttbr));
        assert_eq!(of(kind::MSR, 0xd51c_c000, 0, 0, 0), None, "VBAR_EL2");
    }

    #[test]
    fn a_byte_stored_to_a_lock_takes_it_or_gives_it_back() {
        let address = 0x4020_5000;
        assert_eq!(of(kind::STORE, 0, address, 1, 1), Some(Kind::Lock { address }));
        assert_eq!(of(kind::STORE, 0, address, 0, 1), Some(Kind::Unlock { address }));
        assert_eq!(of(kind::STORE, 0, address, 0, 8), None);
    }

    #[test]
    fn stores_count_in_the_pool_and_registers_of_the_smmu() {
        let store = Kind::Store { pa: PhysAddr::new(POOL + 8), value: 3, size: 8, release: true };
        assert_eq!(of(kind::STORE, 0, POOL + 8, 3, 8), Some(store));
        assert_eq!(of(kind::STORE, 0, POOL + 0x1000, 3, 8), None);
        let write = Kind::SmmuWrite { offset: 0x98, size: 4, value: 2 };
        assert_eq!(of(kind::MMIO_WRITE, 0, 0x0905_0098, 2, 4), Some(write));
        assert_eq!(of(kind::MMIO_READ, 0, 0x0900_0018, 2, 4), None, "the console");
    }
}
