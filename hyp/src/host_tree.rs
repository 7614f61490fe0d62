//! The device tree that the host gets: the loader's, changed where it lies.
//!
//! It loses what writes memory past the SMMU, the SMMU when the hypervisor keeps that to itself, and the module that was
//! the host's own image; it gains the host's command line and the hypervisor's memory as reserved (`no-map`: the host
//! must not even have a cacheable mapping of it).

use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::regions::{Kind, Range, Regions};
use hyp_fdt::{Editor, FdtError, Node};

use crate::boot::fatal;
use crate::console::log;

/// Removes what writes memory past the SMMU: where it is, as [`Kind::Kept`] of the addresses below `2^ipa_bits`. The host must
/// not have it.
pub(crate) fn take_masters(tree: &mut Editor<'_>, ipa_bits: u32) -> Result<Regions, FdtError> {
    let mut kept = Regions::new(ipa_bits);
    tree.take_masters(|frame| {
        let base = PhysAddr(frame.base).align_down(PAGE_SIZE);
        let end = (frame.base + frame.size).next_multiple_of(PAGE_SIZE);
        log!("{}: no SMMU holds it, {base}..{end:#014x} is kept from the host", frame.name);
        let range = Range { base, size: end - base.0 };
        kept.set(range, Kind::Kept).unwrap_or_else(fatal("device tree"));
    })?;
    Ok(kept)
}

/// Changes the tree. `kept` is the hypervisor's image and its page pool; `hide_smmu` says that the host must not see an SMMUv3.
pub(crate) fn prepare(tree: &mut Editor<'_>, kept: [Range; 2], hide_smmu: bool) -> Result<(), FdtError> {
    if hide_smmu {
        tree.hide_smmu()?;
    }
    let root = tree.root()?;
    if let Some(chosen) = tree.child(root, "chosen")? {
        host_chosen(tree, chosen)?;
    }
    let [image, pool] = kept.map(|range| (range.base.0, range.size));
    tree.reserve("hypervisor", image)?;
    tree.reserve("hypervisor-pool", pool)
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
