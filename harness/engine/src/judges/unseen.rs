//! Whether the hypervisor's memory changes by stores of EL2 and by nothing else.
//!
//! A copy of image and pool follows the plugin's journal and is compared with memory now and then: a store of the host, of a
//! device or of any other master that came past every table shows itself there, whatever it went through.
//!
//! Not compared are EL2's stacks, as what is stored by SP is in no journal, and what a master writes because the hypervisor
//! has it do so: the SMMU's event queue and the tables of the ITS.

use parallax_abi::journal::{Record, kind};
use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_model::{Context, Finding, Rule, Snapshot, Space, Violation};
use parallax_ops::{Operation, Order, ReachKind};
use parallax_vmsa::PhysMem;

use crate::judge::Performed;

/// After so many operations memory is compared, when one of them touches data: then the machine stands still in
/// every mode.
const EVERY: usize = 64;
/// The same of operations that are looked at together.
const EVERY_TOGETHER: usize = 512;
/// Most changes that are told at a time.
const MOST: usize = 16;

/// The copy.
#[derive(Debug)]
pub(crate) struct Unseen {
    copies: Vec<Copy>,
    /// EL2's stacks, in order of address.
    stacks: Vec<Span<PhysAddr>>,
    /// Registers of the SMMU.
    smmu: Span<PhysAddr>,
    /// Operations since memory was compared.
    since: usize,
    /// Whether it is compared after the next operations, whatever they are.
    closely: bool,
}

#[derive(Debug)]
struct Copy {
    base: u64,
    bytes: Vec<u8>,
}

impl Copy {
    fn take(span: Span<PhysAddr>, memory: &dyn PhysMem) -> Option<Self> {
        let mut bytes = vec![0; usize::try_from(span.size).ok()?];
        memory.read(span.base, &mut bytes).ok()?;
        Some(Self { base: span.base.get(), bytes })
    }

    /// Its bytes from `pa` on, if it has `len` of them.
    fn at(&mut self, pa: u64, len: usize) -> Option<&mut [u8]> {
        let offset = usize::try_from(pa.checked_sub(self.base)?).ok()?;
        self.bytes.get_mut(offset..offset.checked_add(len)?)
    }
}

impl Unseen {
    /// Begins with the machine as it stands in `state`; nothing if its memory cannot be read.
    pub(crate) fn new(state: &Snapshot, memory: &dyn PhysMem) -> Option<Self> {
        let layout = &state.layout;
        let copies = [layout.image, layout.pool].map(|span| Copy::take(span, memory));
        let copies = copies.into_iter().collect::<Option<Vec<_>>>()?;
        let of_image = layout.image.base.get().wrapping_sub(layout.image_va.get());
        let known = [of_image, 0, layout.linear_offset.wrapping_neg()];
        let stacks = state.el2().iter().filter_map(|run| {
            let leaf = run.value.leaf().filter(|leaf| leaf.write && !known.contains(&leaf.offset))?;
            Some(leaf.outputs(run.span()))
        });
        let mut stacks: Vec<_> = stacks.collect();
        stacks.sort_unstable();
        Some(Self { copies, stacks, smmu: layout.smmu, since: 0, closely: false })
    }

    /// Memory is compared after the next operations.
    pub(crate) const fn look_closely(&mut self) {
        self.closely = true;
    }

    /// So many operations were performed that are no reason to compare memory.
    pub(crate) const fn count(&mut self, operations: usize) {
        self.since = self.since.saturating_add(operations);
    }

    /// Whether [`Self::look_closely`] was asked for since memory was compared.
    pub(crate) const fn is_asked_for(&self) -> bool {
        self.closely
    }

    /// Does what `records` tell of.
    pub(crate) fn apply(&mut self, records: &[Record]) {
        for record in records.iter().filter(|record| record.kind == kind::STORE) {
            let value = record.value.to_le_bytes();
            let value = &value[..usize::from(record.size).min(value.len())];
            let place = self.copies.iter_mut().find_map(|copy| copy.at(record.b, value.len()));
            if let Some(place) = place {
                place.copy_from_slice(value);
            }
        }
    }

    /// Whether memory is to be compared after `performed`, of which `records` tell, the machine standing still.
    pub(crate) fn is_due(
        &mut self,
        performed: &[Performed<'_>],
        order: Order,
        records: &[Record],
        context: &Context,
    ) -> bool {
        self.count(performed.len());
        let due = match order {
            Order::InTurn => performed.iter().any(|one| {
                one.operation.is_device()
                    || self.reaches_a_device(one.operation, records, context)
                    || self.since >= EVERY && one.operation.data().is_some()
            }),
            Order::Together | Order::AtOnce => self.since >= EVERY_TOGETHER,
        };
        due || self.closely
    }

    /// Whether `operation` writes a register of a device, which may write memory then; where EL2 performs the host's accesses, whether
    /// it wrote one.
    fn reaches_a_device(&self, operation: &Operation, records: &[Record], context: &Context) -> bool {
        let Some(reach) = operation.footprint().reach else { return false };
        let is_performed = |page: PhysAddr| {
            context.emulated && self.smmu.contains(page)
                || context.lpis.iter().any(|span| span.contains(page))
        };
        let written = |page| match is_performed(page) {
            true => records.iter().any(|record| record.kind == kind::MMIO_WRITE),
            false => reach.kind == ReachKind::Write,
        };
        context.pieces(reach.span).any(|(piece, memory)| !memory && written(piece.base.identity()))
    }

    /// What has changed although no store of EL2 did it. It is taken over, and told once.
    pub(crate) fn compare(
        &mut self,
        state: &Snapshot,
        context: &Context,
        memory: &dyn PhysMem,
    ) -> Vec<Finding> {
        (self.since, self.closely) = (0, false);
        let allowed = written_by_masters(state);
        let mut changed: Vec<Span<PhysAddr>> = Vec::new();
        let mut now = [0; PAGE_SIZE as usize];
        for copy in &mut self.copies {
            for (page, known) in (copy.base..).step_by(now.len()).zip(copy.bytes.chunks_exact_mut(now.len()))
            {
                let page = PhysAddr::new(page);
                let is_same = memory.holds(page, known);
                if is_same.unwrap_or(true) || memory.read(page, &mut now).is_err() {
                    continue;
                }
                let stack = self.stacks.iter().any(|span| span.contains(page));
                if !stack && let Some(span) = difference(page, known, &now, &allowed) {
                    match changed.last_mut() {
                        Some(last) if last.end() == span.base => last.size += span.size,
                        _ => changed.push(span),
                    }
                }
                known.copy_from_slice(&now);
            }
        }
        let violation = |span: Span<PhysAddr>| Violation {
            rule: Rule::SentinelUnseen,
            space: Space::Page,
            span: span.cast(),
            subject: context.symbols.span(span),
            message: "memory of the hypervisor changed, and no store of EL2 did it".to_owned(),
            function: None,
        };
        let changed = changed.into_iter().take(MOST).map(violation);
        changed.map(|violation| violation.in_state(state, context)).collect()
    }
}

/// What masters write in the hypervisor's memory by its will, in `state`. No table that translates is among it.
fn written_by_masters(state: &Snapshot) -> Vec<Span<PhysAddr>> {
    const RECORD: u64 = 32;
    let events = state.smmu.iter().filter(|smmu| smmu.control.evtq_enabled).map(|smmu| {
        let queue = smmu.control.evtq;
        Span::new(queue.base, RECORD << u32::from(queue.log2size).min(19))
    });
    let spans = events
        .chain(state.gic.iter().flat_map(|gic| gic.written()))
        .filter(|span| !state.tables.iter().any(|table| table.span().overlaps(*span)));
    spans.collect()
}

/// From the first to the last dword of the page at `page` that is another one now and is not `allowed` to be.
fn difference(
    page: PhysAddr,
    known: &[u8],
    now: &[u8],
    allowed: &[Span<PhysAddr>],
) -> Option<Span<PhysAddr>> {
    let words = |bytes: &[u8]| bytes.as_chunks::<8>().0.to_vec();
    let places = (page.get()..).step_by(8).map(PhysAddr::new);
    let both = places.zip(words(known).into_iter().zip(words(now)));
    let mut wrong = both
        .filter(|(at, (old, new))| old != new && !allowed.iter().any(|span| span.contains(*at)))
        .map(|(at, _)| at);
    let first = wrong.next()?;
    let last = wrong.last().unwrap_or(first);
    Some(Span::between(first, last.wrapping_add(8)))
}

#[cfg(test)]
mod tests {
    use parallax_abi::info::HypInfo;
    use parallax_addr::AddressMap;
    use parallax_model::{CaptureCache, MmioPolicy, SmmuMode, Told, capture};
    use parallax_ops::Answer;
    use parallax_trace::Trace;
    use parallax_vmsa::{SparseMem, SysRegs};

    use super::*;

    const IMAGE: u64 = 0x4020_0000;
    const POOL: u64 = 0x4040_0000;

    fn machine() -> (Snapshot, Context, SparseMem) {
        let mut memory = SparseMem::new();
        memory.write(PhysAddr::new(IMAGE), &[1; 0x2000]);
        memory.write(PhysAddr::new(POOL), &[2; 0x3000]);
        let info = HypInfo {
            image_pa: IMAGE,
            image_size: 0x2000,
            pool_pa: POOL,
            pool_size: 0x3000,
            smmu_pa: 0x905_0000,
            smmu_size: 0x2_0000,
            ..HypInfo::default()
        };
        let state = capture(
            &mut CaptureCache::default(),
            &memory,
            &SysRegs::default(),
            std::iter::empty(),
            None,
            &Told::from(&info),
        );
        let context = Context {
            symbols: AddressMap::default(),
            memory: vec![Span::new(PhysAddr::new(0x4000_0000), 0x1000_0000)],
            smmu: SmmuMode::Off,
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
            freedoms: parallax_model::Freedoms::default(),
        };
        (state, context, memory)
    }

    fn store(pa: u64, size: u8, value: u64) -> Record {
        Record { kind: kind::STORE, b: pa, size, value, ..Record::default() }
    }

    fn spans(findings: &[Finding]) -> Vec<(u64, u64)> {
        findings.iter().map(|finding| (finding.span.base, finding.span.size)).collect()
    }

    #[test]
    fn what_el2_stored_is_as_it_must_be_and_all_else_is_found_once() {
        let (state, context, mut memory) = machine();
        let mut unseen = Unseen::new(&state, &memory).unwrap();
        memory.write_u64(PhysAddr::new(POOL + 0x1008), 7);
        unseen.apply(&[store(POOL + 0x1008, 8, 7), store(POOL + 0x9000, 8, 7), store(u64::MAX, 8, 7)]);
        assert_eq!(spans(&unseen.compare(&state, &context, &memory)), []);
        memory.write(PhysAddr::new(IMAGE + 0x1ffe), &[9]);
        memory.write(PhysAddr::new(POOL + 0xff8), &[9; 0x10]);
        let found = unseen.compare(&state, &context, &memory);
        assert_eq!(spans(&found), [(IMAGE + 0x1ff8, 8), (POOL + 0xff8, 0x10)]);
        assert_eq!(spans(&unseen.compare(&state, &context, &memory)), []);
    }

    #[test]
    fn a_store_that_did_not_get_there_is_found_too() {
        let (state, context, memory) = machine();
        let mut unseen = Unseen::new(&state, &memory).unwrap();
        unseen.apply(&[store(POOL + 4, 4, 0xffff_ffff)]);
        assert_eq!(spans(&unseen.compare(&state, &context, &memory)), [(POOL, 8)]);
    }

    #[test]
    fn stacks_and_what_a_master_is_to_write_are_left_out() {
        let (state, context, mut memory) = machine();
        let mut unseen = Unseen::new(&state, &memory).unwrap();
        unseen.stacks = vec![Span::new(PhysAddr::new(IMAGE + 0x1000), 0x1000)];
        memory.write(PhysAddr::new(IMAGE + 0x1000), &[9; 8]);
        assert_eq!(spans(&unseen.compare(&state, &context, &memory)), []);
        let allowed = [Span::new(PhysAddr::new(POOL + 8), 8)];
        let page = PhysAddr::new(POOL);
        assert_eq!(difference(page, &[0; 32], &[1; 16], &allowed), Some(Span::new(page, 8)));
        assert_eq!(
            difference(page, &[0; 16], &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], &allowed),
            None
        );
    }

    #[test]
    fn memory_is_compared_when_a_master_was_used_and_now_and_then() {
        let (state, mut context, memory) = machine();
        context.emulated = true;
        context.lpis = vec![Span::new(PhysAddr::new(0x80a_0000), 0x2_0000)];
        let mut unseen = Unseen::new(&state, &memory).unwrap();
        let mut after = |text: &str, records: &[Record], order| {
            let op = &Trace::parse("t", text).unwrap().ops[0];
            let operation = &op.operation(&AddressMap::default()).unwrap();
            let answer = &Answer::of(operation, &parallax_abi::mailbox::Response::default());
            let due = unseen.is_due(&[Performed { op, operation, answer }], order, records, &context);
            if due {
                unseen.compare(&state, &context, &memory);
            }
            due
        };
        let register = [Record { kind: kind::MMIO_WRITE, ..Record::default() }];
        assert!(after("host_write ipa=0x9050020 value=1", &register, Order::InTurn));
        assert!(!after("host_write ipa=0x9050020 value=1", &[], Order::InTurn));
        assert!(after("host_read ipa=0x80a0088", &register, Order::InTurn));
        assert!(!after("host_read ipa=0x80a0088", &[], Order::InTurn));
        assert!(!after("host_share_hyp pfn=0x46000", &register, Order::InTurn));
        let mut due = |text: &str, order| after(text, &[], order);
        let memory_access = "host_write ipa=0x46000000 value=1";
        assert!(!due("host_read ipa=0x9020010", Order::InTurn));
        assert!(due("host_write ipa=0x9020010 value=1", Order::InTurn));
        assert!(due("dma_read sid=8 ipa=0x46000000", Order::InTurn));
        for _ in 0..EVERY {
            assert!(!due("host_share_hyp pfn=0x46000", Order::InTurn));
        }
        assert!(due(memory_access, Order::InTurn));
        assert!(!due(memory_access, Order::InTurn));
        for _ in 0..EVERY_TOGETHER - 2 {
            assert!(!due(memory_access, Order::Together));
        }
        assert!(due(memory_access, Order::Together));
        unseen.look_closely();
        assert!(unseen.is_asked_for());
    }
}
