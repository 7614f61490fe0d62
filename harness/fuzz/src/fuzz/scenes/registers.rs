//! Registers of the host's own SMMU that CR0 guards, and that are written by halves (IHI 0070, 6.3).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::Register);

/// These scenes.
pub(super) const CARDS: &[Cards] = &[
    (3, KIND, |of, card| told(of, guarded, card)),
    (3, KIND, |of, card| told(of, halves, card)),
    (3, KIND, |of, card| told(of, unaligned, card)),
];

/// A register, what it holds when the SMMU is turned on, and what is written to it then and later.
type Guarded = (&'static str, u64, u64);
/// Bits of CR0, and the registers that cannot be written while they are set.
const GUARDED: [(u64, &[Guarded]); 3] = [
    (
        0x9,
        &[
            ("CR2", 4, 2),
            ("STRTAB_BASE", 0x4700_2000, 0x4000_0000_4703_0000),
            ("STRTAB_BASE_CFG", 4, 0x1_0205),
        ],
    ),
    (0x8, &[("CMDQ_BASE", 0x4700_1008, 0x4000_0000_4703_0009), ("CMDQ_CONS", 0, 3)]),
    (0x4, &[("EVENTQ_BASE", 0x4700_0007, 0x4000_0000_4703_0008), ("EVENTQ_PROD", 0, 3)]),
];

/// What is written to a register counts when the SMMU, or that queue, is off, and not while it is on.
fn guarded(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (bits, registers) = variant(card, &GUARDED);
    let each = |line: fn(Guarded) -> String| registers.iter().map(|of| line(*of)).collect::<String>();
    let before = each(|(register, kept, _)| format!("smmu_write {register} {kept:#x}\n"));
    let on = each(|(register, kept, other)| {
        format!("smmu_write {register} {other:#x}\nsmmu_read {register} => ok value={kept:#x}\n")
    });
    let off = each(|(register, _, other)| {
        format!("smmu_write {register} {other:#x}\nsmmu_read {register} => ok value={other:#x}\n")
    });
    format!(
        "{before}\
         smmu_write CR0 {bits:#x}\n\
         smmu_read CR0ACK => ok value={bits:#x}\n\
         {on}\
         smmu_write CR0 0\n\
         smmu_read CR0ACK => ok value=0\n\
         {off}\
         smmu_write CR2 0\n"
    )
}

/// Each half of a register of 64 bits is written for itself, in both orders, and leaves the other half as it is.
fn halves(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (register, low) = variant(card, &[("STRTAB_BASE", 0x80), ("CMDQ_BASE", 0x90), ("EVENTQ_BASE", 0xa0)]);
    let high = low + 4;
    format!(
        "smmu_write {register} 0x4000001247000040\n\
         host_write ipa=mmio:smmu+{low:#x} size=4 value=0x48000080\n\
         smmu_read {register} => ok value=0x4000001248000080\n\
         host_write ipa=mmio:smmu+{high:#x} size=4 value=0x34\n\
         smmu_read {register} => ok value=0x3448000080\n\
         host_write ipa=mmio:smmu+{low:#x} size=4 value=0x490000c0\n\
         host_read ipa=mmio:smmu+{high:#x} size=4 => ok value=0x34\n\
         host_read ipa=mmio:smmu+{low:#x} size=4 => ok value=0x490000c0\n"
    )
}

/// An access that is not aligned, as a host can make one that maps registers as Normal memory, is to no register.
fn unaligned(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (register, at) = variant(card, &[("STRTAB_BASE", 0x80), ("CMDQ_BASE", 0x90), ("EVENTQ_BASE", 0xa0)]);
    let (half, odd) = (at + 4, at + 2);
    format!(
        "smmu_write {register} 0x4000001247000040\n\
         host_write ipa=mmio:smmu+{half:#x} size=8 value=0x1111111111111111 normal=1\n\
         host_write ipa=mmio:smmu+{odd:#x} size=4 value=0x22222222 normal=1\n\
         smmu_read {register} => ok value=0x4000001247000040\n\
         host_read ipa=mmio:smmu+{half:#x} size=8 normal=1 => ok value=0\n\
         host_read ipa=mmio:smmu+{odd:#x} size=4 normal=1 => ok value=0\n"
    )
}
