//! A page that changes hands is not of two at once: who loses it has lost it before the other one gets it.
//!
//! What is looked at is one stay at EL2. A page that EL2 borrows stays mapped for the host, so only a page that one side
//! gains and the other loses in the same stay has changed hands; an entry that is broken and made again gains nothing. Whose memory it is, the output addresses of leaves say.

use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::desc::ADDRESS;

use super::change::{Entry, entry, span};
use super::checker::Checker;
use super::finding::{Regime, Site, Subject};
use super::memory::Place;
use super::rule::Rule;

/// Memory that became mapped, or unmapped, for somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    who: Who,
    /// First byte and bytes; physical.
    pa: u64,
    size: u64,
    mapped: bool,
    /// See `Checker::time`.
    time: u64,
    at: Site,
}

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    El2,
    Host,
    Devices,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::El2 => "EL2",
            Self::Host => "the host",
            Self::Devices => "devices",
        }
    }
}

impl Checker {
    /// An entry of a live table went from `old` to `new`.
    pub(super) fn moved(&mut self, at: Site, place: Place, ia: u64, (old, new): (u64, u64)) {
        let level = place.level;
        let tree = &self.trees[place.tree as usize];
        let el2 = tree.cpu == Some(Regime::El2);
        let whose = [
            el2.then_some(Who::El2),
            matches!(tree.cpu, Some(Regime::Cpu(_))).then_some(Who::Host),
            tree.smmu.is_some().then_some(Who::Devices),
        ];
        if old == new || !self.cpus.of(at.cpu).inside {
            return;
        }
        let output = |desc: u64| desc & ADDRESS & !(span(level) - 1);
        let (was, is) = (entry(old, level), entry(new, level));
        let (size, time) = (span(level), self.time);
        for who in whose.into_iter().flatten() {
            let mut moves = Vec::new();
            let mut push = |pa, size, mapped| moves.push(Move { who, pa, size, mapped, time, at });
            for (desc, what, mapped) in [(old, was, false), (new, is, true)] {
                match what {
                    Entry::Leaf => push(output(desc), size, mapped),
                    Entry::Table(table) if !el2 && level + 1 == 3 => {
                        let pages = (0..PAGE_SIZE / 8).map(|index| self.memory.read(table + index * 8));
                        for page in pages.filter(|page| entry(*page, 3) == Entry::Leaf) {
                            push(page & ADDRESS, PAGE_SIZE, mapped);
                        }
                    }
                    // Of larger tables only what is lost is looked at, as if it was the identity.
                    Entry::Table(_) if !el2 && !mapped => push(ia, size, mapped),
                    _ => {}
                }
            }
            self.cpus.of(at.cpu).moves.extend(moves);
        }
    }

    /// The stay at EL2 is over: no page was mapped for EL2 and for another at the same time while it changed hands.
    pub(super) fn judge_owners(&mut self, cpu: u16) {
        let moves = std::mem::take(&mut self.cpus.of(cpu).moves);
        let mut own: BTreeMap<u64, &Move> = BTreeMap::new();
        for one in moves.iter().filter(|one| one.who == Who::El2) {
            own.insert(one.pa, one);
        }
        if own.is_empty() {
            return;
        }
        for who in [Who::Host, Who::Devices] {
            // The first move of each page, and the last.
            let mut others: BTreeMap<u64, (&Move, &Move)> = BTreeMap::new();
            for one in moves.iter().filter(|one| one.who == who) {
                for (pa, _) in own.range(one.pa..one.pa.saturating_add(one.size)) {
                    others.entry(*pa).or_insert((one, one)).1 = one;
                }
            }
            for (pa, (first, other)) in others {
                if first.mapped != other.mapped {
                    continue;
                }
                let own = own[&pa];
                if own.mapped && who == Who::Host && self.config.allow.maps_first {
                    continue;
                }
                let (gained, lost) = if own.mapped { (own, other) } else { (other, own) };
                if own.mapped == other.mapped || gained.time > lost.time {
                    continue;
                }
                let what = format!("mapped for {} while {} had it", gained.who.name(), lost.who.name());
                let missing = format!("the entry of {} cleared before", lost.who.name());
                let subject = Subject::Memory { pa: PhysAddr::new(pa) };
                self.report(Rule::TwoOwners, subject, gained.at, Some(lost.at), what, missing);
            }
        }
    }
}
