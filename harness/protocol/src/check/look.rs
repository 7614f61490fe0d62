//! What both sides' tables make of an address, as far as the events tell: for who reads a finding.

use super::change::{Entry, Stage, entry, span};
use super::checker::Checker;
use super::finding::Regime;
use super::tree_state::Tree;

/// A side of translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Stage 2 of the CPUs.
    Cpu,
    /// Stage 2 in the SMMU.
    Smmu,
}

impl Checker {
    /// What `side`'s stage 2 makes of `ia` now, in words; of several trees that side has, what the first one does.
    #[must_use]
    pub fn look(&self, side: Side, ia: u64) -> String {
        let walked = |tree: &&Tree| match side {
            Side::Cpu => matches!(tree.cpu, Some(Regime::Cpu(_))),
            Side::Smmu => tree.smmu.is_some(),
        };
        match self.trees.iter().find(|tree| tree.stage == Stage::Two && walked(tree)) {
            Some(tree) => self.walk(tree, ia),
            None => "not known: no event tells of such a table".to_owned(),
        }
    }

    fn walk(&self, tree: &Tree, ia: u64) -> String {
        if ia / span(tree.start) >= 512 * tree.tables {
            return "no address of this table".to_owned();
        }
        // Tables of a root with several lie one behind the other.
        let mut at = tree.root + ia / span(tree.start) * 8;
        let mut level = tree.start;
        loop {
            let desc = self.memory.read(at);
            match entry(desc, level) {
                Entry::Table(next) if level < 3 => {
                    level += 1;
                    at = next + ia / span(level) % 512 * 8;
                }
                Entry::Table(_) | Entry::Leaf => return format!("L{level} maps it, entry {desc:#x}"),
                Entry::Invalid => return format!("L{level} maps nothing, entry {desc:#x}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::casemate;
    use crate::check::Config;

    const EVENTS: &str = "\
        (mem-write 1 0 plain 0x10000 0x11003)\n\
        (mem-write 2 0 plain 0x11000 0x12003)\n\
        (mem-write 3 0 plain 0x12000 0x13003)\n\
        (mem-write 4 0 plain 0x13000 0x400007ff)\n\
        (mem-write 5 0 plain 0x13008 0x0)\n\
        (sysreg-write 6 0 vttbr_el2 0x10000)\n";

    #[test]
    fn a_side_is_walked_as_far_as_events_tell() {
        let mut checker = Checker::new(Config::default());
        for event in &casemate::parse(EVENTS).expect("events").events {
            checker.event(event);
        }
        assert_eq!(checker.look(Side::Cpu, 0x123), "L3 maps it, entry 0x400007ff");
        assert_eq!(checker.look(Side::Cpu, 0x1000), "L3 maps nothing, entry 0x0");
        assert_eq!(checker.look(Side::Cpu, u64::MAX), "no address of this table");
        assert!(checker.look(Side::Smmu, 0).starts_with("not known"));
    }
}
