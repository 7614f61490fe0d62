//! Context descriptors: where they are (IHI 0070, 5.2, S1ContextPtr), and what tells them from stream table entries.

use std::collections::BTreeMap;

use parallax_smmu::Ste;

use super::Checker;
use super::finding::Subject;
use super::rule::Rule;

/// SubstreamIDs have 20 bits at most.
const SSID_BITS: u8 = 20;

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
struct Table {
    end: u64,
    sid: u32,
    /// Where the stream table entry is that points to it.
    ste: u64,
}

/// The tables of context descriptors, by their first byte.
#[derive(Debug, Default)]
pub(super) struct Contexts(BTreeMap<u64, Table>);

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

/// The linear table that a valid entry with a stage 1 points to: first byte and end.
fn table(ste: &Ste) -> Option<(u64, u64)> {
    let log2 = ste.s1cdmax();
    let linear = ste.s1fmt() == 0 || log2 == 0;
    let used = ste.0[0] & 1 != 0 && ste.config().stage1() && linear && log2 <= SSID_BITS;
    used.then(|| (ste.s1_context_ptr(), ste.s1_context_ptr() + (64 << log2)))
}

impl Checker {
    /// The context descriptors of a valid entry are live from here on.
    pub(super) fn find_contexts(&mut self, sid: u32, pa: u64) {
        if let Some((base, end)) = table(&self.ste(pa)) {
            self.smmu.contexts.0.insert(base, Table { end, sid, ste: pa });
        }
    }

    /// The SMMU has dropped the old copy of the entry of `sid`: tables that only that one pointed to are memory again.
    pub(super) fn forget_contexts(&mut self, sid: u32) {
        let mut contexts = std::mem::take(&mut self.smmu.contexts);
        contexts.0.retain(|base, of| {
            of.sid != sid || table(&self.ste(of.ste)).is_some_and(|(now, _)| now == *base)
        });
        if !contexts.0.values().any(|of| of.sid == sid) {
            let open = &mut self.smmu.streams_open;
            self.smmu.streams.retain(|structure, stream| {
                let gone = matches!(structure, Structure::Cd { sid: of, .. } if *of == sid);
                *open -= usize::from(gone && !stream.reported);
                !gone
            });
        }
        self.smmu.contexts = contexts;
    }
}
