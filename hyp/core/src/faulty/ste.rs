//! Stream table entries that are wrong, or replaced in the wrong steps.

use crate::addr::PhysAddr;
use crate::fault::{Fault, on};
use crate::hw::{Cpu, Memory, Mmio};
use crate::smmu::{Smmu, Ste, StreamId};

/// An entry with stage 2, in place of the right one.
#[inline(always)]
pub(crate) fn ste_stage2(mut ste: Ste) -> Ste {
    if on(Fault::SmmuSteBypass) {
        // Config.
        ste.0[0] = ste.0[0] & !(0b111 << 1) | 0b100 << 1;
    }
    if on(Fault::SmmuSteNoRecord) {
        // S2R.
        ste.0[2] &= !(1 << 58);
    }
    if on(Fault::SmmuWalksNonCacheable) {
        // S2IR0, S2OR0, S2SH0.
        ste.0[2] &= !(0x3f << 40);
    }
    if on(Fault::Stage2RootsMisaligned) {
        // S2TTB, below the root's size.
        ste.0[3] |= 1 << 7;
    }
    ste
}

/// The steps from `from` to `to`, in place of the right ones.
pub(crate) fn steps(steps: [Ste; 3], from: &Ste, to: &Ste) -> [Ste; 3] {
    // With the head of the new entry over the old one.
    let early = Ste(core::array::from_fn(|i| if i == 0 { to.0[0] } else { from.0[i] }));
    let is_live = steps[0] != from.without_head() || steps[1] != to.without_head();
    if on(Fault::SteChangedLive) {
        [*to; 3]
    } else if on(Fault::SteUnordered) {
        [from.without_head(), *to, *to]
    } else if on(Fault::SteValidFirst) {
        [from.without_head(), early, *to]
    } else if on(Fault::ViommuLiveHeadOnly) && is_live {
        [*from, early, early]
    } else {
        steps
    }
}

/// Writes an entry's dword 0, after everything that was written before.
#[inline(always)]
pub(crate) fn write_head(mem: &impl Memory, pa: PhysAddr, dword: u64) {
    if on(Fault::SteUnordered) {
        return mem.write(pa, dword);
    }
    mem.write_release(pa, dword);
}

/// Comes before `step` of the entry of `stream` is written: whether the SMMU has forgotten by now what it has of it.
#[inline(always)]
pub(crate) fn forget_early<R: Mmio, M: Memory, C: Cpu>(
    smmu: &mut Smmu<R, M, C>,
    stream: StreamId,
    step: &Ste,
) -> bool {
    let is_early = *step == step.without_head() && on(Fault::SteCfgiBeforeClear);
    if is_early {
        smmu.forget_ste(stream);
    }
    is_early
}
