//! Commands of an ITS (IHI 0069, 5.3): 32 bytes each.

use std::fmt;

use crate::fields::Place;

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $places:expr;)*) => {
        /// Which command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CommandKind {
            $($(#[$doc])* $variant,)*
            /// A number without a meaning.
            Unknown(u8),
        }

        impl CommandKind {
            /// Every command that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The command with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Self {
                match number { $($number => Self::$variant,)* other => Self::Unknown(other) }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* Self::Unknown(number) => number }
            }

            /// The manual's name, `UNKNOWN` for a number without a meaning.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Unknown(_) => "UNKNOWN" }
            }

            /// Its fields, in order of their bits.
            #[must_use]
            pub const fn places(self) -> &'static [Place] {
                match self { $(Self::$variant => const { $places },)* Self::Unknown(_) => &[] }
            }
        }
    };
}

const DEVICE: Place = Place::new("DeviceID", 0, 63, 32);
const EVENT: Place = Place::new("EventID", 1, 31, 0);
const ICID: Place = Place::new("ICID", 2, 15, 0);
const VPEID: Place = Place::new("vPEID", 1, 47, 32);
const RDBASE: Place = Place::address("RDbase", 2, 50, 16);
const RDBASE2: Place = Place::address("RDbase2", 3, 50, 16);
const VALID: Place = Place::new("V", 2, 63, 63);
const EVENTS: &[Place] = &[DEVICE, EVENT];

commands! {
    /// Leads an event to another collection.
    Movi = 0x01, "MOVI", &[DEVICE, EVENT, ICID];
    /// Makes an event's interrupt pending.
    Int = 0x03, "INT", EVENTS;
    /// Takes an event's interrupt back.
    Clear = 0x04, "CLEAR", EVENTS;
    /// Waits until a redistributor has what was commanded before.
    Sync = 0x05, "SYNC", &[RDBASE];
    /// Gives a device its ITT.
    Mapd = 0x08, "MAPD", &[DEVICE, Place::new("Size", 1, 4, 0), Place::address("ITT_addr", 2, 51, 8), VALID];
    /// Leads a collection to a redistributor.
    Mapc = 0x09, "MAPC", &[ICID, RDBASE, VALID];
    /// Leads an event to an interrupt and a collection.
    Mapti = 0x0a, "MAPTI", &[DEVICE, EVENT, Place::new("pINTID", 1, 63, 32), ICID];
    /// The same, with the EventID as the interrupt.
    Mapi = 0x0b, "MAPI", &[DEVICE, EVENT, ICID];
    /// Has the configuration of an event's interrupt read again.
    Inv = 0x0c, "INV", EVENTS;
    /// The same for all interrupts of a collection.
    Invall = 0x0d, "INVALL", &[ICID];
    /// Moves all pending interrupts from one redistributor to another.
    Movall = 0x0e, "MOVALL", &[RDBASE, RDBASE2];
    /// Takes an event's interrupt back and forgets the event.
    Discard = 0x0f, "DISCARD", EVENTS;
    /// Leads a virtual interrupt to another vPE.
    Vmovi = 0x21, "VMOVI", &[DEVICE, EVENT, VPEID, Place::new("D", 2, 0, 0), Place::new("Dbell_pINTID", 2, 63, 32)];
    /// Moves a vPE to another redistributor.
    Vmovp = 0x22, "VMOVP", &[Place::new("Sequence Number", 0, 47, 32), VPEID, Place::new("ITSList", 1, 15, 0), RDBASE];
    /// Makes virtual SGIs pending or not.
    Vsgi = 0x23, "VSGI", &[Place::new("vINTID", 0, 35, 32), VPEID];
    /// Waits until the redistributor of a vPE has what was commanded before.
    Vsync = 0x25, "VSYNC", &[VPEID];
    /// Gives a vPE its pending table.
    Vmapp = 0x29, "VMAPP", &[VPEID, RDBASE, VALID, Place::new("VPT_size", 3, 4, 0), Place::address("VPT_addr", 3, 51, 16)];
    /// Leads an event to a virtual interrupt.
    Vmapti = 0x2a, "VMAPTI", &[DEVICE, EVENT, VPEID, Place::new("vINTID", 2, 31, 0), Place::new("Dbell_pINTID", 2, 63, 32)];
    /// The same, with the EventID as the interrupt.
    Vmapi = 0x2b, "VMAPI", &[DEVICE, EVENT, VPEID, Place::new("Dbell_pINTID", 2, 63, 32)];
    /// Has the configuration of all interrupts of a vPE read again.
    Vinvall = 0x2d, "VINVALL", &[VPEID];
    /// Has the configuration of a vPE's default doorbell read again.
    Invdb = 0x2e, "INVDB", &[VPEID];
}

/// A command as it stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(pub [u64; 4]);

impl Command {
    /// Bytes of a command.
    pub const BYTES: u64 = 32;

    /// A command from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self(words)
    }

    /// Which command it is.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        CommandKind::from_number(self.0[0] as u8)
    }

    /// The value of field `name`, `None` when this command has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u64> {
        let place = self.kind().places().iter().find(|place| place.name == name)?;
        Some(place.value(&self.0))
    }

    /// The bits that are set and belong to no field of this command: RES0, or of a number without a meaning all of them.
    #[must_use]
    pub fn reserved(&self) -> [u64; 4] {
        let mut known = [0xff, 0, 0, 0];
        for place in self.kind().places() {
            known[place.word] |= u64::MAX >> (63 - (place.hi - place.lo)) << place.lo;
        }
        let mut rest = self.0;
        rest.iter_mut().zip(known).for_each(|(word, known)| *word &= !known);
        rest
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        if let CommandKind::Unknown(_) = self.kind() {
            return self.0.iter().try_for_each(|word| write!(f, " {word:#018x}"));
        }
        for place in self.kind().places() {
            match place.value(&self.0) {
                value if place.address || value > 0xffff => write!(f, " {}={value:#x}", place.name)?,
                value => write!(f, " {}={value}", place.name)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_field_by_field() {
        let cases = [
            ([8 | 1 << 32, 4, 1 << 63 | 0x4602_1000, 0], "MAPD DeviceID=1 Size=4 ITT_addr=0x46021000 V=1"),
            ([9, 0, 1 << 63 | 1 << 16 | 3, 0], "MAPC ICID=3 RDbase=0x10000 V=1"),
            ([0xa | 8 << 32, 8192 << 32 | 2, 5, 0], "MAPTI DeviceID=8 EventID=2 pINTID=8192 ICID=5"),
            ([0xe, 0, 1 << 16, 2 << 16], "MOVALL RDbase=0x10000 RDbase2=0x20000"),
            (
                [0x29, 3 << 32, 0, 0x4602_0000 | 15],
                "VMAPP vPEID=3 RDbase=0x0 V=0 VPT_size=15 VPT_addr=0x46020000",
            ),
            (
                [0, 1, 2, 3],
                "UNKNOWN 0x0000000000000000 0x0000000000000001 0x0000000000000002 0x0000000000000003",
            ),
        ];
        for (raw, text) in cases {
            assert_eq!(Command(raw).to_string(), text);
        }
        assert_eq!(Command(cases[0].0).field("ITT_addr"), Some(0x4602_1000));
        assert_eq!(Command(cases[0].0).field("ICID"), None);
    }

    #[test]
    fn bits_of_no_field_are_reserved() {
        let int = |first: u64, event: u64| Command([first, event, 0, 0]).reserved();
        assert_eq!(int(3 | 9 << 32, 7), [0; 4]);
        assert_eq!(int(3 | 0x100, 7 | 1 << 32), [0x100, 1 << 32, 0, 0]);
        assert_eq!(Command([0xa, u64::MAX, 0xffff, 1]).reserved(), [0, 0, 0, 1]);
        assert_eq!(Command([8, 0x1f, 1 << 63 | 0xf_ffff_ffff_ff00, 0]).reserved(), [0; 4]);
    }

    #[test]
    fn numbers_and_names_belong_together() {
        for number in 0..=255 {
            assert_eq!(CommandKind::from_number(number).number(), number);
        }
        assert_eq!(CommandKind::ALL.len(), 21);
    }

    #[test]
    fn no_two_fields_of_a_command_share_a_bit() {
        for kind in CommandKind::ALL {
            for bit in 0..256 {
                let mut raw = [0; 4];
                raw[bit / 64] = 1 << (bit % 64);
                let hits = kind.places().iter().filter(|place| place.value(&raw) != 0).count();
                assert!(hits <= 1, "{kind:?} bit {bit}");
            }
        }
    }
}
