//! The commands that the host may give (IHI 0069, 5.3): an allow-list.

use super::MAX_REDISTRIBUTORS;
use super::regs::VALID;

const MOVI: u64 = 0x01;
const INT: u64 = 0x03;
const CLEAR: u64 = 0x04;
const SYNC: u64 = 0x05;
const MAPD: u64 = 0x08;
const MAPC: u64 = 0x09;
const MAPTI: u64 = 0x0a;
const INV: u64 = 0x0c;
const INVALL: u64 = 0x0d;
const MOVALL: u64 = 0x0e;
const DISCARD: u64 = 0x0f;

/// MAPD: the ITT's address, and the bits of it below its alignment.
const ITT: u64 = 0x000f_ffff_ffff_ff00;
const ITT_LOW: u64 = 0xff;
/// MAPD: EventID bits less one.
const SIZE: u64 = 0x1f;
/// ICID.
const ICID: u64 = 0xffff;
/// RDbase where it stands in a command, as an address or as a number of a processor.
pub(super) const RDBASE: u64 = 0x000f_ffff_ffff_0000;
/// INTIDs of LPIs: the tables that a redistributor may have end with them.
const LPIS: core::ops::Range<u64> = 8192..1 << 16;

/// What this ITS is for the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// GITS_TYPER as the host reads it.
    pub(super) typer: u64,
    /// DeviceIDs have so many bits.
    pub(super) device_bits: u32,
    /// EventIDs have at most so many.
    pub(super) event_bits: u32,
    /// ICIDs are below this.
    pub(super) collections: u64,
    /// Bytes of an entry of an ITT.
    pub(super) itt_entry: u64,
    /// RDbase of each redistributor, where it stands in a command.
    pub(super) targets: [Option<u64>; MAX_REDISTRIBUTORS],
}

/// A command that was checked: what the hardware gets, put together from fields that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It names no memory.
    Plain([u64; 4]),
    /// MAPD, V = 1.
    Map { device: u32, event_bits: u32, itt: u64, command: [u64; 4] },
    /// MAPD, V = 0.
    Unmap { device: u32, command: [u64; 4] },
}

/// Judges a command; `None` refuses it. `events_of` has the EventID bits of a device that is mapped.
pub(super) fn check(
    [head, one, two, three]: [u64; 4],
    limits: &Limits,
    events_of: impl Fn(u32) -> Option<u32>,
) -> Option<Checked> {
    let (opcode, device, event) = (head & 0xff, (head >> 32) as u32, one & 0xffff_ffff);
    let head = opcode | u64::from(device) << 32;
    let (icid, valid, size) = (two & ICID, two & VALID, one & SIZE);
    let event_is_mapped = || events_of(device).is_some_and(|bits| event >> bits == 0);
    let is_target = |rdbase: u64| limits.targets.contains(&Some(rdbase));
    let (first, second) = (two & RDBASE, three & RDBASE);
    let device_is_there = u64::from(device) >> limits.device_bits == 0;
    let (allowed, command) = match opcode {
        MAPD if valid != 0 => {
            let (itt, event_bits) = (two & ITT, size as u32 + 1);
            let command = [head, size, VALID | itt, 0];
            let right = device_is_there && event_bits <= limits.event_bits && two & ITT_LOW == 0;
            return right.then_some(Checked::Map { device, event_bits, itt, command });
        }
        MAPD => {
            return device_is_there.then_some(Checked::Unmap { device, command: [head, 0, 0, 0] });
        }
        MAPC if valid != 0 => {
            (icid < limits.collections && is_target(first), [opcode, 0, VALID | first | icid, 0])
        }
        MAPC => (icid < limits.collections, [opcode, 0, icid, 0]),
        MAPTI => (
            event_is_mapped() && LPIS.contains(&(one >> 32)) && icid < limits.collections,
            [head, one, icid, 0],
        ),
        MOVI => (event_is_mapped() && icid < limits.collections, [head, event, icid, 0]),
        INT | CLEAR | INV | DISCARD => (event_is_mapped(), [head, event, 0, 0]),
        INVALL => (icid < limits.collections, [opcode, 0, icid, 0]),
        MOVALL => (is_target(first) && is_target(second), [opcode, 0, first, second]),
        SYNC => (is_target(first), [opcode, 0, first, 0]),
        // MAPI is one of them: its EventID is its INTID, and EventIDs end before LPIs begin.
        _ => (false, [0; 4]),
    };
    allowed.then_some(Checked::Plain(command))
}

/// SYNC for a redistributor: all that was commanded before has been done.
pub(super) const fn sync(target: u64) -> [u64; 4] {
    [SYNC, 0, target, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        typer: 0,
        device_bits: 8,
        event_bits: 16,
        collections: 512,
        itt_entry: 12,
        targets: [Some(0), Some(1 << 16), None, None, None, None, None, None],
    };

    /// Device 8 has 5 bits of EventIDs.
    fn judged(command: [u64; 4]) -> Option<Checked> {
        check(command, &LIMITS, |device| (device == 8).then_some(5))
    }

    #[test]
    fn only_what_is_known_is_allowed_and_nothing_that_was_not_looked_at_goes_on() {
        for opcode in 0..=0xff {
            let all = judged([opcode | 8 << 32, 0x2000 << 32, 0, 0]);
            let known = [1, 3, 4, 5, 8, 9, 0xa, 0xc, 0xd, 0xe, 0xf].contains(&opcode);
            assert_eq!(all.is_some(), known, "{opcode:#x}");
        }
        let noisy = [0xffff_ff00 | INT | 8 << 32, 0xdead_0000_0003, !0, !0];
        assert_eq!(judged(noisy), Some(Checked::Plain([INT | 8 << 32, 3, 0, 0])));
        let noisy = [!0xff | SYNC, !0, 1 << 16 | 0xffff, !0];
        assert_eq!(judged(noisy), Some(Checked::Plain([SYNC, 0, 1 << 16, 0])));
    }

    #[test]
    fn a_device_and_an_itt_must_fit() {
        let map = |device: u64, size: u64, itt: u64| judged([MAPD | device << 32, size, VALID | itt, 0]);
        let command = [MAPD | 3 << 32, 4, VALID | 0x4001_2300, 0];
        let right = Checked::Map { device: 3, event_bits: 5, itt: 0x4001_2300, command };
        assert_eq!(map(3, 4, 0x4001_2300), Some(right));
        assert_eq!(map(0x100, 4, 0x4001_2300), None, "no such device");
        assert_eq!(map(3, 16, 0x4001_2300), None, "17 bits of EventIDs");
        assert_eq!(map(3, 4, 0x4001_2340), None, "not aligned");
        assert_eq!(judged([MAPD | 0x100 << 32, 0, 0, 0]), None);
        assert_eq!(
            judged([MAPD | 3 << 32, 9, 0x4001_2300, 7]),
            Some(Checked::Unmap { device: 3, command: [MAPD | 3 << 32, 0, 0, 0] })
        );
    }

    #[test]
    fn events_collections_lpis_and_targets_must_be_there() {
        let event = 8 << 32 | MAPTI;
        assert!(judged([event, 0x2000 << 32 | 31, 511, 0]).is_some());
        assert_eq!(judged([event, 0x2000 << 32 | 32, 511, 0]), None, "beyond the ITT");
        assert_eq!(judged([event, 0x2000 << 32, 512, 0]), None, "beyond the collection table");
        for intid in [0x1fff, 0x1_0000, 0xffff_ffff] {
            assert_eq!(judged([event, intid << 32, 0, 0]), None, "no LPI");
        }
        assert_eq!(judged([9 << 32 | MAPTI, 0x2000 << 32, 0, 0]), None, "not mapped");
        assert_eq!(judged([8 << 32 | 0x0b, 3, 0, 0]), None, "MAPI: its EventID is its INTID");
        assert!(judged([MAPC, 0, VALID | 1 << 16 | 3, 0]).is_some());
        assert_eq!(judged([MAPC, 0, VALID | 2 << 16 | 3, 0]), None);
        assert_eq!(judged([MOVALL, 0, 1 << 16, 2 << 16]), None);
        assert_eq!(judged([SYNC, 0, 2 << 16, 0]), None);
    }
}
