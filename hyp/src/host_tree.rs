//! The device tree that the host gets: the loader's, changed where it lies.
//!
//! It loses what writes memory past the SMMU, the SMMU when the hypervisor keeps that to itself, and the module that was
//! the host's own image; it gains the host's command line and the hypervisor's memory as reserved (`no-map`: the host
//! must not even have a cacheable mapping of it).

use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::regions::{Kind, Range, Regions};
use hyp_fdt::{Editor, FdtError, Node};

use crate::boot_tables::linear_ptr;
use crate::console::log;
use crate::platform::Platform;

/// Removes what writes memory past the SMMU from the tree at `dtb`: where it is, as [`Kind::Kept`] of the addresses below
/// `2^ipa_bits`. The host must not have it.
///
/// # Safety
/// The boot tables are on, only this CPU runs, and nothing refers to the tree at `dtb`, which `platform::open` looked at.
pub(crate) unsafe fn take_masters(dtb: Range, ipa_bits: u32) -> Result<Regions, FdtError> {
    let mut kept = Regions::new(ipa_bits);
    // SAFETY: this function's contract is that of `tree`.
    unsafe { tree(dtb) }?.take_masters(|frame| {
        let base = PhysAddr(frame.base).align_down(PAGE_SIZE);
        let end = frame.base.checked_add(frame.size).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
        let end = end.unwrap_or_else(|| panic!("device tree: {} has a bad reg", frame.name));
        log!("{}: no SMMU holds it, {base}..{end:#014x} is kept from the host", frame.name);
        let range = Range { base, size: end - base.0 };
        kept.set(range, Kind::Kept).unwrap_or_else(|error| panic!("{error}"));
    })?;
    Ok(kept)
}

/// The tree at `dtb`, to be changed.
///
/// # Safety
/// As for [`take_masters`], for as long as the editor lives.
unsafe fn tree(dtb: Range) -> Result<Editor<'static>, FdtError> {
    let start = linear_ptr(dtb.base).cast_mut();
    // SAFETY: `platform::open` mapped the tree, writable, and checked its size; nobody else refers to it (this
    // function's contract).
    Editor::new(unsafe { core::slice::from_raw_parts_mut(start, dtb.size as usize) })
}

/// Changes the tree. `kept` is the hypervisor's memory; `hide_smmu` says that the host must not see an SMMUv3.
///
/// # Safety
/// The boot tables are on, only this CPU runs, and nothing refers to the tree any more.
pub(crate) unsafe fn prepare(platform: &Platform, kept: Range, hide_smmu: bool) -> Result<(), FdtError> {
    // SAFETY: this function's contract is that of `tree`.
    let mut tree = unsafe { tree(platform.dtb) }?;
    if hide_smmu {
        remove_smmu(&mut tree)?;
    }
    let root = tree.root()?;
    if let Some(chosen) = tree.child(root, "chosen")? {
        host_chosen(&mut tree, chosen)?;
    }
    reserve(&mut tree, kept)
}

/// Removes the SMMU and what refers to it: then its masters are plain devices to the host.
fn remove_smmu(tree: &mut Editor<'_>) -> Result<(), FdtError> {
    let root = tree.root()?;
    if let Some(smmu) = tree.compatible_child(root, "arm,smmu-v3")? {
        tree.remove(smmu)?;
    }
    if let Some(pcie) = tree.compatible_child(root, "pci-host-ecam-generic")? {
        tree.remove_property(pcie, "iommu-map")?;
    }
    Ok(())
}

/// /chosen as the host's loader would have made it: the module's command line, if there is one, is the host's.
fn host_chosen(tree: &mut Editor<'_>, chosen: Node) -> Result<(), FdtError> {
    let Some(module) = tree.compatible_child(chosen, "multiboot,module")? else { return Ok(()) };
    tree.copy_property(module, chosen, "bootargs")?;
    let root = tree.root()?;
    let chosen = tree.child(root, "chosen")?;
    let module =
        chosen.map(|chosen| tree.compatible_child(chosen, "multiboot,module")).transpose()?.flatten();
    module.map_or(Ok(()), |module| tree.remove(module))
}

/// Adds `kept` to /reserved-memory.
fn reserve(tree: &mut Editor<'_>, kept: Range) -> Result<(), FdtError> {
    let root = tree.root()?;
    let parent = match tree.child(root, "reserved-memory")? {
        Some(parent) => parent,
        None => {
            let parent = tree.add_child(root, "reserved-memory")?;
            tree.add_cells(parent, "ranges", &[])?;
            tree.add_cells(parent, "#size-cells", &[2])?;
            tree.add_cells(parent, "#address-cells", &[2])?;
            parent
        }
    };
    let node = tree.add_child(parent, "hypervisor")?;
    tree.add_cells(node, "no-map", &[])?;
    let (base, size) = (kept.base.0, kept.size);
    tree.add_cells(node, "reg", &[(base >> 32) as u32, base as u32, (size >> 32) as u32, size as u32])
}
