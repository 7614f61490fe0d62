//! What is read of a kernel's memory and types, told and made up.

use parallax_addr::PhysAddr;
use parallax_hostile::{cases, changed};
use parallax_vmsa::{MemError, SparseMem};
use proptest::prelude::*;

use super::*;
use crate::backend::pkvm::calls::Calls;
use crate::backend::pkvm::code::Code;

/// A kernel at 1 GiB + 2 MiB of which `_text` is at the first page of the upper half.
const TEXT: &str = "release 7.3.4\ncpus 2\n\
    ffff800080000000 T _text\nffff800080010000 D _etext\n\
    ffff800080001000 t __kvm_nvhe___hyp_idmap_text_start\nffff800080003000 t __hyp_text_end\n\
    ffff800080001000 t __hyp_idmap_text_start\nffff800080004000 t __hyp_rodata_start\n\
    ffff800080005000 t __hyp_rodata_end\nffff800080005100 b __kvm_nvhe_hyp_physvirt_offset\n\
    ffff800080005108 b hyp_mem_base\nffff800080005110 b hyp_mem_size\n\
    ffff800080005118 b __kvm_nvhe___hyp_vmemmap\nffff800080005120 b __kvm_nvhe_hyp_memblock_nr\n\
    ffff800080005200 b __kvm_nvhe_hyp_memory\nffff800080006000 d __kvm_nvhe_host_hcall\n\
    ffff800080001100 t __kvm_nvhe_handle___pkvm_host_share_hyp\n\
    40000000-7fffffff : System RAM\n  40200000-4020ffff : Kernel code\nend\n";

fn kernel() -> Kernel {
    Kernel::parse(TEXT.as_bytes()).unwrap()
}

fn structure(size: u64, members: &[(&str, u64, u64)]) -> Structure {
    let members = members.iter().map(|(name, bit, bits)| ((*name).to_owned(), *bit, *bits)).collect();
    Structure { size, members }
}

fn blocks() -> Structure {
    structure(24, &[("base", 0, 64), ("size", 64, 64)])
}

/// Memory of `numbers` at their places.
fn memory(numbers: &[(u64, u64)]) -> SparseMem {
    let mut memory = SparseMem::new();
    for (at, number) in numbers {
        memory.write_u64(PhysAddr::new(*at), *number);
    }
    memory
}

const NR: u64 = 0x4020_5120;
const BLOCKS: u64 = 0x4020_5200;

#[test]
fn page_states_stand_where_the_version_keeps_them() {
    let field = |shift, bits| Some(Field { shift, bits });
    // 6.12, 6.15 and 6.16.
    let none = format(&structure(4, &[("refcount", 0, 16), ("order", 16, 8)])).unwrap();
    assert_eq!((none.size, none.host, none.hyp_inverted), (4, None, None));
    let host = format(&structure(4, &[("refcount", 0, 16), ("host_state", 24, 8)])).unwrap();
    assert_eq!((host.host, host.hyp_inverted), (field(24, 2), None));
    let members = [("refcount", 0, 16), ("__host_state", 24, 4), ("__hyp_state_comp", 28, 4)];
    let both = format(&structure(8, &members)).unwrap();
    assert_eq!((both.host, both.hyp_inverted), (field(24, 2), field(28, 2)));
    for size in [0, 3, 16, u64::MAX] {
        assert!(format(&structure(size, &members)).unwrap_err().to_string().contains("hyp_page"));
    }
    assert!(format(&structure(4, &[])).unwrap_err().to_string().contains("refcount"));
}

#[test]
fn one_region_of_memory_is_known_and_others_are_refused() {
    let of = |count, base, size| {
        let memory = memory(&[(NR, count), (BLOCKS, base), (BLOCKS + 8, size)]);
        region(&kernel(), &memory, &blocks()).map_err(|error| error.to_string())
    };
    let ram = Span::new(PhysAddr::new(0x4000_0000), 1 << 30);
    assert_eq!(of(1, 0x4000_0000, 1 << 30), Ok(ram));
    // What stands behind the 32 bits of the counter is another variable.
    assert_eq!(of(7 << 32 | 1, 0x4000_0000, 1 << 30), Ok(ram));
    assert!(of(2, 0x4000_0000, 1 << 30).unwrap_err().contains("there are 2"));
    for (base, size) in [(u64::MAX, 1 << 30), (0x4000_0000, 0), (0x4000_0000, u64::MAX)] {
        assert!(of(1, base, size).is_err());
    }
    let error = region(&kernel(), &memory(&[(NR, 1), (BLOCKS, 0)]), &structure(8, &[])).unwrap_err();
    assert!(error.to_string().contains("memblock_region.base"), "{error}");
}

#[test]
fn an_owner_in_no_known_form_is_refused_with_what_stands_there() {
    // One table of level 1 at 1 GiB, whose entries are of 1 GiB each.
    let sys = SysRegs { hcr_el2: 1, vtcr_el2: 25 | 1 << 6, vttbr_el2: 0x4000_0000, ..SysRegs::default() };
    let host = regime("stage 2", Regime::stage2(&sys)).unwrap();
    let of = |raw| owners(&memory(&[(0x4000_0008, raw)]), &host, PhysAddr::new(0x4000_1000));
    assert_eq!(of(1 << 2).unwrap(), OwnerForm::Plain);
    assert_eq!(of(2 << 60 | 1 << 1).unwrap(), OwnerForm::Typed);
    assert!(of(0x40).unwrap_err().to_string().contains("0x40"));
    assert!(regime("stage 2", Regime::stage2(&SysRegs::default())).is_err());
}

/// The same bytes over and over, everywhere.
struct Everywhere(Vec<u8>);

impl PhysMem for Everywhere {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let from = pa.get() as usize % self.0.len().max(1);
        let bytes = self.0.iter().cycle().skip(from);
        buf.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        Ok(())
    }
}

/// Bytes that are numbers of all kinds.
fn page() -> Vec<u8> {
    let numbers = [0_u64, 1, 0x4000_0403, 0x4020_1000, 1 << 60 | 2, u64::MAX, 0xd400_0002_f940_03e4, 4 << 10];
    (0..64).flat_map(|at| numbers[at * 7 % numbers.len()].to_le_bytes()).collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_memory_and_no_registers_end_in_a_panic(
        text in changed(vec![TEXT.as_bytes().to_vec()]),
        bytes in changed(vec![page()]),
        regs in prop::array::uniform7(any::<u64>()),
        (size, bit, bits) in any::<(u64, u64, u64)>(),
    ) {
        let memory = Everywhere(bytes);
        let [vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2] = regs;
        let wild = SysRegs {
            vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2, control: None,
        };
        let tame = SysRegs { hcr_el2: 1, vtcr_el2: 25 | 1 << 6, tcr_el2: 25, sctlr_el2: 1, ..wild };
        let page = structure(size, &[("refcount", bit, bits), ("host_state", bits, bit)]);
        let _ = format(&page);
        let kernels = [Kernel::parse(&text).ok(), Some(kernel())];
        for kernel in kernels.into_iter().flatten() {
            let _ = region(&kernel, &memory, &blocks());
            let _ = Calls::read(&kernel, &memory, vttbr_el2);
            let _ = Code::find(&kernel, &memory, Span::default());
            if let Some(btf) = Btf::find(&crate::backend::pkvm::btf::tests::image()) {
                let _ = (told(&kernel, &btf, &memory, &wild), told(&kernel, &btf, &memory, &tame));
            }
        }
    }
}
