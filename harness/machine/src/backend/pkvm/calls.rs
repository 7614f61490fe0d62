//! Numbers of hypercalls, read from EL2's own table of handlers.

use std::collections::BTreeMap;

use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::kernel::{Kernel, not_found};
use crate::error::MachineError;

/// The table.
const TABLE: &str = "host_hcall";
/// What the names of handlers begin with.
const HANDLER: &str = "handle_";
/// More entries are not believed.
const MOST: u64 = 128;
/// A fast call of 64 bits to the hypervisor's vendor: the number is in bits 15:0 (`KVM_HOST_SMCCC_ID`).
const FAST: u64 = 0xc600_0000;

/// Function ids by the name of what they call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// Reads the table. EL2's address of what the kernel has at `va` is `va` + `moved`.
    pub(super) fn read(kernel: &Kernel, memory: &dyn PhysMem, moved: u64) -> Result<Self, MachineError> {
        let at = kernel.el2_place(TABLE)?;
        let handlers: BTreeMap<u64, &str> =
            kernel.el2_symbols(HANDLER).map(|(name, va)| (va.wrapping_add(moved), name)).collect();
        let mut calls = BTreeMap::new();
        for number in 0..MOST {
            let entry = read_u64(memory, at.wrapping_add(8 * number))?;
            if let Some(name) = handlers.get(&entry) {
                calls.entry((*name).to_owned()).or_insert(FAST | number);
            } else if entry != 0 {
                break;
            }
        }
        if calls.is_empty() {
            return Err(not_found(&format!("handlers (`{HANDLER}*`) in the table {TABLE}")));
        }
        Ok(Self(calls))
    }

    /// All of them by name.
    pub(super) fn named(&self) -> Vec<(String, u64)> {
        self.0.iter().map(|(name, id)| (name.clone(), *id)).collect()
    }

    /// The id that calls `name`, if there is such a call.
    pub(super) fn id(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::PhysAddr;
    use parallax_vmsa::SparseMem;

    use super::*;

    const TEXT: &str = "ffff800080000000 T _text\nffff800080006000 d __kvm_nvhe_host_hcall\n\
        ffff800080001000 t __kvm_nvhe_handle___pkvm_host_share_hyp\n\
        ffff800080001100 t __kvm_nvhe_handle___kvm_vcpu_run\n  40200000-4020ffff : Kernel code\nend\n";
    /// What EL2's addresses have more than the kernel's.
    const MOVED: u64 = 0x1000_0000;

    fn read(entries: &[u64]) -> Result<Calls, MachineError> {
        let mut memory = SparseMem::new();
        let table = PhysAddr::new(0x4020_6000);
        memory.write_u64(table.wrapping_add(8 * MOST), 0);
        for (number, entry) in (0..).zip(entries) {
            memory.write_u64(table.wrapping_add(8 * number), *entry);
        }
        Calls::read(&Kernel::parse(TEXT.as_bytes()).unwrap(), &memory, MOVED)
    }

    #[test]
    fn a_number_is_the_place_in_the_table() {
        let [share, run] = [0x1000, 0x1100].map(|at| 0xffff_8000_8000_0000_u64 + at + MOVED);
        let calls = read(&[run, 0, share, 0x55, run]).unwrap();
        assert_eq!(calls.id("__pkvm_host_share_hyp"), Some(FAST | 2));
        assert_eq!((calls.id("__kvm_vcpu_run"), calls.id("__pkvm_host_donate_hyp")), (Some(FAST), None));
        // What is no handler ends the table.
        assert_eq!(read(&[run, 0x55, share]).unwrap().id("__pkvm_host_share_hyp"), None);
        assert!(read(&[0x55]).unwrap_err().to_string().contains("host_hcall"));
    }
}
