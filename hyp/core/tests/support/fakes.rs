//! Memory, the CPUs' TLB and the SMMU's TLB.

use hyp_core::addr::{HypVa, Ipa, PhysAddr};
use hyp_core::hw::{Cpu, Memory};
use hyp_core::smmu::{Event, SmmuTlb};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{RAM, RAM_SIZE, Root};

/// Cached translations: base and size of each entry.
type Tlb = Vec<(u64, u64)>;

fn drop_entries(tlb: &mut Tlb, ia: u64, size: u64) {
    tlb.retain(|(base, span)| base + span <= ia || ia + size <= *base);
}

/// Something that happened, in the order in which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write(u64, u64),
    DsbIshst,
    DsbIsh,
    Isb,
    TlbiIpas2e1is(u64),
    TlbiVmalle1is,
    TlbiVmalls12e1is,
}

#[derive(Debug)]
struct State {
    ram: RefCell<Vec<u64>>,
    tlb: RefCell<Tlb>,
    /// Stage-2 entries dropped by address count as dropped only after the stage-1 invalidation that must follow.
    half_dropped: RefCell<Vec<u64>>,
    steps: RefCell<Vec<Step>>,
    watch: Cell<Option<(Root, u64)>>,
}

/// The fake hardware.
#[derive(Clone, Debug)]
pub(crate) struct Hw(Rc<State>);

/// Where the u64 at `pa` is in the memory; outside of it is nothing that the code under test may touch.
fn index(pa: PhysAddr) -> usize {
    assert!(pa.is_aligned(8) && (RAM..RAM + RAM_SIZE).contains(&pa.0), "access to {pa}");
    (pa.0 - RAM) as usize / 8
}

impl Hw {
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            ram: RefCell::new(vec![0; RAM_SIZE as usize / 8]),
            tlb: RefCell::default(),
            half_dropped: RefCell::default(),
            steps: RefCell::default(),
            watch: Cell::default(),
        }))
    }

    /// Caches an entry.
    pub(crate) fn warm(&self, base: u64, size: u64) {
        self.0.tlb.borrow_mut().push((base, size));
    }

    pub(crate) fn tlb(&self) -> Tlb {
        self.0.tlb.borrow().clone()
    }

    /// What happened since the last call.
    pub(crate) fn record(&self) -> Vec<Step> {
        self.0.steps.take()
    }

    fn note(&self, step: Step) {
        self.0.steps.borrow_mut().push(step);
    }

    /// From here on, after each single store, `root` must map `ia`.
    pub(crate) fn watch(&self, root: Root, ia: u64) {
        self.0.watch.set(Some((root, ia)));
    }
}

impl Memory for Hw {
    fn read(&self, pa: PhysAddr) -> u64 {
        self.0.ram.borrow()[index(pa)]
    }
    fn write(&self, pa: PhysAddr, value: u64) {
        self.0.ram.borrow_mut()[index(pa)] = value;
        self.note(Step::Write(pa.0, value));
        if let Some((root, ia)) = self.0.watch.get() {
            assert_eq!(walk(self, root, ia).0 & 1, 1, "{ia:#x} is unmapped for a moment");
        }
    }
    fn write_release(&self, pa: PhysAddr, value: u64) {
        self.write(pa, value);
    }
    fn zero_page(&self, pa: PhysAddr) {
        self.0.ram.borrow_mut()[index(pa)..][..512].fill(0);
    }
}

impl Cpu for Hw {
    fn dsb_ishst(&self) {
        self.note(Step::DsbIshst);
    }
    fn dsb_ish(&self) {
        self.note(Step::DsbIsh);
    }
    fn dsb_sy(&self) {}
    fn isb(&self) {
        self.note(Step::Isb);
    }
    fn tlbi_ipas2e1is(&self, ipa: Ipa) {
        self.note(Step::TlbiIpas2e1is(ipa.0));
        self.0.half_dropped.borrow_mut().push(ipa.0);
    }
    fn tlbi_vmalle1is(&self) {
        self.note(Step::TlbiVmalle1is);
        for ia in self.0.half_dropped.take() {
            drop_entries(&mut self.0.tlb.borrow_mut(), ia, 0x1000);
        }
    }
    fn tlbi_vmalls12e1is(&self) {
        self.note(Step::TlbiVmalls12e1is);
        self.0.tlb.borrow_mut().clear();
    }
    fn tlbi_vae2is(&self, _: HypVa) {}
    fn tlbi_alle2is(&self) {}
    fn relax(&self) {}
}

/// The fake SMMU driver: commands take effect at `sync`.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeSmmu {
    tlb: Rc<RefCell<Tlb>>,
    commands: Rc<RefCell<Tlb>>,
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
}

impl FakeSmmu {
    pub(crate) fn warm(&self, base: u64, size: u64) {
        self.tlb.borrow_mut().push((base, size));
    }

    pub(crate) fn tlb(&self) -> Tlb {
        self.tlb.borrow().clone()
    }
}

impl SmmuTlb for FakeSmmu {
    fn take_event(&mut self) -> Option<Event> {
        self.events.borrow_mut().pop()
    }
    fn tlbi_s2_ipa(&mut self, ipa: Ipa, size: u64) {
        self.commands.borrow_mut().push((ipa.0, size));
    }
    fn tlbi_s12_vmall(&mut self) {
        self.commands.borrow_mut().push((0, 1 << 52));
    }
    fn sync(&mut self) {
        for (ia, size) in self.commands.take() {
            drop_entries(&mut self.tlb.borrow_mut(), ia, size);
        }
    }
}

fn next_table(entry: u64, level: u8) -> Option<u64> {
    (level < 3 && entry & 3 == 3).then_some(entry & 0x0000_ffff_ffff_f000)
}

/// The entry that translates `ia`, and how many bytes it translates.
pub(crate) fn walk(hw: &Hw, (mut table, mut level, bits): Root, ia: u64) -> (u64, u64) {
    assert_eq!(ia >> bits, 0, "{ia:#x} has more than {bits} bits");
    let mut index = ia >> (39 - 9 * level);
    loop {
        let entry = hw.read(PhysAddr(table + index * 8));
        let Some(next) = next_table(entry, level) else { return (entry, 1 << (39 - 9 * level)) };
        (table, level) = (next, level + 1);
        index = (ia >> (39 - 9 * level)) & 511;
    }
}

/// All pages of the tree at `root`.
pub(crate) fn tables(hw: &Hw, (root, start, bits): Root) -> Vec<u64> {
    let entries = 1_u64 << (bits - (39 - 9 * u32::from(start)));
    let mut found: Vec<u64> = (0..(entries * 8).div_ceil(4096)).map(|page| root + page * 4096).collect();
    let mut todo: Vec<(u64, u8, u64)> = vec![(root, start, entries)];
    while let Some((table, level, entries)) = todo.pop() {
        let next = (0..entries).filter_map(|i| next_table(hw.read(PhysAddr(table + i * 8)), level));
        for table in next.collect::<Vec<_>>() {
            found.push(table);
            todo.push((table, level + 1, 512));
        }
    }
    found
}
