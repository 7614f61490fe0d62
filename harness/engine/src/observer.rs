//! Snapshots of one machine, each made with what the one before it taught.

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_machine::{Registers, Target};
use parallax_model::{CaptureCache, Context, Freedom, GicCache, Snapshot, Span, Told, capture};
use parallax_trace::spec::{HostView, SmmuFails};
use parallax_vmsa::PhysMem;

/// Makes snapshots of one machine.
#[derive(Debug)]
pub struct Observer {
    told: Told,
    context: Context,
    cache: CaptureCache,
    gic: GicCache,
}

impl Observer {
    /// For a machine that has booted.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            told: target.told,
            context: context(target),
            cache: CaptureCache::default(),
            gic: GicCache::default(),
        }
    }

    /// What the checks have to know of the machine.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The state that `registers` and `memory` describe.
    pub fn observe(&mut self, memory: &dyn PhysMem, registers: &Registers) -> Snapshot {
        let others = registers.others.iter().enumerate().filter(|(_, cpu)| cpu.below_el2);
        let others = others.map(|(index, cpu)| (index + 1, cpu.sys));
        let mut state =
            capture(&mut self.cache, memory, &registers.sys, others, registers.smmu.as_ref(), &self.told);
        let gic = registers.gic.as_ref();
        state.gic = gic.map(|raw| self.gic.capture(memory, raw, &mut state.faults));
        state
    }
}

/// What the checks have to know of a machine.
fn context(target: &Target) -> Context {
    let hyp = &target.description.config.hyp;
    let freedoms = target.told.freedoms;
    let named = |names: &'static [&str]| {
        let regions =
            target.description.regions.iter().filter(|region| names.contains(&region.name.as_str()));
        regions.map(|region| Span::new(region.base, region.size)).collect()
    };
    let tree = target.description.config.tree.as_ref().and_then(|tree| tree.tree().ok());
    Context {
        symbols: target.address_map(),
        memory: named(&["ram"]),
        smmu: hyp.smmu,
        mmio: hyp.mmio,
        sid_bits: hyp.sid_bits,
        emulated: hyp.smmu_host == HostView::Emulated,
        smmu_stage1: !target.description.config.second_stage_only,
        lpis: named(&["its", "gicr"]),
        masters: if freedoms.allow(Freedom::Masters) { Vec::new() } else { named(&["fwcfg", "virtio"]) },
        common: named(&["uart", "gicd"]),
        donated: hyp.donate_mmio.iter().map(|page| Span::new(PhysAddr::new(*page), PAGE_SIZE)).collect(),
        smmu_fails: target.description.config.smmu_fails != SmmuFails::Never,
        freedoms,
        loaded: tree.map_or_else(Vec::new, |tree| tree.loaded()),
    }
}
