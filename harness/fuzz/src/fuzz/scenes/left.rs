//! Work of the host's own SMMU that one access leaves to the next ones: 4096 streams take five of them to hear that the SMMU is on or off,
//! and a CFGI_ALL takes four (docs/viommu.md).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::Left);

/// These scenes, for an SMMU with 12 bits of StreamIDs.
pub(super) const CARDS: &[Cards] = &[
    (3, KIND, |of, card| told(of, begun, card)),
    (3, KIND, |of, card| told(of, refused, card)),
    (2, KIND, |of, card| told(of, acknowledged, card)),
    (2, KIND, |of, card| told(of, turned_off, card)),
    (2, KIND, |of, card| told(of, rewritten, card)),
];

/// SMMUEN with CMDQEN, as soon as it is acknowledged. Stream 8 passes.
const ON: &str = "\
smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4
ste at=ram+0x7002200 bypass
smmu_write CR0 SMMUEN CMDQEN
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK => ok value=9
";

/// All is off, as soon as that is acknowledged.
const OFF: &str = "\
smmu_write CR0 0
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK
smmu_read CR0ACK => ok value=0
";

/// The queue is turned off in the middle of a CFGI_ALL, and begins anew with a command that is refused: what was begun is forgotten.
fn begun(card: usize, _: &mut Random, errors: &mut u64) -> String {
    let reads = variant(card, &["", "smmu_read CMDQ_CONS\n", "smmu_read CMDQ_CONS\nsmmu_read CMDQ_CONS\n"]);
    *errors ^= 1;
    format!(
        "{ON}smmu_command at=ram+0x7001000 CFGI_ALL\n\
         smmu_write CMDQ_PROD 1\n\
         {reads}\
         smmu_write CR0 SMMUEN\n\
         smmu_command at=ram+0x7001000 TLBI_S12_VMALL\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         smmu_read CMDQ_CONS => ok value=0x1000000\n\
         smmu_read GERROR => ok value={errors}\n\
         smmu_command at=ram+0x7001000 SYNC\n\
         smmu_write GERRORN {errors}\n\
         smmu_read CMDQ_CONS => ok value=1\n\
         {OFF}"
    )
}

/// A command is refused behind a CFGI_ALL that was left to later accesses, and behind commands of its own.
fn refused(card: usize, _: &mut Random, errors: &mut u64) -> String {
    let before = variant(card, &[0, 1, 3]);
    *errors ^= 1;
    let syncs: String = (1..=before)
        .map(|slot| format!("smmu_command at=ram+{:#x} SYNC\n", 0x700_1000 + slot * 16))
        .collect();
    let (at, end) = (0x700_1010 + before * 16, before + 2);
    let stands = 0x100_0001 + before;
    format!(
        "{ON}smmu_command at=ram+0x7001000 CFGI_ALL\n\
         {syncs}\
         smmu_command at=ram+{at:#x} TLBI_S12_VMALL\n\
         smmu_write CMDQ_PROD {end}\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS => ok value={stands:#x}\n\
         smmu_command at=ram+{at:#x} SYNC\n\
         smmu_write CMDQ_PROD {end}\n\
         smmu_read CMDQ_CONS => ok value={stands:#x}\n\
         smmu_read GERROR => ok value={errors}\n\
         smmu_write GERRORN {errors}\n\
         smmu_read CMDQ_CONS => ok value={end}\n\
         {OFF}"
    )
}

/// GERRORN is written while an error is still to come: it acknowledges nothing, or makes active what is not there yet.
fn acknowledged(card: usize, _: &mut Random, errors: &mut u64) -> String {
    let old = *errors;
    *errors ^= 1;
    let reads = variant(card, &["", "smmu_read CMDQ_CONS\n"]);
    format!(
        "{ON}smmu_command at=ram+0x7001000 CFGI_ALL\n\
         smmu_command at=ram+0x7001010 TLBI_EL2_ALL\n\
         smmu_write CMDQ_PROD 2\n\
         {reads}\
         smmu_read GERROR => ok value={old}\n\
         smmu_write GERRORN {old}\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS => ok value=0x1000001\n\
         smmu_read GERROR => ok value={errors}\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write GERRORN {errors}\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         {OFF}"
    )
}

/// The table is the SMMU's until the last stream has heard that it is off, and the host's from then on.
fn turned_off(card: usize, _: &mut Random, _: &mut u64) -> String {
    let early = variant(card, &["host_donate_hyp", "host_share_hyp"]);
    let reads = "smmu_read CR0ACK\n".repeat(4);
    format!(
        "{ON}dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n\
         smmu_write CR0 0\n\
         {early} pfn=ram+0x7002 => EPERM\n\
         {reads}\
         smmu_read CR0ACK => ok value=0\n\
         host_donate_hyp pfn=ram+0x7002 => ok\n\
         hyp_donate_host pfn=ram+0x7002 => ok\n"
    )
}

/// What the host writes into the slot of a command that was begun is not looked at; what it writes into a later one is.
fn rewritten(card: usize, _: &mut Random, _: &mut u64) -> String {
    let command = variant(card, &["CFGI_ALL", "CFGI_STE_RANGE StreamID=0 Range=11"]);
    format!(
        "{ON}ste at=ram+0x7002200 abort\n\
         smmu_command at=ram+0x7001000 {command}\n\
         smmu_command at=ram+0x7001010 TLBI_EL2_ALL\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_command at=ram+0x7001000 TLBI_EL2_ALL\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         dma_write sid=8 ipa=ram+0x7018000 value=2 => abort\n\
         {OFF}"
    )
}
