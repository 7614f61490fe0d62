//! Event records (IHI 0070, 7.3): 32 bytes each, the event number in bits 7:0.

use std::fmt;

use crate::fields::{Place, bits};
use crate::record::{kinds, reserved, write};

const SSV: Place = Place::new("SSV", 0, 11, 11);
const SSID: Place = Place::new("SubstreamID", 0, 31, 12);
const SID: Place = Place::new("StreamID", 0, 63, 32);
const STAG: Place = Place::new("STAG", 1, 15, 0);
const REASON: Place = Place::new("Reason", 1, 15, 0);
const STALL: Place = Place::new("Stall", 1, 31, 31);
const PNU: Place = Place::new("PnU", 1, 33, 33);
const IND: Place = Place::new("InD", 1, 34, 34);
const RNW: Place = Place::new("RnW", 1, 35, 35);
const S2: Place = Place::new("S2", 1, 39, 39);
const CLASS: Place = Place::new("CLASS", 1, 41, 40);
const ADDR: Place = Place::address("InputAddr", 2, 63, 0);
const IPA: Place = Place::address("IPA", 3, 55, 12);
const FETCH: Place = Place::address("FetchAddr", 3, 55, 3);

const CONFIG: &[Place] = &[SSV, SSID, SID];
const CONFIG_FETCH: &[Place] = &[SSV, SSID, SID, REASON, FETCH];
const FAULT: &[Place] = &[SSV, SSID, SID, STAG, STALL, PNU, IND, RNW, S2, CLASS, ADDR, IPA];

kinds! {
    /// Which event.
    EventKind {
        /// The device's transaction is of a kind that the SMMU does not support.
        FUut = 0x01, "F_UUT", &[SSV, SSID, SID, REASON, PNU, IND, RNW, ADDR];
        /// The StreamID is out of range.
        CBadStreamid = 0x02, "C_BAD_STREAMID", CONFIG;
        /// The stream table entry could not be read.
        FSteFetch = 0x03, "F_STE_FETCH", CONFIG_FETCH;
        /// The stream table entry is invalid or ILLEGAL.
        CBadSte = 0x04, "C_BAD_STE", CONFIG;
        /// An ATS translation request is not allowed.
        FBadAtsTreq = 0x05, "F_BAD_ATS_TREQ", &[SSV, SSID, SID, ADDR];
        /// The stream accepts only transactions with a substream.
        FStreamDisabled = 0x06, "F_STREAM_DISABLED", &[SID];
        /// A translated transaction is not allowed.
        FTranslForbidden = 0x07, "F_TRANSL_FORBIDDEN", &[SSV, SSID, SID, RNW, ADDR];
        /// The SubstreamID is out of range.
        CBadSubstreamid = 0x08, "C_BAD_SUBSTREAMID", &[SSID, SID];
        /// The context descriptor could not be read.
        FCdFetch = 0x09, "F_CD_FETCH", CONFIG_FETCH;
        /// The context descriptor is invalid or ILLEGAL.
        CBadCd = 0x0a, "C_BAD_CD", CONFIG;
        /// A translation table could not be read.
        FWalkEabt = 0x0b, "F_WALK_EABT", &[SSV, SSID, SID, REASON, PNU, IND, RNW, S2, CLASS, ADDR, FETCH];
        /// Translation fault.
        FTranslation = 0x10, "F_TRANSLATION", FAULT;
        /// Address size fault.
        FAddrSize = 0x11, "F_ADDR_SIZE", FAULT;
        /// Access flag fault.
        FAccess = 0x12, "F_ACCESS", FAULT;
        /// Permission fault.
        FPermission = 0x13, "F_PERMISSION", &[SSV, SSID, SID, STAG, STALL, PNU, IND, RNW, S2, CLASS,
            Place::new("TTRnW", 1, 44, 44), ADDR, IPA];
        /// Two TLB entries match.
        FTlbConflict = 0x20, "F_TLB_CONFLICT", &[SSV, SSID, SID, REASON, PNU, IND, RNW, S2, ADDR, IPA];
        /// Two cached configurations match.
        FCfgConflict = 0x21, "F_CFG_CONFLICT", &[SSV, SSID, SID, REASON];
        /// A page request hint.
        EPageRequest = 0x24, "E_PAGE_REQUEST", &[SSV, SSID, SID, ADDR];
        /// The virtual machine structure could not be read.
        FVmsFetch = 0x25, "F_VMS_FETCH", CONFIG_FETCH;
    }
}

/// What the SMMU was doing when it met a fault (CLASS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 0: fetching a context descriptor.
    Cd,
    /// 1: fetching a stage-1 translation table descriptor.
    Ttd,
    /// 2: translating the transaction's own address.
    In,
    /// 3: reserved.
    Reserved,
}

/// An event record as it stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event(pub [u64; 4]);

impl Event {
    /// Size of a record in bytes.
    pub const SIZE: usize = 32;

    /// A record from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self(words)
    }

    /// Which event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        EventKind::from_number(self.0[0] as u8)
    }

    /// StreamID of the transaction; every event has one.
    #[must_use]
    pub const fn stream_id(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// CLASS, for events that have it.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        self.kind().places().contains(&CLASS).then(|| match bits(self.0[1], 41, 40) {
            0 => Class::Cd,
            1 => Class::Ttd,
            2 => Class::In,
            _ => Class::Reserved,
        })
    }

    /// Its fields with their values, in order of their bits.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let raw = self.0;
        self.kind().places().iter().map(move |place| (place.name, place.value(&raw)))
    }

    /// The value of field `name`, `None` when this event has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u64> {
        self.fields().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Bits that are set although no field of this event covers them. Extensions that are not decoded show here.
    #[must_use]
    pub fn reserved_bits(&self) -> [u64; 4] {
        reserved(&self.0, self.kind().places())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            EventKind::Unknown(number) => {
                write!(f, "UNKNOWN event {number:#04x} StreamID={}", self.stream_id())
            }
            kind => write(f, kind.name(), kind.places(), &self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_the_specifications() {
        let numbers: Vec<u8> = EventKind::ALL.iter().map(|kind| kind.number()).collect();
        let expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x24, 0x25];
        assert_eq!(numbers, expected);
        assert_eq!(EventKind::from_number(0x10).name(), "F_TRANSLATION");
        assert_eq!(EventKind::from_number(0x7f), EventKind::Unknown(0x7f));
    }

    #[test]
    fn a_stage_2_translation_fault_is_read_field_by_field() {
        let event = Event([0x10 | 8 << 32, 1 << 35 | 1 << 39 | 2 << 40, 0x4012_3456, 0x4012_3000]);
        assert_eq!(event.kind(), EventKind::FTranslation);
        assert_eq!(event.stream_id(), 8);
        assert_eq!(event.class(), Some(Class::In));
        assert_eq!(event.field("S2"), Some(1));
        assert_eq!(event.field("RnW"), Some(1));
        assert_eq!(event.field("InputAddr"), Some(0x4012_3456));
        assert_eq!(event.field("IPA"), Some(0x4012_3000));
        assert_eq!(event.reserved_bits(), [0; 4]);
        let text = "F_TRANSLATION SSV=0 SubstreamID=0 StreamID=8 STAG=0 Stall=0 PnU=0 InD=0 RnW=1 S2=1 CLASS=2 \
                    InputAddr=0x40123456 IPA=0x40123000";
        assert_eq!(event.to_string(), text);
    }

    #[test]
    fn configuration_events_have_no_address_and_no_class() {
        let event = Event([0x02 | 0x1_0000 << 32, 0, 0, 0]);
        assert_eq!((event.kind(), event.class()), (EventKind::CBadStreamid, None));
        assert_eq!(event.to_string(), "C_BAD_STREAMID SSV=0 SubstreamID=0 StreamID=0x10000");
        assert_eq!(event.field("InputAddr"), None);
    }

    #[test]
    fn a_fetch_event_names_the_address_of_the_entry() {
        let event = Event([0x03 | 1 << 32, 0, 0, 0x4800_0040]);
        assert_eq!(event.field("FetchAddr"), Some(0x4800_0040));
        assert_eq!(Event([0x03, 0, 5, 0]).reserved_bits(), [0, 0, 5, 0]);
    }
}
