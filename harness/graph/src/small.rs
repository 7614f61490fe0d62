//! A machine of a few pages, small enough that all its states can be visited.

use std::fmt;

use parallax_addr::{PAGE_SIZE, Pfn, PhysAddr, Span, StreamId};
use parallax_ops::{Call, CpuAccess, DmaAccess, Operation};

use parallax_spec::Page;
use parallax_spec::View;

/// The pages that a small machine has, and how far it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Pages of memory, ascending; pages that follow each other make ranges.
    pub memory: Vec<Pfn>,
    /// Pages of MMIO that the host has.
    pub mmio: Vec<Pfn>,
    /// Devices that reach memory.
    pub streams: Vec<StreamId>,
    /// Most pins of a page.
    pub pins: u16,
}

/// How many frames the host's address space has: 48 bits.
const FRAMES: u64 = 1 << 36;

/// A state: what each page of memory of the scope is. All else is the host's MMIO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Small(pub Vec<Page>);

impl Scope {
    /// The state at boot.
    #[must_use]
    pub fn start(&self) -> Small {
        Small(vec![Page::Host; self.memory.len()])
    }

    /// Every operation that names pages of the scope, in a fixed order: each call on each page and on each range of two and
    /// more, and on ranges that its arguments cannot name. A range across a border of memory is not among them.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        // First of all, so that what the host has used is mapped when it goes.
        for ipa in self.memory.iter().filter_map(|pfn| pfn.ipa()) {
            let (size, value, len) = (8, 0x5a5a_5a5a_5a5a_5a5a, 8);
            all.push(Operation::Access(CpuAccess::Read { ipa, size, normal: 0 }));
            all.push(Operation::Access(CpuAccess::Write { ipa, size, value, normal: 0 }));
            for sid in self.streams.iter().copied() {
                all.push(Operation::Dma(DmaAccess::Read { sid, ipa, len }));
                all.push(Operation::Dma(DmaAccess::Write { sid, ipa, len, value }));
            }
        }
        let hyper = |call| Operation::Hypercall(call);
        for (pfn, nr) in self.ranges() {
            if nr == 1 {
                all.extend([hyper(Call::HostShareHyp { pfn }), hyper(Call::HostUnshareHyp { pfn })]);
            }
            all.extend([
                hyper(Call::HypPinSharedMem { pfn, nr }),
                hyper(Call::HypUnpinSharedMem { pfn, nr }),
                hyper(Call::HostDonateHyp { pfn, nr }),
                hyper(Call::HypDonateHost { pfn, nr }),
                hyper(Call::HostDonateHypMmio { pfn, nr }),
                hyper(Call::HypDonateHostMmio { pfn, nr }),
            ]);
        }
        all.push(Operation::AnyHypercall { id: 0xc600_ffff, x: [0; 6] });
        all
    }

    /// The ranges of the scope: single pages, MMIO too, runs of neighbours, an empty range, and two that are not in the address space.
    fn ranges(&self) -> Vec<(Pfn, u64)> {
        let mut ranges: Vec<(Pfn, u64)> = self.mmio.iter().map(|pfn| (*pfn, 1)).collect();
        for (index, first) in self.memory.iter().enumerate() {
            let run = self.memory[index..].iter().zip(first.get()..).take_while(|(pfn, at)| pfn.get() == *at);
            ranges.extend((1..=run.count() as u64).map(|nr| (*first, nr)));
        }
        ranges.extend(self.memory.first().map(|pfn| (*pfn, 0)));
        // Beyond the host's address space, and across its end.
        ranges.extend([(Pfn::new(FRAMES), 1), (Pfn::new(FRAMES - 1), 2)]);
        ranges
    }

    /// `state`, as the specification sees it.
    #[must_use]
    pub const fn view<'a>(&'a self, state: &'a Small) -> InScope<'a> {
        InScope { scope: self, state }
    }

    /// Whether `state` counts no further than the scope does.
    #[must_use]
    pub fn holds(&self, state: &Small) -> bool {
        state.0.iter().all(|page| !matches!(page, Page::Lent { pins, .. } if *pins > self.pins))
    }
}

/// A state of a scope.
#[derive(Clone, Copy)]
pub struct InScope<'a> {
    scope: &'a Scope,
    state: &'a Small,
}

impl View for InScope<'_> {
    fn frames(&self) -> u64 {
        FRAMES
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let known = |pa: PhysAddr| {
            let place = self.scope.memory.binary_search(&pa.pfn());
            place.map_or(Page::HostMmio, |place| self.state.0[place])
        };
        span.pages().map(|pa| (Span::new(pa, PAGE_SIZE), known(pa))).collect()
    }
}

impl fmt::Display for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, page) in self.0.iter().enumerate() {
            write!(f, "{}{page}", if index == 0 { "" } else { " | " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use parallax_spec::call::{CALLS, specified};

    /// It takes a record off a queue, and names no page.
    const NOT_PERFORMED: [&str; 1] = ["smmu_read_event"];

    #[test]
    fn every_call_that_is_specified_is_performed_by_an_exploration() {
        let scope = Scope {
            memory: vec![Pfn::new(0x46000)],
            mmio: vec![Pfn::new(0x9000)],
            streams: vec![StreamId::new(8)],
            pins: 1,
        };
        let named = |operation: Operation| Some(specified(operation.call()?)?.0.word);
        let performed: BTreeSet<&str> = scope.operations().into_iter().filter_map(named).collect();
        let missing = CALLS.iter().map(|call| call.word).filter(|word| !performed.contains(word));
        let missing: Vec<&str> = missing.filter(|word| !NOT_PERFORMED.contains(word)).collect();
        assert!(
            missing.is_empty(),
            "Scope::operations lacks {missing:?}: `parallax explore` does not perform them"
        );
    }
}
