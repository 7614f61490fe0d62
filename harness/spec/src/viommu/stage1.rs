//! A stage 1 of the host's, walked for a device: context descriptor, tables, stage 2 (IHI 0070, 3.3 and 5.4; DDI 0487, D8).
//!
//! What an SMMU may remember of it is remembered here, too: where memory and a remembered translation differ, the device may
//! get either until the host has said that it changed them.

use parallax_addr::{InputAddr, PAGE_SIZE, PhysAddr, Span};
use parallax_smmu::Cd;
use parallax_vmsa::{FaultKind, Level, Regime, Stage, Stage1Controls, Translation, translate};

use crate::words::Fetch;

/// What becomes of an access of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It goes there, if stage 2 lets it.
    At(PhysAddr),
    /// It is aborted.
    Nowhere,
    /// That is not known.
    Unknown,
}

/// A translation that an SMMU may have in its TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    asid: u16,
    input: Span<InputAddr>,
    output: PhysAddr,
    writable: bool,
}

/// What an SMMU may remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    contexts: Vec<(u32, Cd)>,
    entries: Vec<Entry>,
}

/// How many translations are kept in mind.
const MOST: usize = 4096;

/// What an invalidation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// All translations.
    All,
    /// Those of an ASID.
    Asid(u16),
    /// Those of an address, of an ASID or of all.
    Address(Option<u16>, InputAddr),
    /// The context descriptor of a stream, or all of them.
    Context(Option<u32>),
}

impl Remembered {
    /// The host said that it changed something.
    pub(super) fn forget(&mut self, what: Forget) {
        match what {
            Forget::All => self.entries.clear(),
            Forget::Asid(asid) => self.entries.retain(|entry| entry.asid != asid),
            Forget::Address(asid, at) => self
                .entries
                .retain(|entry| asid.is_some_and(|asid| asid != entry.asid) || !entry.input.contains(at)),
            Forget::Context(None) => self.contexts.clear(),
            Forget::Context(Some(sid)) => self.contexts.retain(|(known, _)| *known != sid),
        }
    }

    /// What may become of an access to the page at `at` by stream `sid`, whose context descriptor is at `context`.
    pub(super) fn reach(
        &mut self,
        (sid, context): (u32, PhysAddr),
        at: InputAddr,
        write: bool,
        fetch: &Fetch<'_>,
    ) -> Vec<Reached> {
        let mut contexts: Vec<Cd> =
            self.contexts.iter().filter(|(known, _)| *known == sid).map(|(_, cd)| *cd).collect();
        let mut reached = Vec::new();
        match fetched(context, fetch) {
            Some(Ok(now)) if !contexts.contains(&now) => {
                contexts.push(now);
                self.contexts.push((sid, now));
            }
            Some(Ok(_)) => {}
            Some(Err(())) => reached.push(Reached::Nowhere),
            None => reached.push(Reached::Unknown),
        }
        for cd in contexts {
            self.entries.iter().filter(|entry| entry.asid == cd.asid() && entry.input.contains(at)).for_each(
                |entry| {
                    let offset = at.get() - entry.input.base.get();
                    reached.push(match entry.writable || !write {
                        true => Reached::At(entry.output.wrapping_add(offset)),
                        false => Reached::Nowhere,
                    });
                },
            );
            let (now, entry) = walked(&cd, at, write, fetch);
            reached.push(now);
            if let Some(entry) = entry.filter(|entry| !self.entries.contains(entry)) {
                self.entries.push(entry);
            }
        }
        // What is not kept in mind may have been remembered.
        if self.entries.len() > MOST {
            reached.push(Reached::Unknown);
        }
        reached.dedup();
        reached
    }
}

/// The context descriptor at `at`, `Err` where it cannot be fetched, nothing where it is not known.
fn fetched(at: PhysAddr, fetch: &Fetch<'_>) -> Option<Result<Cd, ()>> {
    let mut bytes = [0; 64];
    fetch.unknown.set(false);
    match parallax_vmsa::PhysMem::read(fetch, at, &mut bytes) {
        Ok(()) => Some(Ok(Cd::from_bytes(&bytes))),
        Err(_) if fetch.unknown.get() => None,
        Err(_) => Some(Err(())),
    }
}

/// What a walk of `cd`'s tables says of `at`.
fn walked(cd: &Cd, at: InputAddr, write: bool, fetch: &Fetch<'_>) -> (Reached, Option<Entry>) {
    if !cd.v() {
        return (Reached::Nowhere, None);
    }
    let Some(regime) = regime(cd) else { return (Reached::Unknown, None) };
    if at.get() >> regime.ia_bits != 0 {
        // The high range, or neither.
        let known = cd.epd1() && at.get() >> 55 == 0;
        return (if known { Reached::Nowhere } else { Reached::Unknown }, None);
    }
    fetch.unknown.set(false);
    match translate(fetch, &regime, at) {
        _ if fetch.unknown.get() => (Reached::Unknown, None),
        Err(fault) => match fault.kind {
            // What a reserved encoding does is not told alike by all.
            FaultKind::Reserved => (Reached::Unknown, None),
            _ => (Reached::Nowhere, None),
        },
        Ok(found) => leaf(cd, at, write, &found),
    }
}

fn leaf(cd: &Cd, at: InputAddr, write: bool, found: &Translation) -> (Reached, Option<Entry>) {
    let ap = found.desc >> 6 & 3;
    // Devices are unprivileged, unless they say otherwise: only what both may do is known.
    if found.tables != parallax_vmsa::TableAttrs::default() || ap & 1 == 0 {
        return (Reached::Unknown, None);
    }
    let size = found.level.entry_size();
    let input = Span::new(InputAddr::new(at.get() & !(size - 1)), size);
    let output = PhysAddr::new(found.oa.get() & !(size - 1));
    let writable = ap & 2 == 0;
    let entry = Entry { asid: cd.asid(), input, output, writable };
    let reached = if writable || !write { Reached::At(found.oa) } else { Reached::Nowhere };
    (reached, Some(entry))
}

/// The low range's tables, where `cd` says nothing but what every SMMU does alike.
fn regime(cd: &Cd) -> Option<Regime> {
    let plain = cd.aa64() && !cd.endi() && cd.tg0() == 0 && !cd.epd0() && !cd.tbi0() && !cd.ha() && !cd.hd();
    let plain = plain && cd.a() && !cd.s() && !cd.wxn() && !cd.had0();
    let oa_bits = *[32, 36, 40, 42, 44, 48].get(usize::from(cd.ips()))?;
    let ia_bits = (25..=39).contains(&cd.t0sz()).then(|| 64 - u32::from(cd.t0sz())).filter(|_| plain)?;
    let start = Level::new(if ia_bits >= 40 { 0 } else { 1 })?;
    let root = PhysAddr::new(cd.ttb0());
    let whole = ia_bits >= 31 && root.get().is_multiple_of(PAGE_SIZE) && root.get() >> oa_bits == 0;
    let stage = Stage::One(Stage1Controls { mair: cd.mair(), hpd: false, wxn: false, e2h: false });
    whole.then_some(Regime { stage, root, start, ia_bits, oa_bits, lpa2: None, hw_af: cd.affd() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{Memory, Pages};
    use crate::words::Words;

    const CD: u64 = 25 | 1 << 30 | 1 << 31 | 4 << 32 | 1 << 35 | 1 << 41 | 1 << 45 | 1 << 46 | 1 << 48;
    const BLOCK: u64 = 0x4000_0000 | 1 | 1 << 6 | 1 << 10;

    fn reach(remembered: &mut Remembered, memory: &Memory, at: u64) -> Vec<Reached> {
        let words = Words::default();
        let fetch = Fetch::new(&words, memory, &Pages);
        remembered.reach((8, PhysAddr::new(0x4000_1000)), InputAddr::new(at), true, &fetch)
    }

    #[test]
    fn a_device_gets_old_or_new_until_it_is_invalidated() {
        let mut remembered = Remembered::default();
        let old = Memory::of(&[(0x4000_1000, CD), (0x4000_1008, 0x4000_2000), (0x4000_2020, BLOCK)]);
        let there = Reached::At(PhysAddr::new(0x4500_1000));
        assert_eq!(reach(&mut remembered, &old, 0x1_0500_1000), [there]);
        assert_eq!(reach(&mut remembered, &old, 0x1_4500_1000), [Reached::Nowhere]);
        let new = Memory::of(&[(0x4000_1000, CD), (0x4000_1008, 0x4000_2000)]);
        assert_eq!(reach(&mut remembered, &new, 0x1_0500_2000)[1..], [Reached::Nowhere]);
        remembered.forget(Forget::Asid(2));
        assert_eq!(reach(&mut remembered, &new, 0x1_0500_1000), [there, Reached::Nowhere]);
        remembered.forget(Forget::Asid(1));
        assert_eq!(reach(&mut remembered, &new, 0x1_0500_1000), [Reached::Nowhere]);
    }

    #[test]
    fn a_context_descriptor_is_remembered_too() {
        let mut remembered = Remembered::default();
        let old = Memory::of(&[(0x4000_1000, CD), (0x4000_1008, 0x4000_2000), (0x4000_2020, BLOCK)]);
        reach(&mut remembered, &old, 0x1_0500_1000);
        let new = Memory::of(&[]);
        let there = Reached::At(PhysAddr::new(0x4500_1000));
        assert!(reach(&mut remembered, &new, 0x1_0500_1000).contains(&there));
        remembered.forget(Forget::Context(Some(8)));
        assert_eq!(reach(&mut remembered, &new, 0x1_0500_1000), [Reached::Nowhere]);
    }

    #[test]
    fn a_context_descriptor_that_not_all_read_alike_says_nothing() {
        let mut remembered = Remembered::default();
        let odd = Memory::of(&[(0x4000_1000, CD | 3 << 6), (0x4000_1008, 0x4000_2000), (0x4000_2020, BLOCK)]);
        assert_eq!(reach(&mut remembered, &odd, 0x1_0500_1000), [Reached::Unknown]);
    }
}
