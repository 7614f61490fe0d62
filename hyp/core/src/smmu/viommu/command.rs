//! The commands that the host may give (IHI 0070, chapter 4): an allow-list.

use crate::smmu::{Features, StreamId};

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The hardware gets this.
    Issue([u64; 2]),
    /// The entries of `count` streams from `first` on are shadowed, then the hardware gets `command`.
    Configure {
        /// The first stream.
        first: StreamId,
        /// How many.
        count: u64,
        /// The command.
        command: [u64; 2],
    },
    /// A hint that may be ignored.
    Ignore,
    /// CERROR_ILL.
    Refuse,
}

/// Dword 0, SSec: the Secure stream table.
const SSEC: u64 = 1 << 10;
/// Dword 0, ASID.
const ASID: u64 = 0xffff << 48;
/// Dword 0, StreamID.
const SID: u64 = 0xffff_ffff << 32;
/// Dword 0, NUM and SCALE of a range.
const RANGE: u64 = 0x1f << 12 | 0x1f << 20;
/// Dword 1, TTL and TG of a range.
const TTL: u64 = 0b11 << 8;
const TG: u64 = 0b11 << 10;
const TG_16K: u64 = 0b10 << 10;
/// Dword 1, the address.
const ADDRESS: u64 = !0xfff;
/// Dword 1, Leaf.
const LEAF: u64 = 1;
/// CMD_SYNC, CS.
const CS: u64 = 0b11 << 12;

/// Judges a command, and puts together what the hardware gets: only fields that were looked at, VMID 0.
pub(super) fn check([low, high]: [u64; 2], features: &Features) -> Verdict {
    let opcode = low & 0xff;
    match opcode {
        // Of stage 1, which is not there.
        0x05 | 0x06 | 0x10..=0x13 if !features.stage1 => Verdict::Refuse,
        // PREFETCH_CONFIG, PREFETCH_ADDR, CFGI_STE, CFGI_STE_RANGE and CFGI_ALL, CFGI_CD, CFGI_CD_ALL (4.1.6)
        0x01..=0x06 if low & SSEC != 0 => Verdict::Refuse,
        0x01 | 0x02 => Verdict::Ignore,
        0x03 => configure(stream(low), 1, [opcode | low & SID, high & LEAF]),
        0x04 if high & 0x1f == 31 => configure(StreamId(0), 1 << 32, [opcode, 31]),
        0x04 => {
            let count = 2 << (high & 0x1f);
            let first = StreamId(stream(low).0 & !((count - 1) as u32));
            configure(first, count, [opcode | low & SID, high & 0x1f])
        }
        0x05 => Verdict::Issue([opcode | low & (SID | 0xf_ffff << 12), high & LEAF]),
        0x06 => Verdict::Issue([opcode | low & SID, 0]),
        // TLBI_NH_ALL, NH_ASID, NH_VA, NH_VAA, NSNH_ALL. VMID 0 is the host's, whatever it says.
        0x10 => Verdict::Issue([opcode, 0]),
        0x11 => Verdict::Issue([opcode | low & ASID, 0]),
        0x12 => by_address(opcode | low & ASID, low, high, features),
        0x13 => by_address(opcode, low, high, features),
        0x30 => Verdict::Issue([opcode, 0]),
        // CMD_SYNC: no MSI is offered, and none is sent: its address stays zero.
        0x46 if low & CS == CS => Verdict::Refuse,
        0x46 => Verdict::Issue([opcode | low & CS, 0]),
        _ => Verdict::Refuse,
    }
}

const fn stream(low: u64) -> StreamId {
    StreamId((low >> 32) as u32)
}

const fn configure(first: StreamId, count: u64, command: [u64; 2]) -> Verdict {
    Verdict::Configure { first, count, command }
}

/// TLBI_NH_VA and NH_VAA, with the range that SMMUs with IDR3.RIL take; `head` is dword 0 without it (4.4.1).
const fn by_address(head: u64, low: u64, high: u64, features: &Features) -> Verdict {
    let (range, tg, ttl) = (low & RANGE, high & TG, high & TTL);
    if !features.range_invalidation || tg == 0 {
        return Verdict::Issue([head, high & (ADDRESS | LEAF)]);
    }
    let reserved = range == 0 && ttl == 0 || tg == TG_16K && ttl == 1 << 8;
    if reserved {
        return Verdict::Refuse;
    }
    Verdict::Issue([head | range, high & (ADDRESS | LEAF | TTL | TG)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(low: u64, high: u64) -> Verdict {
        check([low, high], &Features::SAMPLE)
    }

    #[test]
    fn the_hosts_vmid_is_forced_to_zero() {
        for opcode in [0x10, 0x11, 0x12, 0x13] {
            let Verdict::Issue([low, _]) = judged(opcode | 7 << 32 | 5 << 48, 0x1000) else { panic!() };
            assert_eq!(low & 0xffff << 32, 0);
        }
    }

    #[test]
    fn commands_of_the_hypervisors_stage_are_refused() {
        for opcode in
            [0x00, 0x07, 0x18, 0x20, 0x21, 0x22, 0x28, 0x2a, 0x40, 0x41, 0x44, 0x45, 0x47, 0x50, 0xff]
        {
            assert_eq!(judged(opcode, 0), Verdict::Refuse, "{opcode:#x}");
        }
        for opcode in 0x01..=0x06 {
            assert_eq!(judged(opcode | SSEC, 0), Verdict::Refuse, "{opcode:#x}");
        }
    }

    #[test]
    fn commands_of_stage_1_need_one() {
        let features = Features { stage1: false, ..Features::SAMPLE };
        for opcode in [0x05, 0x06, 0x10, 0x11, 0x12, 0x13] {
            assert_eq!(check([opcode, 0], &features), Verdict::Refuse, "{opcode:#x}");
            assert!(matches!(judged(opcode, 0), Verdict::Issue(_)), "{opcode:#x}");
        }
        assert!(matches!(check([0x30, 0], &features), Verdict::Issue(_)));
    }

    #[test]
    fn a_sync_loses_its_msi() {
        let msi = 0x46 | 1 << 12 | 0xdead_beef << 32;
        assert_eq!(judged(msi, 0x4008_0000), Verdict::Issue([0x46 | 1 << 12, 0]));
        assert_eq!(judged(0x46 | 3 << 12, 0), Verdict::Refuse);
    }

    #[test]
    fn a_range_of_streams_is_aligned_to_its_size() {
        let verdict = judged(0x04 | 0x13 << 32, 3);
        assert!(
            matches!(verdict, Verdict::Configure { first: StreamId(0x10), count: 16, .. }),
            "{verdict:?}"
        );
        let verdict = judged(0x04, 31);
        assert!(matches!(verdict, Verdict::Configure { first: StreamId(0), count: 0x1_0000_0000, .. }));
    }

    #[test]
    fn a_range_of_addresses_keeps_only_what_is_defined() {
        let high = 0x1234_5000 | TG_16K | 2 << 8 | 1 << 7 | LEAF;
        let Verdict::Issue([low, high]) = judged(0x12 | 3 << 12 | 1 << 20 | 1 << 30 | 9 << 48, high) else {
            panic!()
        };
        assert_eq!((low, high), (0x12 | 3 << 12 | 1 << 20 | 9 << 48, 0x1234_5000 | TG_16K | 2 << 8 | LEAF));
        assert_eq!(judged(0x12, TG), Verdict::Refuse);
        assert_eq!(judged(0x12 | 3 << 12, TG_16K | 1 << 8), Verdict::Refuse);
    }
}
