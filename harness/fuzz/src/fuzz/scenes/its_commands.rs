//! Commands of the ITS, each with one thing at its limit, one behind it, or in bits that no field has (IHI 0069, 5.3).

use super::its::{self, ITT, VALID};
use super::{Cards, told_without_smmu as told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

/// These scenes, for an ITS with 256 devices.
pub(super) const CARDS: &[Cards] = &[(LIMITS.len(), Some(Kind::ItsLimit), |of, card| told(of, limit, card))];

/// A command's four dwords, and whether it is performed. Device 8 has 32 events, collection 0 leads to the first redistributor.
type Limit = ([u64; 4], bool);
const LIMITS: [Limit; 46] = [
    // MAPTI: the last event, and one behind it; an INTID that is no LPI; a collection that is not there.
    ([0x8_0000_000a, 8192 << 32 | 31, 0, 0], true),
    ([0x8_0000_000a, 8192 << 32 | 32, 0, 0], false),
    ([0x8_0000_000a, 8191 << 32 | 1, 0, 0], false),
    ([0x8_0000_000a, 8192 << 32 | 1, 512, 0], false),
    ([0x8_0000_000a, 8192 << 32 | 1, 511, 0], true),
    // The last LPI, and one behind it; an event that has more than 16 bits.
    ([0x8_0000_000a, 0xffff << 32 | 1, 0, 0], true),
    ([0x8_0000_000a, 0x1_0000 << 32 | 1, 0, 0], false),
    ([0x8_0000_000a, 8192 << 32 | 0x1_0001, 0, 0], false),
    // INT, of one event too many, and of a device that is not mapped.
    ([0x8_0000_0003, 32, 0, 0], false),
    ([0x9_0000_0003, 0, 0, 0], false),
    ([0x8_0000_0003, 0x1_0001, 0, 0], false),
    // CLEAR, INV, DISCARD and MOVI of one event too many, and of one with more than 16 bits.
    ([0x8_0000_0004, 32, 0, 0], false),
    ([0x8_0000_0004, 0x1_0001, 0, 0], false),
    ([0x8_0000_000c, 32, 0, 0], false),
    ([0x8_0000_000c, 0x1_0001, 0, 0], false),
    ([0x8_0000_000f, 32, 0, 0], false),
    ([0x8_0000_000f, 0x1_0001, 0, 0], false),
    ([0x8_0000_0001, 32, 0, 0], false),
    ([0x8_0000_0001, 0x1_0001, 0, 0], false),
    // A collection that is not there: MOVI, INVALL, MAPC.
    ([0x8_0000_0001, 1, 512, 0], false),
    ([0xd, 0, 512, 0], false),
    ([0x9, 0, 512, 0], false),
    ([0x9, 0, VALID | 512, 0], false),
    ([0x9, 0, VALID | 511, 0], true),
    // Bits of no field.
    ([0x8_0000_ff03, 0xdead_0000_0001, 0xdead_0000_0000, 0xbeef], true),
    ([0x8_0000_ff04, 0xdead_0000_0001, 0xdead_0000_0000, 0xbeef], true),
    ([0x8_0000_ff0c, 0xdead_0000_0001, 0xdead_0000_0000, 0xbeef], true),
    ([0x8_0000_ff0f, 0xdead_0000_0001, 0xdead_0000_0000, 0xbeef], true),
    ([0x8_0000_ff01, 0xdead_0000_0001, 0xdead_0000_0000, 0xbeef], true),
    ([0x9_0000_ff08, 0xdead_0000_0004, VALID | 0x3e00_0000_0000_0000 | ITT, 0xbeef], true),
    ([0xff09, 0xdead, VALID | 0x3e00_0000_0000_0001, 0xbeef], true),
    ([0xff0d, 0xdead, 0xdead_0000_0000, 0xbeef], true),
    // MAPD: the last device, and one behind it; 11 bits of EventIDs, and 12.
    ([0xff_0000_0008, 0, VALID | ITT, 0], true),
    ([0x100_0000_0008, 0, VALID | ITT, 0], false),
    ([0x9_0000_0008, 10, VALID | ITT, 0], true),
    ([0x9_0000_0008, 11, VALID | ITT, 0], false),
    ([0x9_0000_0008, 0x14, VALID | ITT, 0], false),
    ([0x100_0000_0008, 0, 0, 0], false),
    // MAPD: an ITT that is not at a multiple of 256.
    ([0x9_0000_0008, 4, VALID | ITT | 0x20, 0], false),
    ([0x9_0000_0008, 4, VALID | ITT | 0x80, 0], false),
    // MAPC, SYNC and MOVALL of a redistributor that is not there, also by a bit above the first 16.
    ([0x9, 0, VALID | 8 << 16 | 1, 0], false),
    ([0x9, 0, VALID | 0x1_0000 << 16 | 1, 0], false),
    ([0x5, 0, 8 << 16, 0], false),
    ([0x5, 0, 0x1_0000 << 16, 0], false),
    ([0xe, 0, 8 << 16, 0], false),
    ([0xe, 0, 0, 8 << 16], false),
];

/// MAPD of device 8, MAPC, and the command.
fn limit(card: usize, _: &mut Random, _: &mut u64) -> String {
    let ([one, two, three, four], done) = variant(card, &LIMITS);
    let reader = if done { 0x60 } else { 0x41 };
    format!(
        "{}\
         host_write_entry ipa=ram+0x701a000 value=0x800000008 second=4 third=0x800000004701b000 fourth=0\n\
         host_write_entry ipa=ram+0x701a020 value=9 second=0 third={VALID:#x} fourth=0\n\
         host_write_entry ipa=ram+0x701a040 value={one:#x} second={two:#x} third={three:#x} fourth={four:#x}\n\
         host_write ipa=mmio:its+0x88 value=0x60\n\
         host_read ipa=mmio:its+0x90 => ok value={reader:#x}\n\
         {}",
        its::on(0x4701_a000),
        its::OFF
    )
}
