//! Entries: of translation tables, of the stream table, and of the array of page states.

use parallax_addr::{InputAddr, Ipa, PAGE_SIZE, PhysAddr};
use parallax_model::{Lane, Span};
use parallax_vmsa::desc::Level;

use super::context::{OperationContext, Wanted};
use super::state::Frame;

/// What a store changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An entry of a translation table.
    Page {
        /// Who walks it.
        lanes: Vec<Lane>,
        /// The table's level.
        level: Level,
        /// The input addresses that it translates.
        span: Span<InputAddr>,
        /// Whether a walk could reach it before the operation.
        live: bool,
    },
    /// A stream table entry.
    Stream {
        /// The StreamID.
        sid: u64,
    },
    /// The state of a page frame.
    State(Frame),
}

impl Entry {
    /// The entry that the word at `pa` belongs to, and the address of its first byte.
    pub(super) fn at(context: &OperationContext<'_>, pa: PhysAddr) -> Option<(Self, PhysAddr)> {
        if let Some((sid, base)) = context.streams.iter().find_map(|array| array.entry_at(pa)) {
            return Some((Self::Stream { sid }, base));
        }
        let all = context.tables.iter().map(|table| (table, true));
        let all = all.chain(context.new_tables.iter().map(|table| (table, false)));
        let mut found: Option<Self> = None;
        for (table, in_use) in all {
            let Some(here) = table.entry_at(pa) else { continue };
            match &mut found {
                Some(Self::Page { lanes, span, .. }) if *span == here => {
                    if !lanes.contains(&table.lane) {
                        lanes.push(table.lane);
                    }
                }
                Some(_) => (),
                None => {
                    let (lanes, level) = (vec![table.lane], table.level);
                    found = Some(Self::Page { lanes, level, span: here, live: in_use });
                }
            }
        }
        found.map(|entry| (entry, pa))
    }

    /// Whether it is asked for.
    pub(super) fn is_wanted(&self, wanted: Wanted, linear: u64) -> bool {
        match (self, wanted) {
            (_, Wanted { ipa: None, sid: None }) => true,
            (Self::Stream { sid }, Wanted { sid: Some(asked), .. }) => *sid == u64::from(asked),
            (Self::Page { lanes, span, .. }, Wanted { ipa: Some(ipa), .. }) => {
                let at_el2 =
                    lanes.contains(&Lane::El2) && span.contains(InputAddr::new(ipa.wrapping_add(linear)));
                span.contains(InputAddr::new(ipa)) || at_el2
            }
            (Self::State(frame), Wanted { ipa: Some(ipa), .. }) => {
                Span::new(frame.page.get(), PAGE_SIZE).contains(ipa)
            }
            _ => false,
        }
    }

    /// How it is called: `cpu L3 ram+0x20000..+0x21000`, `ste 0x8`.
    pub(super) fn name(&self, context: &OperationContext<'_>) -> String {
        match self {
            Self::Stream { sid } => format!("ste {sid:#x}"),
            Self::State(frame) => format!("page {}", context.map.span(Span::new(frame.page, PAGE_SIZE))),
            Self::Page { lanes, level, span, .. } => {
                let lanes: Vec<&str> = lanes.iter().map(|lane| lane.name()).collect();
                format!("{} {level} {}", lanes.join("+"), context.map.span(span.cast::<Ipa>()))
            }
        }
    }

    /// Whose caches may hold the entry, which was `old` before: an entry that is not valid is cached of streams only.
    pub(super) fn cached_by(&self, old: u64) -> Vec<Lane> {
        match self {
            Self::Stream { .. } => vec![Lane::Ste],
            Self::Page { lanes, live: true, .. } if old & 1 != 0 => lanes.clone(),
            Self::Page { .. } | Self::State(_) => Vec::new(),
        }
    }
}
