//! From the plugin's records to the checker's events.
//!
//! Each record is at most one event. What the rules say nothing of is left out: stores to other memory than the page
//! pool, the image and the boot tables, devices other than the SMMU, registers that translation does not hang on.

use parallax_abi::journal::{Record, kind};
use parallax_addr::{PhysAddr, Span};
use parallax_gic::raw::{BASERS, gicr, gits};
use parallax_machine::symbols::{Image, Symbols};
use parallax_model::{LockForm, Told, Tree, TreeLock};
use parallax_protocol::{Barrier, DcOp, Dsb, GicRegister, Kind, Sysreg, TlbiOp};

/// Symbols around the tables that the hypervisor boots on.
const BOOT_TABLES: [&str; 2] = ["__boot_tables", "__boot_tables_end"];

/// Where registers of the GIC are: first byte and bytes of the ITS's and of all redistributors'; no bytes where there is
/// none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gic {
    pub(super) its: (u64, u64),
    pub(super) gicr: (u64, u64),
}

impl Gic {
    /// The one at `pa` that the rules are about, and the frame that it is in.
    fn register(&self, pa: u64) -> Option<(GicRegister, PhysAddr)> {
        let within = |(base, size): (u64, u64)| pa.checked_sub(base).filter(|offset| *offset < size);
        if let Some(offset) = within(self.its) {
            let basers = gits::BASER..gits::BASER + 8 * BASERS as u64;
            let register = match offset {
                gits::CBASER => GicRegister::GitsCbaser,
                gits::CWRITER => GicRegister::GitsCwriter,
                gits::CREADR => GicRegister::GitsCreadr,
                _ if basers.contains(&offset) => GicRegister::GitsBaser,
                _ => return None,
            };
            return Some((register, PhysAddr::new(self.its.0)));
        }
        // In whichever redistributor: with virtual LPIs each has twice the frames, and none of these offsets in them but that of
        // GICR_CTLR, where they have a reserved one.
        let offset = within(self.gicr)? % gicr::STRIDE;
        let register = match offset {
            gicr::CTLR => GicRegister::GicrCtlr,
            gicr::PROPBASER => GicRegister::GicrPropbaser,
            gicr::PENDBASER => GicRegister::GicrPendbaser,
            _ => return None,
        };
        Some((register, PhysAddr::new(pa - offset)))
    }
}

/// The image: where it is linked, where it lies, and its bytes.
#[derive(Clone, Copy, Debug)]
struct Linear {
    va: u64,
    pa: u64,
    size: u64,
}

/// Knows where the hypervisor's memory, its locks and the SMMU are.
#[derive(Debug)]
pub(super) struct Converter {
    memory: [(u64, u64); 2],
    image: Linear,
    /// The linear map: virtual address less physical.
    linear_offset: u64,
    smmu: (u64, u64),
    gic: Gic,
    /// The device tree that the host gets.
    tree: (u64, u64),
    locks: Vec<TreeLock>,
    /// Addresses of store-release instructions, in order.
    releases: Vec<u64>,
}

impl Converter {
    /// For a machine that has booted, of whose hypervisor `told` is known, with the `symbols` of its images. The host got its device tree
    /// at `tree`.
    pub(super) fn new(told: &Told, tree: (u64, u64), gic: Gic, symbols: Option<&Symbols>) -> Self {
        let image = symbols.map(|symbols| &symbols.hyp);
        let layout = &told.layout;
        let linear =
            Linear { va: layout.image_va.get(), pa: layout.image.base.get(), size: layout.image.size };
        let physical = |va: u64| va.wrapping_sub(linear.va).wrapping_add(linear.pa);
        let ends = |span: Span<PhysAddr>| (span.base.get(), span.end().get());
        let boot = BOOT_TABLES
            .map(|name| image.and_then(|image| image.symbol(name)).map_or(0, |va| physical(va.get())));
        Self {
            memory: [ends(layout.pool), (boot[0], boot[1])],
            image: linear,
            linear_offset: layout.linear_offset,
            smmu: (layout.smmu.base.get(), layout.smmu.size),
            gic,
            tree,
            locks: told.locks.into_iter().flatten().collect(),
            releases: image.map_or_else(Vec::new, releases),
        }
    }

    /// Physical address of the lock of `tree`.
    pub(super) fn lock(&self, tree: Tree) -> Option<u64> {
        self.locks.iter().find(|lock| lock.tree == tree).map(|lock| lock.at.get())
    }

    /// What `record` means.
    pub(super) fn event(&self, record: &Record) -> Option<Kind> {
        match record.kind {
            kind::STORE => self.store(record),
            kind::LOAD => Some(Kind::Load { pa: PhysAddr::new(record.b), value: record.value }),
            kind::MMIO_WRITE | kind::MMIO_READ => {
                if let Some((register, frame)) = self.gic.register(record.b) {
                    let value = record.value;
                    // A base by halves is not judged.
                    let whole = record.size == 8 || !register.is_base();
                    return match record.kind {
                        kind::MMIO_WRITE => whole.then_some(Kind::GicWrite { register, frame, value }),
                        _ => (!register.is_base()).then_some(Kind::GicRead { register, frame, value }),
                    };
                }
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
            kind::DC => self.dc(record),
            kind::SMC => {
                Some(Kind::Smc { function: record.a as u32, entry: record.b, context: record.value })
            }
            kind::BARRIER => Some(Kind::Barrier(barrier(record.a)?)),
            kind::MSR => Some(Kind::SysregWrite { reg: sysreg(record.a)?, value: record.value }),
            kind::MRS => Some(Kind::SysregRead { reg: syndrome(record.a)?, value: record.value }),
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
        if let Some(takes) = self.locks.iter().find_map(|lock| taken(lock, (pa, size, value))) {
            return Some(if takes { Kind::Lock { address: pa } } else { Kind::Unlock { address: pa } });
        }
        self.is_cleaned(pa).then_some(Kind::Touch { pa: PhysAddr::new(pa) })
    }

    /// Cache maintenance of what [`Kind::Touch`] tells of, by physical address.
    fn dc(&self, record: &Record) -> Option<Kind> {
        let Fields { op1, crm, op2, .. } = Fields::of(record.a);
        let (op, is_address) = match (op1, crm, op2) {
            (0, 6, 1) => (DcOp::Ivac, true),
            (0, 6, 2) => (DcOp::Isw, false),
            (0, 10, 2) => (DcOp::Csw, false),
            (0, 14, 2) => (DcOp::Cisw, false),
            (3, 10, 1) => (DcOp::Cvac, true),
            (3, 11, 1) => (DcOp::Cvau, true),
            (3, 12, 1) => (DcOp::Cvap, true),
            (3, 13, 1) => (DcOp::Cvadp, true),
            (3, 14, 1) => (DcOp::Civac, true),
            _ => return None,
        };
        let (va, image) = (record.value, self.image);
        let operand = match va.wrapping_sub(image.va) {
            _ if !is_address => va,
            offset if offset < image.size => image.pa + offset,
            // Without an MMU, or in the page that is mapped where it lies.
            _ => va.checked_sub(self.linear_offset).unwrap_or(va),
        };
        (!is_address || self.is_cleaned(operand)).then_some(Kind::Dc { op, operand })
    }

    /// The hypervisor's own memory, and the host's device tree: what may have to be cleaned.
    fn is_cleaned(&self, pa: u64) -> bool {
        let image = (self.image.pa, self.image.pa.saturating_add(self.image.size));
        self.memory.iter().chain([&image, &self.tree]).any(|(from, to)| (*from..*to).contains(&pa))
    }
}

/// Whether the store of `size` bytes of `value` at `pa` takes `lock` or gives it back; nothing if it is of other memory. A ticket is drawn for a
/// lock that nobody has, as one CPU runs at a time.
fn taken(lock: &TreeLock, (pa, size, value): (u64, u8, u64)) -> Option<bool> {
    if lock.at.get() != pa {
        return None;
    }
    match (lock.form, size) {
        (LockForm::Byte, 1) => Some(value != 0),
        // Where nothing is drawn the lock is made.
        (LockForm::Ticket, 4) => (value >> 16 & 0xffff != value & 0xffff).then_some(true),
        (LockForm::Ticket, 2) => Some(false),
        _ => None,
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

/// The register that tells of an exception and that an MRS of EL2 reads (DDI 0487, D24.2).
fn syndrome(word: u64) -> Option<Sysreg> {
    let Fields { op1, crn, crm, op2 } = Fields::of(word);
    match (op1, crn, crm, op2) {
        (4, 5, 2, 0) => Some(Sysreg::EsrEl2),
        (4, 6, 0, 0) => Some(Sysreg::FarEl2),
        (4, 6, 0, 4) => Some(Sysreg::HpfarEl2),
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
            image: Linear { va: 0xa000_0000_0000, pa: 0x4020_0000, size: 0x1_0000 },
            linear_offset: 0x8000_0000_0000,
            smmu: (0x0905_0000, 0x2_0000),
            gic: Gic { its: (0x0808_0000, 0x2_0000), gicr: (0x080a_0000, 0x10_0000) },
            tree: (0x4880_0000, 0x4881_0000),
            locks: vec![
                TreeLock { tree: Tree::Host, at: PhysAddr::new(0x4020_5000), form: LockForm::Byte },
                TreeLock { tree: Tree::El2, at: PhysAddr::new(0x4020_6000), form: LockForm::Ticket },
            ],
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
        let hpfar = Kind::SysregRead { reg: Sysreg::HpfarEl2, value: 9 };
        assert_eq!(of(kind::MRS, 0xd53c_6080, 0, 9, 0), Some(hpfar), "mrs x0, hpfar_el2");
    }

    #[test]
    fn a_byte_stored_to_a_lock_takes_it_or_gives_it_back() {
        let address = 0x4020_5000;
        assert_eq!(of(kind::STORE, 0, address, 1, 1), Some(Kind::Lock { address }));
        assert_eq!(of(kind::STORE, 0, address, 0, 1), Some(Kind::Unlock { address }));
        let touched = Kind::Touch { pa: PhysAddr::new(address) };
        assert_eq!(of(kind::STORE, 0, address, 0, 8), Some(touched));
    }

    #[test]
    fn a_ticket_is_drawn_by_a_word_and_given_on_by_half_of_it() {
        let address = 0x4020_6000;
        assert_eq!(of(kind::STORE, 0, address, 0x8_0007, 4), Some(Kind::Lock { address }));
        assert_eq!(of(kind::STORE, 0, address, 8, 2), Some(Kind::Unlock { address }));
        let touched = Kind::Touch { pa: PhysAddr::new(address) };
        assert_eq!(of(kind::STORE, 0, address, 0, 4), Some(touched), "it is made");
    }

    #[test]
    fn cache_maintenance_is_told_by_physical_address() {
        // dc cvac, x0; dc ivac, x0; dc isw, x0
        let dc = |word, value| of(kind::DC, word, 0, value, 0);
        let clean = |operand| Some(Kind::Dc { op: DcOp::Cvac, operand });
        assert_eq!(dc(0xd50b_7a20, 0xa000_0000_1040), clean(0x4020_1040), "the image");
        assert_eq!(dc(0xd50b_7a20, 0x8000_0000_0000 + POOL), clean(POOL), "the linear map");
        assert_eq!(dc(0xd508_7620, 0x4020_0000), Some(Kind::Dc { op: DcOp::Ivac, operand: 0x4020_0000 }));
        assert_eq!(dc(0xd508_7640, 6), Some(Kind::Dc { op: DcOp::Isw, operand: 6 }));
        assert_eq!(dc(0xd50b_7a20, 0x8000_4880_0040), clean(0x4880_0040), "the host's device tree");
        assert_eq!(dc(0xd50b_7a20, 0x8000_4800_0000), None, "the host's");
    }

    #[test]
    fn stores_count_in_the_pool_and_registers_of_the_smmu() {
        let store = Kind::Store { pa: PhysAddr::new(POOL + 8), value: 3, size: 8, release: true };
        assert_eq!(of(kind::STORE, 0, POOL + 8, 3, 8), Some(store));
        assert_eq!(of(kind::STORE, 0, POOL + 0x1000, 3, 8), None);
        let write = Kind::SmmuWrite { offset: 0x98, size: 4, value: 2 };
        assert_eq!(of(kind::MMIO_WRITE, 0, 0x0905_0098, 2, 4), Some(write));
        assert_eq!(
            of(kind::STORE, 0, 0x4880_0000, 3, 8),
            Some(Kind::Touch { pa: PhysAddr::new(0x4880_0000) })
        );
        assert_eq!(of(kind::MMIO_READ, 0, 0x0900_0018, 2, 4), None, "the console");
    }

    #[test]
    fn registers_of_the_gic_are_told_with_their_frame() {
        let at = |register, frame| (register, PhysAddr::new(frame));
        let write = |(register, frame)| Some(Kind::GicWrite { register, frame, value: 7 });
        let read = |(register, frame)| Some(Kind::GicRead { register, frame, value: 7 });
        let written = |pa, size| of(kind::MMIO_WRITE, 0, pa, 7, size);
        assert_eq!(written(0x0808_0138, 8), write(at(GicRegister::GitsBaser, 0x0808_0000)));
        assert_eq!(written(0x0808_0138, 4), None, "half a base");
        assert_eq!(written(0x0808_0088, 4), write(at(GicRegister::GitsCwriter, 0x0808_0000)));
        assert_eq!(written(0x080c_0078, 8), write(at(GicRegister::GicrPendbaser, 0x080c_0000)));
        assert_eq!(written(0x080c_0000, 4), write(at(GicRegister::GicrCtlr, 0x080c_0000)));
        assert_eq!(written(0x080d_0000, 4), None, "SGI_base");
        assert_eq!(of(kind::MMIO_READ, 0, 0x0808_0090, 7, 4), read(at(GicRegister::GitsCreadr, 0x0808_0000)));
        assert_eq!(of(kind::MMIO_READ, 0, 0x080c_0078, 7, 8), None, "what a base was");
    }
}
