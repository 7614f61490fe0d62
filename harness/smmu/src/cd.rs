//! Context descriptor (IHI 0070, 5.4): where a stream's stage 1 is.

use crate::fields::fields;

/// A context descriptor: eight little-endian dwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cd(pub [u64; 8]);

fields!(Cd {
    /// T0SZ: size of the low address range.
    t0sz "T0SZ" 0[5:0] u8;
    /// TG0: granule of the low range: 0 4 KiB, 1 64 KiB, 2 16 KiB.
    tg0 "TG0" 0[7:6] u8;
    /// IR0: inner cacheability of the low range's walk.
    ir0 "IR0" 0[9:8] u8;
    /// OR0: outer cacheability of the low range's walk.
    or0 "OR0" 0[11:10] u8;
    /// SH0: shareability of the low range's walk.
    sh0 "SH0" 0[13:12] u8;
    /// EPD0: walks of the low range are disabled.
    epd0 "EPD0" 0[14:14] bool;
    /// ENDI: big-endian tables.
    endi "ENDI" 0[15:15] bool;
    /// T1SZ: size of the high address range.
    t1sz "T1SZ" 0[21:16] u8;
    /// TG1: granule of the high range: 1 16 KiB, 2 4 KiB, 3 64 KiB.
    tg1 "TG1" 0[23:22] u8;
    /// IR1: inner cacheability of the high range's walk.
    ir1 "IR1" 0[25:24] u8;
    /// OR1: outer cacheability of the high range's walk.
    or1 "OR1" 0[27:26] u8;
    /// SH1: shareability of the high range's walk.
    sh1 "SH1" 0[29:28] u8;
    /// EPD1: walks of the high range are disabled.
    epd1 "EPD1" 0[30:30] bool;
    /// V: the descriptor is valid.
    v "V" 0[31:31] bool;
    /// IPS: intermediate address size, as VTCR_EL2.PS.
    ips "IPS" 0[34:32] u8;
    /// AFFD: the Access flag never faults.
    affd "AFFD" 0[35:35] bool;
    /// WXN: writable means not executable.
    wxn "WXN" 0[36:36] bool;
    /// UWXN: writable at EL0 means not executable at EL1.
    uwxn "UWXN" 0[37:37] bool;
    /// TBI0: the top byte of low addresses is ignored.
    tbi0 "TBI0" 0[38:38] bool;
    /// TBI1: the top byte of high addresses is ignored.
    tbi1 "TBI1" 0[39:39] bool;
    /// PAN: privileged accesses never reach EL0 memory.
    pan "PAN" 0[40:40] bool;
    /// AA64: AArch64 tables.
    aa64 "AA64" 0[41:41] bool;
    /// HD: hardware manages dirty state.
    hd "HD" 0[42:42] bool;
    /// HA: hardware sets the Access flag.
    ha "HA" 0[43:43] bool;
    /// S: stage-1 faults stall.
    s "S" 0[44:44] bool;
    /// R: stage-1 faults are recorded.
    r "R" 0[45:45] bool;
    /// A: stage-1 faults abort.
    a "A" 0[46:46] bool;
    /// ASET: the ASID is not shared with CPUs.
    aset "ASET" 0[47:47] bool;
    /// ASID.
    asid "ASID" 0[63:48] u16;
    /// NSCFG0: walks of the low range are Non-secure.
    nscfg0 "NSCFG0" 1[0:0] bool;
    /// HAD0: table attributes of the low range are ignored.
    had0 "HAD0" 1[1:1] bool;
    /// TTB0: root of the low range.
    ttb0 "TTB0" 1[55:4] addr;
    /// NSCFG1: walks of the high range are Non-secure.
    nscfg1 "NSCFG1" 2[0:0] bool;
    /// HAD1: table attributes of the high range are ignored.
    had1 "HAD1" 2[1:1] bool;
    /// TTB1: root of the high range.
    ttb1 "TTB1" 2[55:4] addr;
    /// MAIR: memory attributes, as MAIR_EL1.
    mair "MAIR" 3[63:0] u64;
    /// AMAIR: auxiliary memory attributes.
    amair "AMAIR" 4[63:0] u64;
});

impl Cd {
    /// Size of a descriptor in bytes.
    pub const SIZE: u64 = 64;

    /// A descriptor from its bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut dwords = [0; 8];
        for (dword, chunk) in dwords.iter_mut().zip(bytes.as_chunks().0) {
            *dword = u64::from_le_bytes(*chunk);
        }
        Self(dwords)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_1_context_is_read_field_by_field() {
        let mut bytes = [0; 64];
        let dword0: u64 = 25
            | 1 << 8
            | 1 << 10
            | 3 << 12
            | 1 << 30
            | 1 << 31
            | 4 << 32
            | 1 << 41
            | 1 << 45
            | 1 << 46
            | 0x1234 << 48;
        bytes[..8].copy_from_slice(&dword0.to_le_bytes());
        bytes[8..16].copy_from_slice(&0x4100_1000_u64.to_le_bytes());
        bytes[24..32].copy_from_slice(&0xff44_u64.to_le_bytes());
        let cd = Cd::from_bytes(&bytes);
        assert!(cd.v() && cd.aa64() && cd.r() && cd.a() && cd.epd1() && !cd.epd0() && !cd.s());
        assert_eq!((cd.t0sz(), cd.tg0(), cd.sh0(), cd.ips(), cd.asid()), (25, 0, 3, 4, 0x1234));
        assert_eq!((cd.ttb0(), cd.mair()), (0x4100_1000, 0xff44));
    }

    #[test]
    fn no_two_fields_share_a_bit() {
        let mut seen = vec![];
        for bit in 0..320 {
            let mut cd = Cd::default();
            cd.0[bit / 64] = 1 << (bit % 64);
            let hits: Vec<_> = Cd::FIELDS.iter().filter(|field| field.value(&cd.0) != 0).collect();
            assert!(hits.len() <= 1, "bit {bit}");
            seen.extend(hits.iter().map(|field| field.name));
        }
        seen.dedup();
        assert_eq!(seen.len(), Cd::FIELDS.len(), "each field has a bit");
    }
}
