//! A host whose commands, entries and registers are not judged as they must be.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory};
use crate::its;
use crate::ownership::Hyp;
use crate::page_state::PageState;
use crate::regions::Range;
use crate::smmu::regs::{Cr0, EVENTQ_IRQ_CFG0, GERROR_IRQ_CFG0};
use crate::smmu::viommu::{Env, Physical, Ring, Verdict};
use crate::smmu::{SmmuTlb, Ste};
use core::ops::DerefMut;
use spin::RelaxStrategy;

/// Whether the queue stands still.
#[inline(always)]
pub(crate) fn is_stopped(right: bool) -> bool {
    right && !on(Fault::ViommuErrorDoesNotStop)
}

/// What was made of the command `copy`.
#[inline(always)]
pub(crate) fn checked(right: Verdict, copy: [u64; 2]) -> Verdict {
    if right == Verdict::Refuse && on(Fault::ViommuOpcodeLetThrough) {
        return Verdict::Issue(copy);
    }
    let Verdict::Issue([low, high]) = right else { return right };
    match low & 0xff {
        0x46 if on(Fault::ViommuSyncMsiKept) => Verdict::Issue([low, copy[1] & 0x00ff_ffff_ffff_fffc]),
        0x10..=0x13 if on(Fault::ViommuHostVmidLetThrough) => {
            Verdict::Issue([low | copy[0] & 0xffff << 32, high])
        }
        0x11 if on(Fault::ViommuAsidDropped) => Verdict::Issue([low & !(0xffff << 48), high]),
        _ => right,
    }
}

/// What is done for the command in `slot`, the first of a batch or another.
#[inline(always)]
pub(crate) fn issued(right: Verdict, env: &impl Env, slot: PhysAddr, is_first: bool) -> Verdict {
    match right {
        Verdict::Issue(_) if on(Fault::ViommuQueueReread) => {
            Verdict::Issue([env.read(slot), env.read(slot.add(8))])
        }
        Verdict::Issue(_) if !is_first && on(Fault::ViommuFirstOfBatchOnly) => Verdict::Ignore,
        Verdict::Configure { first, command, .. } if on(Fault::ViommuFirstOfRangeOnly) => {
            Verdict::Configure { first, count: 1, command }
        }
        Verdict::Configure { command, .. } if on(Fault::ViommuCfgiNotShadowed) => Verdict::Issue(command),
        _ => right,
    }
}

/// The index that comes next in a queue that ends at `prod`.
#[inline(always)]
pub(crate) fn next_command(right: u32, ring: &Ring, prod: u32) -> u32 {
    if ring.slot(right) == ring.slot(0) && on(Fault::ViommuWrapDropsRest) { prod } else { right }
}

/// Comes before the host's event queue, by its EVENTQ_BASE, is looked at.
#[inline(always)]
pub(crate) fn before_events(env: &impl Env, base: u64) {
    if on(Fault::ViommuEvtqUnchecked) {
        env.smmu().record_events(Some(base));
    }
}

/// What is turned off in CR0 before the host gets its event queue back.
#[inline(always)]
pub(crate) fn events_off(cr0: Cr0) -> Cr0 {
    if on(Fault::ViommuEvtqReleasedEarly) { Cr0::empty() } else { cr0 }
}

/// Whether the host's MSI configuration goes to the hardware; then it has.
#[inline(always)]
pub(crate) fn msi(env: &impl Env, register: u64, value: u32) -> bool {
    let through = matches!(register, GERROR_IRQ_CFG0 | EVENTQ_IRQ_CFG0) && on(Fault::ViommuMsiLetThrough);
    if through {
        env.smmu().set_register(register, value);
    }
    through
}

/// Whether GERROR's interrupt is raised.
#[inline(always)]
pub(crate) fn gerror(right: bool) -> bool {
    right && !on(Fault::ViommuGerrorNoIrq)
}

/// Span of a level-1 descriptor, where a level-2 table is indexed by `split` bits.
#[inline(always)]
pub(crate) fn l1_span(right: u64, split: u32) -> u64 {
    if right != 0 && on(Fault::ViommuSpanIgnored) { u64::from(split) + 1 } else { right }
}

/// Whether a level-2 table is given back, of which entries are `there` or none.
#[inline(always)]
pub(crate) fn is_level2_returned(right: bool, there: bool) -> bool {
    right && (there || !on(Fault::ViommuLevel2Kept))
}

/// STRTAB_BASE_CFG.SPLIT.
#[inline(always)]
pub(crate) fn strtab_split(right: u32) -> u32 {
    if on(Fault::ViommuSplitIgnored) { 8 } else { right }
}

/// The hardware's entry for the host's.
#[inline(always)]
pub(crate) fn shadow(ste: Ste, host: &[u64; 8]) -> Ste {
    let Ste([head, attributes, stage2, root, ..]) = ste;
    if on(Fault::ViommuSteUnchecked) {
        Ste(*host)
    } else if on(Fault::ViommuStalldLetThrough) && ste.is_nested() {
        // S1STALLD.
        Ste([head, attributes | host[1] & 1 << 27, stage2, root, 0, 0, 0, 0])
    } else if on(Fault::ViommuS2ptwClear) && ste.is_nested() {
        // S2PTW.
        Ste([head, attributes, stage2 & !(1 << 54), root, 0, 0, 0, 0])
    } else if on(Fault::ViommuS2FieldsFromHost) && host[0] & 1 != 0 {
        // S2VMID.
        Ste([head, attributes, stage2 | host[2] & 0xffff, root, 0, 0, 0, 0])
    } else {
        ste
    }
}

/// What one access may cost.
#[inline(always)]
pub(crate) fn budget(right: u64) -> u64 {
    if on(Fault::ViommuBudgetIgnored) { u64::MAX } else { right }
}

/// The hardware's entry for a stream that the host's table has none for.
#[inline(always)]
pub(crate) fn missing(right: Ste) -> Ste {
    if on(Fault::ViommuMissingNotRecorded) { Ste::abort() } else { right }
}

/// How many streams abort when the host turns its SMMU off.
#[inline(always)]
pub(crate) fn aborted_streams(streams: u64) -> u64 {
    match streams {
        _ if on(Fault::ViommuDisableKeepsStreams) => 0,
        _ if on(Fault::ViommuLastStreamKept) => streams - 1,
        _ => streams,
    }
}

/// Whether the entry at `pa` is replaced without a command; then it was.
#[inline(always)]
pub(crate) fn confine(mem: &impl Memory, pa: PhysAddr, ste: &Ste) -> bool {
    if on(Fault::ViommuMissingCfgi) {
        ste.write_body(mem, pa);
        ste.write_head(mem, pa);
    }
    on(Fault::ViommuMissingCfgi)
}

/// What the host's SMMU works with, in place of `env`.
pub(crate) const fn env<H, S, R>(env: &Hyp<H, S, R>) -> Careless<'_, H, S, R> {
    Careless(env)
}

/// A hypervisor that does not share what it should, or for ever.
pub(crate) struct Careless<'a, H, S, R>(&'a Hyp<H, S, R>);

impl<H: Memory + Cpu, S: SmmuTlb + Physical, R: RelaxStrategy> Env for Careless<'_, H, S, R> {
    type Smmu = S;

    #[inline(always)]
    fn smmu(&self) -> impl DerefMut<Target = S> {
        self.0.smmu()
    }
}

impl<H: Memory + Cpu, S: SmmuTlb + Physical, R: RelaxStrategy> its::Env for Careless<'_, H, S, R> {
    fn hold(&mut self, range: Range) -> Result<(), Error> {
        self.0.hold(range)?;
        if on(Fault::PageStatesUnlocked) {
            let hyp = self.0;
            for page in (range.base.0..range.end()).step_by(PAGE_SIZE as usize).map(PhysAddr) {
                hyp.pages.set(&hyp.hw, page, hyp.pages.get(&hyp.hw, page));
            }
        }
        if on(Fault::ViommuMemoryNotHeld) {
            let hyp = self.0;
            for page in (range.base.0..range.end()).step_by(PAGE_SIZE as usize) {
                hyp.pages.set(&hyp.hw, PhysAddr(page), PageState::default());
            }
        }
        Ok(())
    }

    fn release(&mut self, range: Range) {
        if on(Fault::ViommuMemoryNotHeld) {
            let mut el2 = self.0.el2.lock();
            if let Some(index) = el2.held.iter().position(|slot| *slot == Some(range)) {
                el2.held[index] = None;
                el2.held[index..].rotate_left(1);
            }
        } else if !on(Fault::ViommuHeldForever) {
            self.0.release(range);
        }
    }

    #[inline(always)]
    fn read(&self, pa: PhysAddr) -> u64 {
        self.0.read(pa)
    }
}
