//! Whether values can be those of an SMMUv3's ID registers (IHI 0070, 6.3): what somebody says an SMMU is may be something else.

use crate::idr::{Idr0, Idr1, Idr5};
use crate::register::offsets::{AIDR, IDR0, IDR1, IDR5};

/// The registers to look at, by offset, in the order in which [`implausible`] takes their values. IDR0 comes last: at offset 0 many devices have
/// data, which a read takes away.
pub const IDENTITY: &[u32] = &[AIDR, IDR1, IDR5, IDR0];

/// The newest minor revision that is known: SMMUv3.4.
const NEWEST: u32 = 4;
/// Log2 of the entries of the largest queue that there can be.
const MOST_QUEUE: u8 = 19;
/// Bits of a StreamID from which on the stream table has two levels.
const TWO_LEVELS: u8 = 7;

/// Why the first registers of [`IDENTITY`], whose `values` these are, are no SMMUv3's; nothing if they may be.
#[must_use]
pub fn implausible(values: &[u32]) -> Option<String> {
    let field = |name: &str, value: u32| Some(format!("{name}={value} is none that an SMMUv3 has"));
    if let Some(aidr) = values.first().filter(|aidr| **aidr > NEWEST) {
        return Some(format!("AIDR={aidr:#x} is no revision of SMMUv3"));
    }
    let idr1 = Idr1([u64::from(*values.get(1)?)]);
    let sizes = [
        ("SIDSIZE", idr1.sidsize(), 32),
        ("SSIDSIZE", idr1.ssidsize(), 20),
        ("CMDQS", idr1.cmdqs(), MOST_QUEUE),
        ("EVENTQS", idr1.eventqs(), MOST_QUEUE),
    ];
    if let Some((name, value, _)) = sizes.into_iter().find(|(_, value, most)| value > most) {
        return field(&format!("IDR1.{name}"), value.into());
    }
    let preset = idr1.tables_preset() || idr1.queues_preset();
    if idr1.rel() && !preset || idr1.ecmdq() && idr1.queues_preset() {
        return Some(format!("IDR1={:#010x} says what no SMMUv3 does", values[1]));
    }
    let raw5 = *values.get(2)?;
    let idr5 = Idr5([u64::from(raw5)]);
    // Bits 3, 9 and 15:12.
    if raw5 & 0xf208 != 0 || idr5.vax() == 3 {
        return Some(format!("IDR5={raw5:#010x} has bits that are 0 in an SMMUv3"));
    }
    let raw0 = *values.get(3)?;
    let idr0 = Idr0([u64::from(raw0)]);
    // Bits 29 and 31.
    if raw0 & 0xa000_0000 != 0 || idr0.pri() && !idr0.ats() || idr0.vmw() && !idr0.s2p() {
        return Some(format!("IDR0={raw0:#010x} has bits that are 0 in an SMMUv3"));
    }
    if !idr0.s1p() && !idr0.s2p() {
        return Some("IDR0 has neither S1P nor S2P: it would translate nothing".to_owned());
    }
    let reserved = [
        ("TTF", idr0.ttf(), idr0.ttf() == 0),
        ("TTENDIAN", idr0.ttendian(), idr0.ttendian() == 1),
        ("STALL_MODEL", idr0.stall_model(), idr0.stall_model() == 3),
        ("ST_LEVEL", idr0.st_level(), idr0.st_level() > 1),
    ];
    if let Some((name, value, _)) = reserved.into_iter().find(|(.., reserved)| *reserved) {
        return field(&format!("IDR0.{name}"), value.into());
    }
    if idr1.sidsize() >= TWO_LEVELS && idr0.st_level() == 0 {
        return Some("IDR0.ST_LEVEL=0 does not go with IDR1.SIDSIZE".to_owned());
    }
    if idr0.ttf() & 2 != 0 && !(idr5.gran4k() || idr5.gran16k() || idr5.gran64k()) {
        return Some("IDR5 has no granule".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QEMU's: AIDR, IDR1, IDR5, IDR0.
    const QEMU: [u32; 4] = [1, 0x0273_0010, 0x0000_0074, 0x0d44_1a1f & !(1 << 3 | 1 << 2) | 1 << 3];

    #[test]
    fn an_smmu_is_one() {
        for count in 0..=QEMU.len() {
            assert_eq!(implausible(&QEMU[..count]), None, "{count}");
        }
    }

    #[test]
    fn other_things_are_none() {
        let zeros = [0; 4];
        let bus_error = [u32::MAX; 4];
        // The distributor of a GICv3: CTLR, TYPER; the header of a device tree; instructions; text.
        let gic = [0, 0x037a_0008, 0, 0x53];
        let tree = [0x1100_0000, 0x0000_1000, 0x1100_0000, 0xedfe_0dd0];
        let code = [0xd503_201f, 0xd503_201f, 0xd503_201f, 0x1400_0001];
        for values in [zeros, bus_error, gic, tree, code] {
            assert!(implausible(&values).is_some(), "{values:x?}");
        }
    }

    #[test]
    fn each_field_counts() {
        let with = |at: usize, clear: u32, set: u32| {
            let mut values = QEMU;
            values[at] = values[at] & !clear | set;
            implausible(&values).unwrap_or_default()
        };
        assert!(with(0, 0, 0x10).contains("AIDR") && with(0, 0, 0x100).contains("AIDR"));
        assert!(with(0, 0xf, 5).contains("AIDR"));
        assert!(with(1, 0x3f, 33).contains("SIDSIZE=33"));
        assert!(with(1, 0x1f << 6, 21 << 6).contains("SSIDSIZE=21"));
        assert!(with(1, 0x1f << 21, 20 << 21).contains("CMDQS=20"));
        assert!(with(1, 0x1f << 16, 31 << 16).contains("EVENTQS=31"));
        assert!(with(2, 0, 1 << 3).contains("IDR5") && with(2, 0x70, 0).contains("granule"));
        assert!(with(3, 3, 0).contains("S1P") && with(3, 3 << 2, 0).contains("TTF=0"));
        assert!(with(3, 3 << 21, 1 << 21).contains("TTENDIAN=1"));
        assert!(with(3, 0, 3 << 24).contains("STALL_MODEL=3"));
        assert!(with(3, 3 << 27, 2 << 27).contains("ST_LEVEL=2"));
        assert!(with(3, 3 << 27, 0).contains("SIDSIZE"));
        assert!(with(3, 0, 1 << 31).contains("IDR0") && with(3, 0, 1 << 29).contains("IDR0"));
    }
}
