//! Where EL2 keeps its virtual machines, from the kernel's symbols and types.

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_model::{GuestTable, Member};
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::btf::Btf;
use super::kernel::{Kernel, not_found};
use crate::error::MachineError;

/// The call by which the host lends a page to a virtual machine. Without it the stage 2 of one that is not protected is the host
/// kernel's own, and what EL2 keeps of it is not what it runs with.
const LENDS: &str = "handle___pkvm_host_share_guest";
/// EL2's pointer to the array of its virtual machines.
const TABLE: &str = "vm_table";
/// What it keeps of one.
const MACHINE: &str = "pkvm_hyp_vm";
/// Members of that which lead to what is wanted.
const HANDLE: &[&str] = &["kvm", "arch", "pkvm", "handle"];
const VMID: &[&str] = &["kvm", "arch", "mmu", "vmid", "id", "counter"];
const ROOT: &[&str] = &["kvm", "arch", "mmu", "pgd_phys"];
const VTCR: &[&str] = &["kvm", "arch", "mmu", "vtcr"];

/// The array; none where EL2 has not the stage 2 of what would be in it. EL2 has physical addresses at `linear_offset`.
pub(super) fn table(
    kernel: &Kernel,
    btf: &Btf<'_>,
    memory: &dyn PhysMem,
    linear_offset: u64,
) -> Result<Option<GuestTable>, MachineError> {
    if kernel.el2_symbol(LENDS).is_err() {
        return Ok(None);
    }
    let member = |path: &[&str]| -> Result<Member, MachineError> {
        btf.place(MACHINE, path).ok_or_else(|| not_found(&format!("{MACHINE}.{} in BTF", path.join("."))))
    };
    let va = read_u64(memory, kernel.el2_place(TABLE)?)?;
    let pa = PhysAddr::new(va.wrapping_sub(linear_offset));
    if va == 0 || !va.is_multiple_of(8) || read_u64(memory, pa).is_err() {
        return Err(not_found(&format!("EL2's array of virtual machines ({TABLE}), which is at {va:#x}")));
    }
    // It has pages of its own: what is behind its entries in the first is 0.
    let nr = (PAGE_SIZE - pa.get() % PAGE_SIZE) / 8;
    let (handle, vmid) = (member(HANDLE)?, member(VMID)?);
    Ok(Some(GuestTable { pa, nr, handle, vmid, root: member(ROOT)?, vtcr: member(VTCR)? }))
}
