//! Where the hypervisor is and where it keeps its state, from the kernel's symbols and types and EL2's own tables.

use parallax_addr::{HypVa, Ipa, PAGE_SHIFT, PAGE_SIZE, PhysAddr, Span};
use parallax_model::{
    Field, Freedom, Freedoms, Layout, LockForm, OwnerForm, PageArray, PageFormat, Told, Tree, TreeLock,
};
use parallax_vmsa::mem::read_u64;
use parallax_vmsa::{PhysMem, Regime, SysRegs, translate};

use super::btf::{Btf, Structure};
use super::guests;
use super::kernel::{Kernel, not_found};
use crate::error::MachineError;

/// EL2's code: what runs under its identity map too, and the rest.
const IMAGE: [&str; 2] = ["__hyp_idmap_text_start", "__hyp_text_end"];
/// EL2's constants.
const CONSTANTS: [&str; 2] = ["__hyp_rodata_start", "__hyp_rodata_end"];
/// EL2's other sections in the kernel's image.
const SECTIONS: [[&str; 2]; 3] =
    [CONSTANTS, ["__hyp_bss_start", "__hyp_bss_end"], ["__hyp_data_start", "__hyp_data_end"]];
/// A page of EL2's constants, which is its own in every version.
const OWNED: &str = "__hyp_rodata_start";
/// What it does otherwise than ours by design.
const FREEDOMS: &[Freedom] = &[
    Freedom::E2h,
    Freedom::SetWay,
    Freedom::Masters,
    Freedom::MapsLoans,
    Freedom::MapsFirst,
    Freedom::ReadableCode,
    Freedom::FarFrame,
];
/// An entry of the host's stage 2 that gives a page to the hypervisor, by the form that it has.
const HYP_OWNS: [(u64, OwnerForm); 2] = [(2 << 60 | 1 << 1, OwnerForm::Typed), (1 << 2, OwnerForm::Plain)];

/// All that is known.
pub(super) fn told(
    kernel: &Kernel,
    btf: &Btf<'_>,
    memory: &dyn PhysMem,
    sys: &SysRegs,
) -> Result<Told, MachineError> {
    let el2 = regime("EL2's stage 1", Regime::el2_stage1(sys))?;
    let host = regime("the host's stage 2", Regime::stage2(sys))?;
    let number = |place: PhysAddr| read_u64(memory, place);
    // `hyp_physvirt_offset` is what a physical address has more than its address at EL2.
    let linear_offset = number(kernel.el2_place("hyp_physvirt_offset")?)?.wrapping_neg();
    let image = kernel.part(IMAGE).ok_or_else(|| not_found(&format!("symbols {IMAGE:?}")))?;
    let image = whole_pages(image);
    let mut parts = [Span::default(); 4];
    for (part, found) in parts.iter_mut().zip(SECTIONS.iter().filter_map(|names| kernel.part(*names))) {
        *part = whole_pages(found);
    }
    let pool = Span::new(
        PhysAddr::new(number(kernel.place("hyp_mem_base")?)?),
        number(kernel.place("hyp_mem_size")?)?,
    );
    if pool.is_empty() || !pool.base.get().is_multiple_of(PAGE_SIZE) {
        return Err(not_found("memory that was set aside for EL2 (hyp_mem_base)"));
    }
    let image_va = HypVa::new(image.base.get().wrapping_add(linear_offset));
    let known = translate(memory, &el2, image_va.into()).is_ok_and(|found| found.oa == image.base);
    if !known {
        let text = format!("EL2's code at {image_va:#x}, where hyp_physvirt_offset says that EL2 maps it");
        return Err(not_found(&text));
    }
    let owners = owners(memory, &host, kernel.place(OWNED)?.page())?;
    let structure =
        |name: &str| btf.structure(name).ok_or_else(|| not_found(&format!("struct {name} in BTF")));
    let memory_of_el2 = region(kernel, memory, &structure("memblock_region")?)?;
    let format = format(&structure("hyp_page")?)?;
    let array = number(kernel.el2_place("__hyp_vmemmap")?)?;
    let first_pfn = memory_of_el2.base.get() >> PAGE_SHIFT;
    let nr = memory_of_el2.size >> PAGE_SHIFT;
    let entry = |pfn: u64| {
        let va = HypVa::new(array.wrapping_add(pfn.wrapping_mul(format.size.into())));
        let found = translate(memory, &el2, va.into());
        found.map(|found| found.oa).map_err(|_| not_found("EL2's map of its page states (__hyp_vmemmap)"))
    };
    let (first, last) = (entry(first_pfn)?, entry(first_pfn + nr.saturating_sub(1))?);
    if last != first.wrapping_add(nr.saturating_sub(1).wrapping_mul(format.size.into())) {
        return Err(not_found("page states in one piece of physical memory"));
    }
    let layout = Layout {
        image,
        image_va,
        pool,
        parts,
        constants: kernel.part(CONSTANTS).map(whole_pages).unwrap_or_default(),
        linear_offset,
        described: memory_of_el2,
        ..Layout::default()
    };
    let pages = Some(PageArray { pa: first, first_pfn, nr, format });
    let lock = |tree, at| Some(TreeLock { tree, at, form: LockForm::Ticket });
    let of_host = structure("host_mmu")?.offset("lock").ok_or_else(|| not_found("host_mmu.lock in BTF"))?;
    let locks = [
        lock(Tree::Host, kernel.el2_place("host_mmu")?.wrapping_add(of_host)),
        lock(Tree::El2, kernel.el2_place("pkvm_pgd_lock")?),
        None,
    ];
    let guests = guests::table(kernel, btf, memory, linear_offset)?;
    Ok(Told {
        layout,
        pages,
        pools: None,
        owners,
        freedoms: Freedoms::new(FREEDOMS),
        locks,
        own_entries: [None; 8],
        guests,
    })
}

/// The entry of EL2's stage 1 by which a CPU, and no other, maps a page for a moment; none where it is not found. What the kernel has at
/// virtual address 0 of its per-CPU variables, EL2 has at `moved` for this CPU.
pub(super) fn own_entry(
    kernel: &Kernel,
    btf: &Btf<'_>,
    (memory, sys): (&dyn PhysMem, &SysRegs),
    moved: u64,
) -> Option<PhysAddr> {
    let el2 = Regime::el2_stage1(sys).ok()??;
    let number = |va: u64| {
        let place = translate(memory, &el2, HypVa::new(va).into()).ok()?.oa;
        read_u64(memory, place).ok()
    };
    let slot = kernel.el2_symbol("fixmap_slots").ok()?.wrapping_add(moved);
    let entry = number(slot.wrapping_add(btf.place("hyp_fixmap_slot", &["ptep"])?.offset))?;
    translate(memory, &el2, HypVa::new(entry).into()).ok().map(|found| found.oa)
}

fn regime<E: std::fmt::Display>(
    what: &str,
    regime: Result<Option<Regime>, E>,
) -> Result<Regime, MachineError> {
    let regime = regime.map_err(|error| MachineError::Foreign(format!("{what}: {error}")))?;
    regime.ok_or_else(|| {
        not_found(&format!("{what} switched on (is the kernel protected, with kvm-arm.mode=protected?)"))
    })
}

fn whole_pages(span: Span<PhysAddr>) -> Span<PhysAddr> {
    span.whole_pages().unwrap_or(span)
}

/// The form in which the entry of a page of EL2's own, at `page`, names its owner.
fn owners(memory: &dyn PhysMem, host: &Regime, page: PhysAddr) -> Result<OwnerForm, MachineError> {
    let entry = match translate(memory, host, Ipa::new(page.get()).into()) {
        Ok(found) => found.desc,
        Err(fault) => fault.desc,
    };
    let known = HYP_OWNS.iter().find(|(raw, _)| *raw == entry).map(|(_, form)| *form);
    known.ok_or_else(|| {
        not_found(&format!("an owner in the host's entry of EL2's own page {page:#x}, which is {entry:#x}"))
    })
}

/// The one region of memory that EL2 knows of.
fn region(kernel: &Kernel, memory: &dyn PhysMem, form: &Structure) -> Result<Span<PhysAddr>, MachineError> {
    let count = read_u64(memory, kernel.el2_place("hyp_memblock_nr")?)? & u64::from(u32::MAX);
    if count != 1 {
        return Err(not_found(&format!("one region of memory in hyp_memory: there are {count}")));
    }
    let at = kernel.el2_place("hyp_memory")?;
    let member = |name: &str| {
        let offset = form.offset(name).ok_or_else(|| not_found(&format!("memblock_region.{name} in BTF")))?;
        Ok::<_, MachineError>(read_u64(memory, at.wrapping_add(offset))?)
    };
    let span = Span::new(PhysAddr::new(member("base")?), member("size")?);
    let fits = span.base.checked_add(span.size).is_some() && span.size >= PAGE_SIZE;
    if fits { Ok(span) } else { Err(not_found("a region of memory in hyp_memory")) }
}

/// What an entry of `hyp_vmemmap` looks like. Kernels before 6.14 keep no state in it, those before 6.16 only the host's.
fn format(page: &Structure) -> Result<PageFormat, MachineError> {
    let first = |names: &[&str]| names.iter().find_map(|name| page.field(name));
    let low = |field: Field| Field { bits: field.bits.min(2), ..field };
    let size = u8::try_from(page.size).ok().filter(|size| matches!(size, 1 | 2 | 4 | 8));
    Ok(PageFormat {
        size: size.ok_or_else(|| not_found(&format!("hyp_page of 1 to 8 bytes: it has {}", page.size)))?,
        host: first(&["__host_state", "host_state"]).map(low),
        hyp_inverted: first(&["__hyp_state_comp"]).map(low),
        refcount: first(&["refcount"]).ok_or_else(|| not_found("hyp_page.refcount in BTF"))?,
        share_count: first(&["host_share_guest_count"]),
    })
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
