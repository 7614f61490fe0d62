//! Who an operation acts for, which pages it names, and what it reaches.

use parallax_abi::operation::Kind;
use parallax_addr::{Ipa, PAGE_SIZE, Pfn, Span, StreamId};

use crate::operation::{Call, CpuAccess, DmaAccess, Operation};

/// Who reaches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The host's CPUs.
    Cpu,
    /// The device with this StreamID.
    Device(StreamId),
}

/// How memory is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachKind {
    /// A load, or a read of a device or a table walk.
    Read,
    /// A store or an atomic.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What translation has to let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How.
    pub kind: ReachKind,
    /// Where: IPAs, in bytes.
    pub span: Span<Ipa>,
}

/// What an operation has to do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Who acts.
    pub agent: Agent,
    /// The whole pages that are named: IPAs, in bytes. None if it names no page that can be.
    pub pages: Option<Span<Ipa>>,
    /// What is reached, where that can be judged by one look at the tables; none for calls.
    pub reach: Option<Reach>,
}

impl Operation {
    /// Who acts, which pages are named and what is reached.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let reach = self.reach();
        let named = self.call().and_then(pages_of_call).or(reach.map(|reach| reach.span)).or(match *self {
            Self::Access(CpuAccess::Race { ipa, .. } | CpuAccess::Probe { ipa, .. }) => {
                Some(Span::new(ipa, 1))
            }
            _ => None,
        });
        // Something that ends beyond 64 bits names what there is of it.
        let named = named.map(|span| Span::new(span.base, span.size.max(1)));
        let agent = match *self {
            Self::Dma(DmaAccess::Read { sid, .. } | DmaAccess::Write { sid, .. }) => Agent::Device(sid),
            _ => Agent::Cpu,
        };
        let fits = |reach: &Reach| reach.span.base.checked_add(reach.span.size).is_some();
        Footprint { agent, pages: named.and_then(Span::whole_pages), reach: reach.filter(fits) }
    }

    fn reach(&self) -> Option<Reach> {
        let of = |kind, ipa: Ipa, size| Some(Reach { kind, span: Span::new(ipa, size) });
        match *self {
            Self::Access(access) => match access {
                CpuAccess::Read { ipa, size, .. } => of(ReachKind::Read, ipa, size),
                CpuAccess::Write { ipa, size, .. } => of(ReachKind::Write, ipa, size),
                CpuAccess::Execute { ipa } => of(ReachKind::Execute, ipa, 4),
                CpuAccess::ReadPair { ipa } => of(ReachKind::Read, ipa, 16),
                CpuAccess::WritePair { ipa, .. } => of(ReachKind::Write, ipa, 16),
                CpuAccess::WriteEntry { ipa, .. } => of(ReachKind::Write, ipa, 32),
                CpuAccess::Walk { ipa } => of(ReachKind::Read, ipa.page(), PAGE_SIZE),
                CpuAccess::Swap { ipa, .. } | CpuAccess::Atomic { ipa } => of(ReachKind::Write, ipa, 8),
                CpuAccess::Race { .. } | CpuAccess::Probe { .. } => None,
            },
            Self::Dma(DmaAccess::Read { ipa, len, .. }) => of(ReachKind::Read, ipa, len),
            Self::Dma(DmaAccess::Write { ipa, len, .. }) => of(ReachKind::Write, ipa, len),
            _ => None,
        }
    }
}

/// The pages that a hypercall names: from its page frame on, as many as it counts.
fn pages_of_call(call: Call) -> Option<Span<Ipa>> {
    let (row, values) = call.arguments()?;
    let of =
        |kind| row.params.iter().zip(&values).find(|(param, _)| param.kind == kind).map(|(_, value)| *value);
    let (pfn, nr) = (Pfn::new(of(Kind::Frame)?), of(Kind::Count).unwrap_or(1));
    Some(Span::new(pfn.ipa()?, nr.max(1).saturating_mul(PAGE_SIZE)))
}

#[cfg(test)]
mod tests {
    use parallax_abi::hypercall;

    use super::*;
    use crate::operation::row;

    fn footprint(word: &str, args: &[u64]) -> Footprint {
        Operation::new(row(word).unwrap(), args).unwrap().footprint()
    }

    fn named(word: &str, args: &[u64]) -> Option<(u64, u64)> {
        footprint(word, args).pages.map(|span| (span.base.get(), span.end().get()))
    }

    #[test]
    fn operations_name_their_pages() {
        assert_eq!(named("host_share_hyp", &[0x40010]), Some((0x4001_0000, 0x4001_1000)));
        assert_eq!(named("host_donate_hyp", &[0x40010, 2]), Some((0x4001_0000, 0x4001_2000)));
        let any = [hypercall::HOST_DONATE_HYP, 0x40010, 2, 0, 0, 0, 0];
        assert_eq!(named("hypercall", &any), Some((0x4001_0000, 0x4001_2000)));
        assert_eq!(named("dma_write", &[8, 0x4000_0ff8, 16, 1]), Some((0x4000_0000, 0x4000_2000)));
        assert_eq!(named("host_read", &[0x4000_0008, 8, 0]), Some((0x4000_0000, 0x4000_1000)));
        assert_eq!(named("host_swap", &[0x4000_0008, 8]), Some((0x4000_0000, 0x4000_1000)));
        assert_eq!(named("host_write_entry", &[0x4000_0fe0, 1, 2, 3, 4]), Some((0x4000_0000, 0x4000_1000)));
        assert_eq!(named("host_race", &[0x4000_0008, 1, 2, 3, 4, 5]), Some((0x4000_0000, 0x4000_1000)));
    }

    #[test]
    fn what_names_no_page_that_can_be_is_about_none() {
        assert_eq!(named("hypercall", &[u64::MAX, 0x40010, 2, 0, 0, 0, 0]), None);
        assert_eq!(named("host_share_hyp", &[u64::MAX]), None);
        assert_eq!(named("smc", &[1, 2, 3, 0, 0, 0, 0]), None);
        assert_eq!(named("nop", &[]), None);
        assert_eq!(named("host_donate_hyp", &[0x40010, u64::MAX]).unwrap().0, 0x4001_0000);
    }

    #[test]
    fn devices_and_cpus_are_told_apart() {
        let cpu = footprint("host_write", &[0x1000, 4, 7, 0]);
        assert_eq!(cpu.agent, Agent::Cpu);
        assert_eq!(cpu.reach, Some(Reach { kind: ReachKind::Write, span: Span::new(Ipa::new(0x1000), 4) }));
        let device = footprint("dma_read", &[8, 0x2000, 16]);
        assert_eq!(device.agent, Agent::Device(StreamId::new(8)));
        assert_eq!(
            device.reach,
            Some(Reach { kind: ReachKind::Read, span: Span::new(Ipa::new(0x2000), 16) })
        );
    }

    #[test]
    fn a_walk_reads_its_page_and_what_leaves_64_bits_reaches_nothing() {
        let walk = footprint("host_walk", &[0x1008]).reach.unwrap();
        assert_eq!((walk.kind, walk.span), (ReachKind::Read, Span::new(Ipa::new(0x1000), 0x1000)));
        assert_eq!(footprint("host_read", &[u64::MAX, 8, 0]).reach, None);
        assert_eq!(footprint("host_share_hyp", &[0x40010]).reach, None);
    }
}
