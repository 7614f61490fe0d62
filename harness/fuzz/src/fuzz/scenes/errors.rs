//! What GERROR tells of: a command that is refused, an event that is lost, an SMMU that had to be turned off (IHI 0070, 6.3.18 and 6.3.19; docs/viommu.md).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

/// These scenes.
pub(super) const CARDS: &[Cards] =
    &[(10, None, |of, card| told(of, refused, card)), (1, None, |of, card| told(of, lost, card))];
/// Those above an SMMU that refuses commands.
pub(super) const FAILED: &[Cards] = &[(2, Some(Kind::Failed), |of, card| told(of, failed, card))];

/// A command that is refused: the queue stands still until that is acknowledged, and an interrupt tells of it where GERROR_IRQEN is set.
fn refused(card: usize, _: &mut Random, errors: &mut u64) -> String {
    *errors ^= 1;
    let (command, enable, pending) = variant(
        card,
        &[
            ("TLBI_S12_VMALL", "GERROR_IRQEN", 0x2000),
            ("TLBI_S2_IPA", "GERROR_IRQEN", 0x2000),
            ("TLBI_EL2_ALL", "GERROR_IRQEN", 0x2000),
            ("TLBI_EL2_ALL", "GERROR_IRQEN EVENTQ_IRQEN", 0x2000),
            ("TLBI_EL2_ALL", "EVENTQ_IRQEN", 0),
            ("TLBI_EL2_ALL", "0", 0),
            ("PREFETCH_CONFIG SSec StreamID=8", "0", 0),
            ("CFGI_CD SSec StreamID=8", "0", 0),
            // A granule of 16 KiB has no level 1, and a range of nothing is reserved.
            ("TLBI_NH_VA NUM=3 SCALE=1 TTL=1 TG=2 ASID=1 Address=0x1000", "0", 0),
            ("TLBI_NH_VAA TG=1 Address=0x1000", "0", 0),
        ],
    );
    format!(
        "smmu_write IRQ_CTRL {enable}\n\
         host_write ipa=mmio:gicd+0x28c size=4 value=0xffffffff\n\
         smmu_write CR0 CMDQEN\n\
         smmu_command at=ram+0x7001000 {command}\n\
         smmu_write CMDQ_PROD 1\n\
         smmu_read GERROR => ok value={errors}\n\
         host_read ipa=mmio:gicd+0x20c size=4 => ok value={pending:#x}\n\
         smmu_command at=ram+0x7001000 SYNC\n\
         smmu_write CMDQ_PROD 1\n\
         smmu_read CMDQ_CONS => ok value=0x1000000\n\
         host_write ipa=mmio:gicd+0x28c size=4 value=0xffffffff\n\
         smmu_write CMDQ_PROD 1\n\
         host_read ipa=mmio:gicd+0x20c size=4 => ok value=0\n\
         smmu_write GERRORN {errors}\n\
         smmu_read CMDQ_CONS => ok value=1\n\
         smmu_write IRQ_CTRL 0\n"
    )
}

/// A record that finds no room in the event queue is lost, of which EVENTQ_ABT_ERR tells. The hardware hears that it is acknowledged.
fn lost(_: usize, _: &mut Random, errors: &mut u64) -> String {
    *errors ^= 4;
    format!(
        "smmu_write EVENTQ_BASE LOG2SIZE=0 ADDR=ram+0x7000000\n\
         smmu_write STRTAB_BASE_CFG linear LOG2SIZE=2\n\
         smmu_write CR2 RECINVSID\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_read sid=16 ipa=ram+0x7018000 => abort\n\
         dma_read sid=16 ipa=ram+0x7018000 => abort\n\
         smmu_read GERROR => ok value={errors}\n\
         smmu_write GERRORN {errors}\n\
         smmu_read GERRORN => ok value={errors}\n\
         smmu_write CR0 0\n\
         smmu_write CR2 0\n"
    )
}

/// SFM_ERR becomes active once the hypervisor had to turn the SMMU off, and then never again; commands go on.
fn failed(card: usize, _: &mut Random, _: &mut u64) -> String {
    let given = "host_donate_hyp pfn=ram+0x7018 => ok\nhyp_donate_host pfn=ram+0x7018 => ok\n";
    let [first, then] = variant(card, &[["", given], [given, ""]]);
    format!(
        "smmu_write CR0 CMDQEN\n\
         {first}\
         smmu_command at=ram+0x7001000 TLBI_NSNH_ALL\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         smmu_read GERROR => ok value=0x100\n\
         {then}\
         smmu_command at=ram+0x7001020 TLBI_NSNH_ALL\n\
         smmu_command at=ram+0x7001030 SYNC\n\
         smmu_write CMDQ_PROD 4\n\
         smmu_read CMDQ_CONS => ok value=4\n\
         smmu_read GERROR => ok value=0x100\n\
         smmu_write GERRORN 0x100\n\
         smmu_read GERROR => ok value=0x100\n"
    )
}
