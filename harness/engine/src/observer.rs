//! Snapshots of one machine, each taken with what the one before it taught.

use parallax_abi::info::HypInfo;
use parallax_machine::{Description, Registers};
use parallax_model::{Context, Snapshot, TakeCache, take};
use parallax_vmsa::PhysMem;

use super::access;

/// Takes snapshots of one machine.
#[derive(Debug)]
pub struct Observer {
    info: HypInfo,
    context: Context,
    cache: TakeCache,
}

impl Observer {
    /// For a machine that has booted.
    #[must_use]
    pub fn new(description: &Description, info: HypInfo) -> Self {
        Self { info, context: access::context(description, &info), cache: TakeCache::default() }
    }

    /// What the checks have to know of the machine.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The state that `registers` and `memory` describe.
    pub fn observe(&mut self, memory: &dyn PhysMem, registers: &Registers) -> Snapshot {
        take(&mut self.cache, memory, &registers.sys, registers.smmu.as_ref(), &self.info)
    }
}
