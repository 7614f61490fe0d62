//! Memory that says what was written, barriers, and TLBs that never evict.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hyp_core::addr as hyp;
use hyp_core::hw::{Cpu, Memory};
use hyp_core::ownership::Hyp;
use hyp_core::smmu::{Event, SmmuTlb};
use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::{MemError, PhysMem};
use spin::RelaxStrategy;

/// Most writes that are remembered.
const LOG: usize = 1 << 14;

/// Cached translations.
#[derive(Debug, Default)]
pub struct Tlb(Vec<Span<Ipa>>);

impl Tlb {
    /// Caches the translation of `span`, of one entry.
    pub fn warm(&mut self, span: Span<Ipa>) {
        if !self.0.contains(&span) {
            self.0.push(span);
        }
    }

    /// What is cached.
    #[must_use]
    pub fn spans(&self) -> &[Span<Ipa>] {
        &self.0
    }

    fn forget(&mut self, span: Span<Ipa>) {
        self.0.retain(|cached| !cached.overlaps(span));
    }
}

/// The memory, from its first byte on.
#[derive(Debug)]
struct Ram {
    base: u64,
    words: Vec<u64>,
    /// Version of each page: the moment of its last write.
    versions: Vec<u64>,
    /// Pages in the order in which they were written.
    log: Vec<PhysAddr>,
    /// Writes that are forgotten.
    forgotten: u64,
    /// When the series of writes began that is looked at as a whole.
    since: u64,
}

#[derive(Debug)]
struct State {
    ram: Mutex<Ram>,
    tlb: Mutex<Tlb>,
    /// IPAs whose stage-2 entries were invalidated. What combines both stages goes with the TLBI of stage 1 that must follow.
    half: Mutex<Vec<Span<Ipa>>>,
}

/// What happens between two accesses of a CPU.
static TURN: OnceLock<fn()> = OnceLock::new();

/// From now on, in the whole process, `turn` is called between any two accesses of a CPU to memory, before its barriers and TLBIs, and
/// while it waits for a lock: there another CPU may have its turn. Only the first call counts.
pub fn on_turn(turn: fn()) {
    _ = TURN.set(turn);
}

fn turn() {
    if let Some(turn) = TURN.get() {
        turn();
    }
}

/// How a CPU waits for a lock.
#[derive(Debug)]
pub struct Wait;

impl RelaxStrategy for Wait {
    fn relax() {
        turn();
    }
}

/// A part of the machine, for one access: nobody has a turn meanwhile.
fn held<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hardware. A copy is the same hardware.
#[derive(Clone, Debug)]
pub struct Hardware(Arc<State>);

impl Hardware {
    /// `size` bytes of zeros at `base`.
    #[must_use]
    pub fn new(base: PhysAddr, size: u64) -> Self {
        let ram = Ram {
            base: base.get(),
            words: vec![0; (size / 8) as usize],
            versions: vec![0; (size / PAGE_SIZE) as usize],
            log: Vec::new(),
            forgotten: 0,
            since: 0,
        };
        Self(Arc::new(State { ram: Mutex::new(ram), tlb: Mutex::default(), half: Mutex::default() }))
    }

    /// The CPUs' TLB, of the host's VMID.
    pub fn tlb<T>(&self, f: impl FnOnce(&mut Tlb) -> T) -> T {
        f(&mut held(&self.0.tlb))
    }

    /// A new series of writes, which is looked at as a whole, begins.
    pub fn begin(&self) {
        let mut ram = held(&self.0.ram);
        if ram.log.len() >= LOG {
            ram.forgotten = ram.moment();
            ram.log.clear();
        }
        ram.since = ram.moment();
    }
}

impl Ram {
    fn index(&self, pa: u64, len: usize) -> Option<usize> {
        let offset = usize::try_from(pa.checked_sub(self.base)?).ok()?;
        (offset.checked_add(len)? <= 8 * self.words.len()).then_some(offset)
    }

    const fn moment(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    /// Puts a word in; the code under test may touch nothing else than memory.
    fn put(&mut self, pa: hyp::PhysAddr, value: u64) {
        let offset = self.index(pa.0, 8).filter(|_| pa.is_aligned(8));
        let offset = offset.unwrap_or_else(|| panic!("a store to {pa}, which is no memory"));
        self.words[offset / 8] = value;
        let page = offset / PAGE_SIZE as usize;
        if self.versions[page] <= self.since {
            self.log.push(PhysAddr::new(pa.0).page());
            self.versions[page] = self.moment();
        }
    }
}

impl Memory for Hardware {
    fn read(&self, pa: hyp::PhysAddr) -> u64 {
        turn();
        let ram = held(&self.0.ram);
        let offset = ram.index(pa.0, 8).filter(|_| pa.is_aligned(8));
        ram.words[offset.unwrap_or_else(|| panic!("a load from {pa}, which is no memory")) / 8]
    }

    fn write(&self, pa: hyp::PhysAddr, value: u64) {
        turn();
        held(&self.0.ram).put(pa, value);
    }

    fn write_release(&self, pa: hyp::PhysAddr, value: u64) {
        self.write(pa, value);
    }

    fn zero_page(&self, pa: hyp::PhysAddr) {
        turn();
        let mut ram = held(&self.0.ram);
        (pa.0..pa.0 + PAGE_SIZE).step_by(8).for_each(|pa| ram.put(hyp::PhysAddr(pa), 0));
    }
}

impl Cpu for Hardware {
    fn dsb_ishst(&self) {
        turn();
    }
    fn dsb_ish(&self) {
        turn();
    }
    fn dsb_sy(&self) {
        turn();
    }
    fn isb(&self) {
        turn();
    }

    fn tlbi_ipas2e1is(&self, ipa: hyp::Ipa) {
        turn();
        held(&self.0.half).push(Span::new(Ipa::new(ipa.0), PAGE_SIZE));
    }

    fn tlbi_vmalle1is(&self) {
        turn();
        let mut tlb = held(&self.0.tlb);
        std::mem::take(&mut *held(&self.0.half)).into_iter().for_each(|span| tlb.forget(span));
    }

    fn tlbi_vmalls12e1is(&self) {
        turn();
        held(&self.0.tlb).0.clear();
    }

    fn tlbi_vae2is(&self, _: hyp::HypVa) {}
    fn tlbi_alle2is(&self) {}

    fn relax(&self) {
        turn();
    }
}

impl PhysMem for Hardware {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let ram = held(&self.0.ram);
        let first = ram.index(pa.get(), buf.len()).ok_or(MemError { pa, len: buf.len() })?;
        let words = &ram.words[first / 8..];
        if first.is_multiple_of(8) && buf.len().is_multiple_of(8) {
            let chunks = buf.as_chunks_mut::<8>().0;
            chunks.iter_mut().zip(words).for_each(|(chunk, word)| *chunk = word.to_le_bytes());
        } else {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).skip(first % 8);
            buf.iter_mut().zip(bytes).for_each(|(byte, is)| *byte = is);
        }
        Ok(())
    }

    fn version(&self, pa: PhysAddr) -> Option<u64> {
        let ram = held(&self.0.ram);
        let offset = ram.index(pa.get(), PAGE_SIZE as usize)?;
        Some(ram.versions[offset / PAGE_SIZE as usize])
    }

    fn moment(&self) -> Option<u64> {
        Some(held(&self.0.ram).moment())
    }

    fn written(&self, moment: u64) -> Option<Arc<[PhysAddr]>> {
        let ram = held(&self.0.ram);
        let known = usize::try_from(moment.checked_sub(ram.forgotten)?).ok()?;
        let mut pages = ram.log.get(known..)?.to_vec();
        pages.sort_unstable();
        pages.dedup();
        Some(pages.into())
    }
}

/// The SMMU's TLB, as its driver keeps it: commands take effect at their synchronisation.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    tlb: Arc<Mutex<Tlb>>,
    waiting: Arc<Mutex<Vec<Span<Ipa>>>>,
}

impl Commands {
    /// What is cached.
    pub fn tlb<T>(&self, f: impl FnOnce(&mut Tlb) -> T) -> T {
        f(&mut held(&self.tlb))
    }
}

impl SmmuTlb for Commands {
    fn take_event(&mut self) -> Option<Event> {
        None
    }

    fn tlbi_s2_ipa(&mut self, ipa: hyp::Ipa, size: u64) {
        held(&self.waiting).push(Span::new(Ipa::new(ipa.0), size));
    }

    fn tlbi_s12_vmall(&mut self) {
        held(&self.waiting).push(Span::new(Ipa::new(0), 1 << 52));
    }

    fn sync(&mut self) {
        turn();
        let mut tlb = held(&self.tlb);
        std::mem::take(&mut *held(&self.waiting)).into_iter().for_each(|span| tlb.forget(span));
    }
}

/// The hypervisor's core on this hardware.
pub type Core = Hyp<Hardware, Commands, Wait>;
