//! Which commands the ITS refuses (docs/masters.md; IHI 0069, 5.3).

use std::ops::Range;

use parallax_gic::{Command, CommandKind, Cte};

/// GITS_TYPER.ID_bits: bits of an EventID, less one, at most.
const MOST_EVENTS: u64 = 10;
/// Collections: as many as one page has entries.
const COLLECTIONS: u64 = 0x1000 / Cte::BYTES;
/// LPIs: INTIDs of 16 bits are the most that the tables of a redistributor may have.
const LPIS: Range<u64> = 8192..1 << 16;

/// What there is to be named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// DeviceIDs.
    pub(super) devices: u64,
    /// Redistributors.
    pub(super) redistributors: u64,
}

impl Limits {
    /// Whether `command` is performed, or ignored by the hardware, and not refused, as far as it does not go by memory. Its device
    /// has so many `events`. Nothing where that is open.
    pub(super) fn allow(self, command: &Command, events: u64) -> Option<bool> {
        let field = |name| command.field(name).unwrap_or(0);
        let collection = field("ICID") < COLLECTIONS;
        let processor = |name| field(name) >> 16 < self.redistributors;
        let event = field("EventID") < events;
        Some(match command.kind() {
            CommandKind::Mapd => {
                let right = field("Size") <= MOST_EVENTS && command.0[2].is_multiple_of(256);
                field("DeviceID") < self.devices && (field("V") == 0 || right)
            }
            // What RDbase says there, counts for nothing in the manual.
            CommandKind::Mapc if field("V") == 0 && !processor("RDbase") => return None,
            CommandKind::Mapc => collection && processor("RDbase"),
            CommandKind::Mapti => event && collection && LPIS.contains(&field("pINTID")),
            CommandKind::Movi => event && collection,
            CommandKind::Int | CommandKind::Clear | CommandKind::Inv | CommandKind::Discard => event,
            CommandKind::Invall => collection,
            CommandKind::Movall => processor("RDbase") && processor("RDbase2"),
            CommandKind::Sync => processor("RDbase"),
            // No EventID is an LPI's INTID: so is MAPI.
            _ => false,
        })
    }
}
