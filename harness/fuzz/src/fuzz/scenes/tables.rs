//! Stream tables at the limits of their format (IHI 0070, 3.3 and 6.3.25).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::OddTable);

/// These scenes.
pub(super) const CARDS: &[Cards] = &[
    (3, KIND, |of, card| told(of, few, card)),
    (3, KIND, |of, card| told(of, many, card)),
    (4, KIND, |of, card| told(of, split, card)),
    (5, KIND, |of, card| told(of, span, card)),
    (1, KIND, |of, card| told(of, unaligned, card)),
    (2, KIND, |of, card| told(of, foreign, card)),
    (1, KIND, |of, card| told(of, costs, card)),
];

/// Those for an SMMU of 16 bits of StreamIDs.
pub(super) const WIDE: &[Cards] =
    &[(3, KIND, |of, card| told(of, long, card)), (1, KIND, |of, card| told(of, turn, card))];

/// A table of fewer streams than a level-2 table has: what lies there beyond them is no entry, however it is announced.
fn few(card: usize, _: &mut Random, _: &mut u64) -> String {
    let split = variant(card, &[6, 8, 10]);
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=4 SPLIT={split}\n\
         l1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7006000\n\
         ste at=ram+0x7006200 bypass\n\
         ste at=ram+0x7006400 bypass\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n\
         dma_write sid=16 ipa=ram+0x7018000 value=2 => abort\n\
         smmu_command at=ram+0x7001000 CFGI_STE StreamID=16\n\
         smmu_command at=ram+0x7001010 CFGI_STE_RANGE StreamID=0 Range=4\n\
         smmu_command at=ram+0x7001020 SYNC\n\
         smmu_write CMDQ_PROD 3\n\
         smmu_read CMDQ_CONS => ok value=3\n\
         dma_write sid=16 ipa=ram+0x7018000 value=3 => abort\n"
    )
}

/// Bits of L2Ptr below the size of a level-2 table count as zero.
fn unaligned(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT=6\n\
     l1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7006800\n\
     ste at=ram+0x7006200 bypass\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     smmu_read CR0ACK => ok value=0xd\n\
     dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n"
        .to_owned()
}

/// A LOG2SIZE beyond the SMMU's own, IDR1.SIDSIZE, counts as that: the page behind the first level is not used.
fn many(card: usize, _: &mut Random, _: &mut u64) -> String {
    // The descriptor of stream 256, and its entry.
    let (log2, split, descriptor, entry) = variant(
        card,
        &[
            (16, 6, "at=ram+0x7002020 Span=1 L2Ptr=ram+0x7006000", 0x700_6000),
            (32, 8, "at=ram+0x7002008 Span=1 L2Ptr=ram+0x7006000", 0x700_6000),
            (63, 10, "at=ram+0x7002000 Span=10 L2Ptr=ram+0x7020000", 0x702_4000),
        ],
    );
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE={log2} SPLIT={split}\n\
         l1std at=ram+0x7002000 Span=0 L2Ptr=ram+0x7006000\n\
         l1std {descriptor}\n\
         ste at=ram+{entry:#x} bypass\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_write sid=0x100 ipa=ram+0x7018000 value=1 => ok\n\
         host_donate_hyp pfn=ram+0x7003 => ok\n\
         hyp_donate_host pfn=ram+0x7003 => ok\n"
    )
}

/// A reserved SPLIT counts as 6: by where the descriptor of stream 256 is, and by which Span is too large.
fn split(card: usize, _: &mut Random, _: &mut u64) -> String {
    let split = variant(card, &[0, 7, 9, 31]);
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT={split}\n\
         l1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7006000\n\
         l1std at=ram+0x7002008 Span=0\n\
         l1std at=ram+0x7002010 Span=0\n\
         l1std at=ram+0x7002020 Span=1 L2Ptr=ram+0x7007000\n\
         ste at=ram+0x7006200 bypass\n\
         ste at=ram+0x7007000 bypass\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n\
         dma_write sid=0x100 ipa=ram+0x7018000 value=2 => ok\n\
         l1std at=ram+0x7002000 Span=8 L2Ptr=ram+0x7020000\n\
         ste at=ram+0x7020200 bypass\n\
         smmu_command at=ram+0x7001000 CFGI_STE StreamID=8\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         dma_write sid=8 ipa=ram+0x7018000 value=3 => abort\n"
    )
}

/// The largest Span, and then one that is reserved, of a table that is as large as it says.
fn span(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (split, reserved) = variant(card, &[(6, 8), (8, 10), (10, 12), (6, 12), (8, 31)]);
    let largest = split + 1;
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT={split}\n\
         l1std at=ram+0x7002000 Span={largest} L2Ptr=ram+0x7020000\n\
         ste at=ram+0x7020200 bypass\n\
         ste at=ram+0x7020400 bypass\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n\
         l1std at=ram+0x7002000 Span={reserved} L2Ptr=ram+0x7020000\n\
         smmu_command at=ram+0x7001000 CFGI_STE_RANGE StreamID=0 Range=4\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         dma_write sid=8 ipa=ram+0x7018000 value=2 => abort\n\
         dma_write sid=16 ipa=ram+0x7018000 value=3 => abort\n\
         host_donate_hyp pfn=ram+0x7020 => ok\n\
         hyp_donate_host pfn=ram+0x7020 => ok\n"
    )
}

/// No entry of a level-2 table counts that is in a page that the hypervisor has, or was lent.
fn foreign(card: usize, _: &mut Random, _: &mut u64) -> String {
    let [away, back] =
        variant(card, &[["host_donate_hyp", "hyp_donate_host"], ["host_share_hyp", "host_unshare_hyp"]]);
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT=6\n\
         l1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7006000\n\
         ste at=ram+0x7006200 bypass\n\
         {away} pfn=ram+0x7006 => ok\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         dma_write sid=8 ipa=ram+0x7018000 value=1 => abort\n\
         {back} pfn=ram+0x7006 => ok\n"
    )
}

/// Five times 512 streams, in eight level-2 tables that are not there: an access looks at 1024 streams at most, of which each table counts
/// as 16.
fn costs(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE ADDR=ram+0x7038000\n\
     smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT=6\n\
     smmu_write CR0 SMMUEN CMDQEN\n\
     smmu_read CR0ACK => ok value=9\n\
     smmu_command at=ram+0x7001000 CFGI_ALL\n\
     smmu_command at=ram+0x7001010 CFGI_ALL\n\
     smmu_command at=ram+0x7001020 CFGI_ALL\n\
     smmu_command at=ram+0x7001030 CFGI_ALL\n\
     smmu_command at=ram+0x7001040 CFGI_ALL\n\
     smmu_write CMDQ_PROD 5\n\
     smmu_read CMDQ_CONS => ok value=3\n\
     smmu_read CMDQ_CONS => ok value=4\n\
     smmu_read CMDQ_CONS => ok value=5\n"
        .to_owned()
}

/// The SMMU is on, or off, when all streams have heard of it, which takes more than one access. Meanwhile writes to CR0 are ignored.
fn turn(_: usize, _: &mut Random, _: &mut u64) -> String {
    let reads = "smmu_read CR0ACK\n".repeat(64);
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         smmu_read CR0ACK => ok value=8\n\
         smmu_write CR0 CMDQEN\n\
         smmu_read CR0 => ok value=9\n\
         {reads}\
         smmu_read CR0ACK => ok value=9\n\
         smmu_write CR0 0\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         smmu_read CR0 => ok value=0\n\
         {reads}\
         smmu_read CR0ACK => ok value=0\n\
         smmu_write CR0 0\n\
         smmu_read CR0ACK => ok value=0\n"
    )
}

/// A table whose only or first level has several pages, of which the last is not the host's to lend: the SMMU stays off.
fn long(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (base, config, last) = variant(
        card,
        &[
            ("ram+0x7020000", "two_level LOG2SIZE=16 SPLIT=6", 0x7021),
            ("ram+0x7021000", "two_level LOG2SIZE=63 SPLIT=7", 0x7020),
            ("ram+0x7400000", "linear LOG2SIZE=16", 0x77ff),
        ],
    );
    format!(
        "smmu_write STRTAB_BASE ADDR={base}\n\
         smmu_write STRTAB_BASE_CFG {config}\n\
         host_donate_hyp pfn=ram+{last:#x} => ok\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         smmu_read CR0 => ok value=8\n\
         smmu_read CR0ACK => ok value=8\n\
         hyp_donate_host pfn=ram+{last:#x} => ok\n"
    )
}
