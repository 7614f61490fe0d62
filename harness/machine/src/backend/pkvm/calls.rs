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

    /// The id that calls `name`, if there is such a call.
    pub(super) fn id(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}
