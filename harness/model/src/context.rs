//! What a check must know beside the snapshot: the machine and the options it was booted with.

use parallax_addr::{AddressMap, Named, PhysAddr, Span};
use parallax_trace::spec::{MmioPolicy, SmmuMode};
use parallax_trace::tree::Loaded;

use crate::freedom::Freedoms;
use crate::smmu_state::SmmuState;
use crate::snapshot::Snapshot;

/// The machine and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Names of addresses.
    pub symbols: AddressMap,
    /// Memory (RAM), by physical address, ascending. Everything else is MMIO.
    pub memory: Vec<Span<PhysAddr>>,
    /// How the SMMU is used.
    pub smmu: SmmuMode,
    /// Memory type of MMIO for the SMMU.
    pub mmio: MmioPolicy,
    /// Streams `0..2^sid_bits` are served.
    pub sid_bits: u8,
    /// The host has an emulated SMMU of its own: it decides which streams abort, have a stage 1 or none, and where
    /// the event queue lies.
    pub emulated: bool,
    /// The hardware's SMMU has a stage 1, which such a host may use.
    pub smmu_stage1: bool,
    /// Registers of the ITS and the redistributors. Where the host's table gives them to the hypervisor, it performs the
    /// host's accesses to them.
    pub lpis: Vec<Span<PhysAddr>>,
    /// Registers of masters that no SMMU holds and that the hypervisor does not use: nobody may.
    pub masters: Vec<Span<PhysAddr>>,
    /// Registers that EL2 and the host both use: the console's, and the GIC distributor's, in which EL2 makes an interrupt pending.
    pub common: Vec<Span<PhysAddr>>,
    /// Registers that the boot option `donate_mmio=` takes from the host, whatever its device tree says.
    pub donated: Vec<Span<PhysAddr>>,
    /// The machine's SMMU stops performing commands: whoever uses it has to close it.
    pub smmu_fails: bool,
    /// What the hypervisor may do otherwise than ours.
    pub freedoms: Freedoms,
    /// Memory that the machine's device tree gives a purpose, where it has one of its own.
    pub loaded: Vec<Loaded>,
}

impl Context {
    /// The SMMU that the hypervisor uses. One that it leaves to the host is the host's business.
    #[must_use]
    pub fn used_smmu<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a SmmuState> {
        snapshot.smmu.as_ref().filter(|_| self.smmu != SmmuMode::Off)
    }

    /// Cuts `span` at the borders of memory: each piece and whether it is memory.
    pub fn pieces<A: Named>(&self, span: Span<A>) -> impl Iterator<Item = (Span<A>, bool)> {
        let mut at = span.base;
        let mut parts = self.memory.iter().filter_map(move |memory| memory.cast().intersect(span)).peekable();
        std::iter::from_fn(move || match parts.next_if(|part| part.base <= at) {
            Some(part) => {
                at = part.end();
                Some((part, true))
            }
            None => {
                let gap = Span::between(at, parts.peek().map_or(span.end(), |part| part.base));
                at = gap.end();
                (!gap.is_empty()).then_some((gap, false))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_cut_at_the_borders_of_memory() {
        let span = |base, end| Span::between(PhysAddr::new(base), PhysAddr::new(end));
        let context = Context {
            symbols: AddressMap::default(),
            memory: vec![span(0x4000, 0x8000)],
            smmu: SmmuMode::Shadow,
            mmio: MmioPolicy::Region,
            sid_bits: 8,
            emulated: false,
            smmu_stage1: true,
            lpis: Vec::new(),
            masters: Vec::new(),
            common: Vec::new(),
            loaded: Vec::new(),
            donated: Vec::new(),
            smmu_fails: false,
            freedoms: crate::Freedoms::default(),
        };
        assert_eq!(
            context.pieces(span(0x1000, 0xa000)).collect::<Vec<_>>(),
            [(span(0x1000, 0x4000), false), (span(0x4000, 0x8000), true), (span(0x8000, 0xa000), false)]
        );
        assert_eq!(context.pieces(span(0x5000, 0x6000)).collect::<Vec<_>>(), [(span(0x5000, 0x6000), true)]);
    }
}
