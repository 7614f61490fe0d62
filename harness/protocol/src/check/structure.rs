//! Structures of 64 bytes that the SMMU caches: stream table entries and context descriptors.

use std::collections::BTreeMap;

use super::finding::{Site, Subject};
use super::rule::Rule;
use super::unclean::SmmuStep;

/// A structure of 64 bytes that the SMMU may hold a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Structure {
    /// A stream table entry.
    Ste(u32),
    /// A context descriptor of a stream.
    Cd { sid: u32, ssid: u32 },
}

/// The rules of one kind of structure.
pub(super) struct Rules {
    pub(super) valid_first: Rule,
    pub(super) live: Rule,
    pub(super) early: Rule,
    pub(super) unclean: Rule,
    /// The command that makes it clean.
    pub(super) command: &'static str,
}

impl Structure {
    /// StreamID.
    pub(super) const fn sid(self) -> u32 {
        match self {
            Self::Ste(sid) | Self::Cd { sid, .. } => sid,
        }
    }

    pub(super) const fn subject(self) -> Subject {
        match self {
            Self::Ste(sid) => Subject::Stream(sid),
            Self::Cd { sid, ssid } => Subject::Context { sid, ssid },
        }
    }

    /// V in dword 0.
    pub(super) const fn v(self, dword: u64) -> bool {
        match self {
            Self::Ste(_) => dword & 1 != 0,
            Self::Cd { .. } => dword >> 31 & 1 != 0,
        }
    }

    /// Whether dwords behind this dword 0 are used. Those of a stream table entry are not with Config 0b0xx, abort (5.2).
    pub(super) const fn uses_all(self, dword: u64) -> bool {
        match self {
            Self::Ste(_) => dword & 0b1001 == 0b1001,
            Self::Cd { .. } => self.v(dword),
        }
    }

    pub(super) const fn rules(self) -> Rules {
        match self {
            Self::Ste(_) => Rules {
                valid_first: Rule::SteValidFirst,
                live: Rule::SteLive,
                early: Rule::SteEarly,
                unclean: Rule::SteUnclean,
                command: "CMD_CFGI_STE",
            },
            Self::Cd { .. } => Rules {
                valid_first: Rule::CdValidFirst,
                live: Rule::CdLive,
                early: Rule::CdEarly,
                unclean: Rule::CdUnclean,
                command: "CMD_CFGI_CD",
            },
        }
    }
}

/// A linear table of context descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) end: u64,
    pub(super) sid: u32,
    /// Where the stream table entry is that points to it.
    pub(super) ste: u64,
}

/// The tables of context descriptors, by their first byte.
#[derive(Debug, Default)]
pub(super) struct Contexts(pub(super) BTreeMap<u64, Table>);

impl Contexts {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a table has bytes between two addresses.
    pub(super) fn overlap(&self, start: u64, end: u64) -> bool {
        self.0.range(..end).next_back().is_some_and(|(_, table)| table.end > start)
    }

    /// The descriptor that has a byte at `pa`.
    pub(super) fn at(&self, pa: u64) -> Option<Structure> {
        let (base, table) = self.0.range(..=pa).next_back().filter(|(_, table)| pa < table.end)?;
        Some(Structure::Cd { sid: table.sid, ssid: ((pa - base) / 64) as u32 })
    }
}

/// What the SMMU may still hold of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Dwords that changed since it was clean.
    pub(super) changed: u8,
    /// It was valid at some time since it was clean.
    pub(super) valid: bool,
    pub(super) step: SmmuStep,
    pub(super) time: u64,
    pub(super) by: Site,
    pub(super) reported: bool,
}
