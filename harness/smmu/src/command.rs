//! Commands (IHI 0070, chapter 4): 16 bytes each, the opcode in bits 7:0.

use std::fmt;

use crate::fields::Place;
use crate::record::{kinds, reserved, write};

const SSEC: Place = Place::new("SSec", 0, 10, 10);
const SSV: Place = Place::new("SSV", 0, 11, 11);
const SSID: Place = Place::new("SubstreamID", 0, 31, 12);
const SID: Place = Place::new("StreamID", 0, 63, 32);
const NUM: Place = Place::new("NUM", 0, 16, 12);
const SCALE: Place = Place::new("SCALE", 0, 24, 20);
const VMID: Place = Place::new("VMID", 0, 47, 32);
const ASID: Place = Place::new("ASID", 0, 63, 48);
const LEAF: Place = Place::new("Leaf", 1, 0, 0);
const TTL: Place = Place::new("TTL", 1, 9, 8);
const TG: Place = Place::new("TG", 1, 11, 10);
const VA: Place = Place::address("Address", 1, 63, 12);
const IPA: Place = Place::address("Address", 1, 55, 12);

const TLBI_VMID_ASID_VA: &[Place] = &[NUM, SCALE, VMID, ASID, LEAF, TTL, TG, VA];
const TLBI_VMID_VA: &[Place] = &[NUM, SCALE, VMID, LEAF, TTL, TG, VA];
const TLBI_ASID_VA: &[Place] = &[NUM, SCALE, ASID, LEAF, TTL, TG, VA];
const TLBI_VA: &[Place] = &[NUM, SCALE, LEAF, TTL, TG, VA];
const TLBI_IPA: &[Place] = &[NUM, SCALE, VMID, LEAF, TTL, TG, IPA];
const TLBI_S_IPA: &[Place] = &[NUM, SCALE, VMID, LEAF, TTL, TG, IPA, Place::new("NS", 1, 63, 63)];

kinds! {
    /// Which command.
    CommandKind {
        /// Fetch configuration ahead.
        PrefetchConfig = 0x01, "CMD_PREFETCH_CONFIG", &[SSEC, SSV, SSID, SID];
        /// Fetch translations ahead.
        PrefetchAddr = 0x02, "CMD_PREFETCH_ADDR", &[SSEC, SSV, SSID, SID, Place::new("Size", 1, 4, 0),
            Place::new("Stride", 1, 9, 5), Place::new("NS", 1, 10, 10), VA];
        /// Invalidate the configuration of one stream.
        CfgiSte = 0x03, "CMD_CFGI_STE", &[SSEC, SID, LEAF];
        /// Invalidate the configuration of 2^(Range + 1) streams; with Range = 31, of all (CMD_CFGI_ALL).
        CfgiSteRange = 0x04, "CMD_CFGI_STE_RANGE", &[SSEC, SID, Place::new("Range", 1, 4, 0)];
        /// Invalidate one context descriptor.
        CfgiCd = 0x05, "CMD_CFGI_CD", &[SSEC, SSID, SID, LEAF];
        /// Invalidate all context descriptors of one stream.
        CfgiCdAll = 0x06, "CMD_CFGI_CD_ALL", &[SSEC, SID];
        /// Invalidate cached MPAM mappings of a VMID.
        CfgiVmsPidm = 0x07, "CMD_CFGI_VMS_PIDM", &[SSEC, VMID];
        /// Invalidate EL1 stage-1 entries of a VMID.
        TlbiNhAll = 0x10, "CMD_TLBI_NH_ALL", &[VMID];
        /// Invalidate EL1 entries of a VMID and ASID.
        TlbiNhAsid = 0x11, "CMD_TLBI_NH_ASID", &[VMID, ASID];
        /// Invalidate EL1 entries of a VMID, ASID and address.
        TlbiNhVa = 0x12, "CMD_TLBI_NH_VA", TLBI_VMID_ASID_VA;
        /// Invalidate EL1 entries of a VMID and address in every ASID.
        TlbiNhVaa = 0x13, "CMD_TLBI_NH_VAA", TLBI_VMID_VA;
        /// Invalidate all EL3 entries.
        TlbiEl3All = 0x18, "CMD_TLBI_EL3_ALL", &[];
        /// Invalidate EL3 entries of an address.
        TlbiEl3Va = 0x1a, "CMD_TLBI_EL3_VA", TLBI_VA;
        /// Invalidate all EL2 entries.
        TlbiEl2All = 0x20, "CMD_TLBI_EL2_ALL", &[];
        /// Invalidate EL2 entries of an ASID.
        TlbiEl2Asid = 0x21, "CMD_TLBI_EL2_ASID", &[ASID];
        /// Invalidate EL2 entries of an ASID and address.
        TlbiEl2Va = 0x22, "CMD_TLBI_EL2_VA", TLBI_ASID_VA;
        /// Invalidate EL2 entries of an address in every ASID.
        TlbiEl2Vaa = 0x23, "CMD_TLBI_EL2_VAA", TLBI_VA;
        /// Invalidate stage 1 and stage 2 entries of a VMID.
        TlbiS12Vmall = 0x28, "CMD_TLBI_S12_VMALL", &[VMID];
        /// Invalidate stage-2 entries of a VMID and IPA.
        TlbiS2Ipa = 0x2a, "CMD_TLBI_S2_IPA", TLBI_IPA;
        /// Invalidate all Non-secure EL1 entries of every VMID.
        TlbiNsnhAll = 0x30, "CMD_TLBI_NSNH_ALL", &[];
        /// Send an ATS invalidation.
        AtcInv = 0x40, "CMD_ATC_INV", &[Place::new("G", 0, 9, 9), SSV, SSID, SID, Place::new("Size", 1, 5, 0), VA];
        /// Answer a page request.
        PriResp = 0x41, "CMD_PRI_RESP", &[SSV, SSID, SID, Place::new("PRGIndex", 1, 8, 0), Place::new("Resp", 1, 13, 12)];
        /// Resume a stalled transaction.
        Resume = 0x44, "CMD_RESUME", &[SSEC, Place::new("Ac", 0, 12, 12), Place::new("Ab", 0, 13, 13), SID,
            Place::new("STAG", 1, 15, 0)];
        /// Terminate stalled transactions of a stream.
        StallTerm = 0x45, "CMD_STALL_TERM", &[SSEC, SID];
        /// Wait until all commands before it are complete.
        Sync = 0x46, "CMD_SYNC", &[Place::new("CS", 0, 13, 12), Place::new("MSH", 0, 23, 22),
            Place::new("MSIAttr", 0, 27, 24), Place::new("MSIData", 0, 63, 32), Place::address("MSIAddr", 1, 55, 2)];
        /// Invalidate all Secure EL2 entries.
        TlbiSEl2All = 0x50, "CMD_TLBI_S_EL2_ALL", &[];
        /// Invalidate Secure EL2 entries of an ASID.
        TlbiSEl2Asid = 0x51, "CMD_TLBI_S_EL2_ASID", &[ASID];
        /// Invalidate Secure EL2 entries of an ASID and address.
        TlbiSEl2Va = 0x52, "CMD_TLBI_S_EL2_VA", TLBI_ASID_VA;
        /// Invalidate Secure EL2 entries of an address in every ASID.
        TlbiSEl2Vaa = 0x53, "CMD_TLBI_S_EL2_VAA", TLBI_VA;
        /// Invalidate Secure stage 1 and stage 2 entries of a VMID.
        TlbiSS12Vmall = 0x58, "CMD_TLBI_S_S12_VMALL", &[VMID];
        /// Invalidate Secure stage-2 entries of a VMID and IPA.
        TlbiSS2Ipa = 0x5a, "CMD_TLBI_S_S2_IPA", TLBI_S_IPA;
        /// Invalidate all Secure EL1 entries.
        TlbiSnhAll = 0x60, "CMD_TLBI_SNH_ALL", &[];
        /// Invalidate all of the device permission table's cache.
        DptiAll = 0x70, "CMD_DPTI_ALL", &[];
        /// Invalidate the device permission table's cache for an address.
        DptiPa = 0x73, "CMD_DPTI_PA", &[LEAF, Place::address("Address", 1, 55, 12)];
    }
}

/// A command as it stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(pub [u64; 2]);

impl Command {
    /// Size of a command in bytes.
    pub const SIZE: usize = 16;

    /// A command from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut words = [0; 2];
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

    /// Its fields with their values, in order of their bits.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let raw = self.0;
        self.kind().places().iter().map(move |place| (place.name, place.value(&raw)))
    }

    /// The value of field `name`, `None` when this command has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u64> {
        self.fields().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Bits that are set although no field of this command covers them.
    #[must_use]
    pub fn reserved_bits(&self) -> [u64; 2] {
        reserved(&self.0, self.kind().places())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            CommandKind::Unknown(_) => write!(f, "UNKNOWN {:#018x} {:#018x}", self.0[0], self.0[1]),
            kind => write(f, kind.name(), kind.places(), &self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opcode_is_the_specifications() {
        let numbers: Vec<u8> = CommandKind::ALL.iter().map(|kind| kind.number()).collect();
        let expected = [
            0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x18, 0x1a, 0x20, 0x21, 0x22,
            0x23, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x45, 0x46, 0x50, 0x51, 0x52, 0x53, 0x58, 0x5a, 0x60,
            0x70, 0x73,
        ];
        assert_eq!(numbers, expected);
        for number in 0..=255 {
            assert_eq!(CommandKind::from_number(number).number(), number);
        }
    }

    #[test]
    fn commands_are_read_field_by_field() {
        let cases = [
            (
                [0x2a | 7 << 32, 0x4012_3000 | 1],
                "CMD_TLBI_S2_IPA NUM=0 SCALE=0 VMID=7 Leaf=1 TTL=0 TG=0 Address=0x40123000",
            ),
            (
                [0x2a | 3 << 12 | 2 << 20, 0x4012_3000 | 3 << 8 | 1 << 10],
                "CMD_TLBI_S2_IPA NUM=3 SCALE=2 VMID=0 Leaf=0 TTL=3 TG=1 Address=0x40123000",
            ),
            ([0x03 | 8 << 32, 1], "CMD_CFGI_STE SSec=0 StreamID=8 Leaf=1"),
            ([0x04, 31], "CMD_CFGI_STE_RANGE SSec=0 StreamID=0 Range=31"),
            ([0x28 | 0x1234 << 32, 0], "CMD_TLBI_S12_VMALL VMID=4660"),
            (
                [0x46 | 1 << 12 | 3 << 22 | 0xf << 24 | 5 << 32, 0x4000_1004],
                "CMD_SYNC CS=1 MSH=3 MSIAttr=15 MSIData=5 MSIAddr=0x40001004",
            ),
            (
                [0x12 | 1 << 32 | 9 << 48, 0xffff_8000_0000_1000],
                "CMD_TLBI_NH_VA NUM=0 SCALE=0 VMID=1 ASID=9 Leaf=0 TTL=0 TG=0 Address=0xffff800000001000",
            ),
        ];
        for (raw, text) in cases {
            let command = Command(raw);
            assert_eq!(command.to_string(), text);
            assert_eq!(command.reserved_bits(), [0, 0], "{text}");
        }
    }

    #[test]
    fn a_field_is_found_by_name_or_not_at_all() {
        let command = Command([0x28 | 5 << 32, 0]);
        assert_eq!(command.field("VMID"), Some(5));
        assert_eq!(command.field("Address"), None);
    }

    #[test]
    fn bits_outside_the_fields_are_reported() {
        assert_eq!(Command([0x30 | 1 << 40, 2]).reserved_bits(), [1 << 40, 2]);
        assert_eq!(Command([0xff, 0]).to_string(), "UNKNOWN 0x00000000000000ff 0x0000000000000000");
    }

    #[test]
    fn bytes_are_little_endian() {
        let mut bytes = [0; 16];
        bytes[0] = 0x46;
        bytes[8] = 0x04;
        assert_eq!(Command::from_bytes(&bytes), Command([0x46, 4]));
    }
}
