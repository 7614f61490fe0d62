//! Memory that the SMMU, the ITS and the redistributors cannot hold, and as much as they can (docs/masters.md, docs/viommu.md).

use std::fmt::Write as _;

use super::{Cards, its, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const NOT_HELD: Option<Kind> = Some(Kind::NotHeld);
const NO_TABLES: Option<Kind> = Some(Kind::NoTable);
const ALL_HELD: Option<Kind> = Some(Kind::AllHeld);

/// Those for a machine with no-map memory: four pages from `ram+0x6000000` on.
pub(super) const NO_MAP: &[Cards] = &[
    (4, NOT_HELD, |of, card| told(of, queue, card)),
    (2, NOT_HELD, |of, card| told(of, table, card)),
    (4, NOT_HELD, |of, card| told(of, of_interrupts, card)),
];
/// Those for a machine with as many redistributors as there can be.
pub(super) const ALL: &[Cards] = &[(2, ALL_HELD, |of, card| told(of, all, card))];
/// Those for a machine in which EL2 has one table left.
pub(super) const NO_TABLE: &[Cards] = &[
    (2, NO_TABLES, |of, card| told(of, its_queue, card)),
    (3, NO_TABLES, |of, card| told(of, lpi_tables, card)),
    (1, NO_TABLES, |of, card| told(of, itt, card)),
];

/// EL2's last table is for the event queue, and stays: what lies in another block of 2 MiB has none.
const LAST_TABLE: &str = "smmu_write CR0 EVENTQEN\nsmmu_read CR0 => ok value=4\n";
/// None of it is lent. It can be where there is a table.
const NONE_LENT: &str = "\
host_share_hyp pfn=ram+0x7200 => ok
hyp_pin_shared_mem pfn=ram+0x7200 => ENOMEM
host_share_hyp pfn=ram+0x71ff => ok
hyp_pin_shared_mem pfn=ram+0x71ff => ok
hyp_unpin_shared_mem pfn=ram+0x71ff => ok
host_unshare_hyp pfn=ram+0x71ff => ok
host_unshare_hyp pfn=ram+0x7200 => ok
";

/// A queue of the ITS on both sides of a border of 2 MiB is not held, also if the first page has a table.
fn its_queue(card: usize, _: &mut Random, _: &mut u64) -> String {
    let queue = variant(card, &[0x471f_f001_u64, 0x471f_e003]);
    format!(
        "{LAST_TABLE}{}host_read ipa=mmio:its+0x0 size=4 => ok value=0x80000000\n{}{NONE_LENT}",
        its::on(queue),
        its::OFF
    )
}

/// LPI tables of which one, or a part of one, has no table.
fn lpi_tables(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (configuration, pending) = variant(
        card,
        &[(0x470e_000d_u64, 0x4720_0000_u64), (0x4720_000d, 0x470e_0000), (0x471f_a00f, 0x470c_0000)],
    );
    format!(
        "{LAST_TABLE}\
         host_write ipa=mmio:gicr+0x70 value={configuration:#x}\n\
         host_write ipa=mmio:gicr+0x78 value={pending:#x}\n\
         host_write ipa=mmio:gicr+0x0 size=4 value=1\n\
         host_read ipa=mmio:gicr+0x0 size=4 => ok value=2\n\
         host_share_hyp pfn=ram+0x70e0 => ok\n\
         host_unshare_hyp pfn=ram+0x70e0 => ok\n\
         {NONE_LENT}"
    )
}

/// A MAPD with such an ITT is refused.
fn itt(_: usize, _: &mut Random, _: &mut u64) -> String {
    format!(
        "{LAST_TABLE}{}\
         host_write_entry ipa=ram+0x701a000 value=0x800000008 second=10 third=0x80000000471ffe00 fourth=0\n\
         host_write ipa=mmio:its+0x88 value=0x20\n\
         host_read ipa=mmio:its+0x90 => ok value=1\n\
         {}{NONE_LENT}",
        its::on(0x4701_a000),
        its::OFF
    )
}

/// A queue in no-map memory, or that ends behind it, stays off.
fn queue(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (base, enable) = variant(
        card,
        &[
            ("CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6003000", "CMDQEN"),
            ("EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x6000000", "EVENTQEN"),
            ("CMDQ_BASE LOG2SIZE=11 ADDR=ram+0x6000000", "CMDQEN"),
            ("EVENTQ_BASE LOG2SIZE=10 ADDR=ram+0x6000000", "EVENTQEN"),
        ],
    );
    format!("smmu_write {base}\nsmmu_write CR0 {enable}\nsmmu_read CR0 => ok value=0\n")
}

/// So does a stream table.
fn table(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (base, log2) = variant(card, &[("ram+0x6003000", 4), ("ram+0x6000000", 9)]);
    format!(
        "smmu_write STRTAB_BASE ADDR={base}\n\
         smmu_write STRTAB_BASE_CFG linear LOG2SIZE={log2}\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         smmu_read CR0 => ok value=8\n"
    )
}

/// So do the ITS with such a queue, and LPIs with such a table; a MAPD with such an ITT is refused.
fn of_interrupts(card: usize, _: &mut Random, _: &mut u64) -> String {
    let lpis = |configuration: u64, pending: u64| {
        format!(
            "host_write ipa=mmio:gicr+0x70 value={configuration:#x}\n\
             host_write ipa=mmio:gicr+0x78 value={pending:#x}\n\
             host_write ipa=mmio:gicr+0x0 size=4 value=1\n\
             host_read ipa=mmio:gicr+0x0 size=4 => ok value=2\n"
        )
    };
    match card {
        0 => its::on(0x4600_0000) + "host_read ipa=mmio:its+0x0 size=4 => ok value=0x80000000\n",
        1 => format!(
            "{}\
             host_write_entry ipa=ram+0x701a000 value=0x800000008 second=4 third=0x8000000046001000 fourth=0\n\
             host_write ipa=mmio:its+0x88 value=0x20\n\
             host_read ipa=mmio:its+0x90 => ok value=1\n\
             {}",
            its::on(0x4701_a000),
            its::OFF
        ),
        // The larger table ends behind it.
        2 => lpis(0x4600_000f, 0x4702_0000),
        _ => lpis(0x4702_000d, 0x4600_0000),
    }
}

/// Both queues and a two-level table of the SMMU, the queue of the ITS and as many ITTs and LPI tables as there can be. Each has its place
/// then, whichever is the last, and so has an ITT that replaces another one, or a level-2 table.
fn all(card: usize, _: &mut Random, _: &mut u64) -> String {
    const QUEUE: u64 = 0x701_a000;
    const MEMORY: u64 = 0x4000_0000;
    // MAPD of a device, whose ITT has two events.
    let mapped = |slot: u64, device: u64, itt: u64| {
        let (at, head, itt) =
            (QUEUE + 0x20 * slot, device << 32 | 8, (1 << 63) | (MEMORY + 0x702_0000 + 0x100 * itt));
        format!("host_write_entry ipa=ram+{at:#x} value={head:#x} second=0 third={itt:#x} fourth=0\n")
    };
    let told = |end: u64| format!("host_write ipa=mmio:its+0x88 value={:#x}\n", 0x20 * end);
    let mut itts = its::on(MEMORY + QUEUE);
    for device in 0..64 {
        itts += &mapped(device, device, device);
        // An access performs four of them.
        if device % 4 == 3 {
            itts += &told(device + 1);
        }
    }
    itts += "host_read ipa=mmio:its+0x90 => ok value=0x800\n";
    let mut lpis = String::new();
    for cpu in 0..8_u64 {
        let (frame, pending) = (0x2_0000 * cpu, MEMORY + 0x760_0000 + 0x1_0000 * cpu);
        let _ = write!(
            lpis,
            "host_write ipa=mmio:gicr+{:#x} value={:#x}\n\
             host_write ipa=mmio:gicr+{:#x} value={pending:#x}\n\
             host_write ipa=mmio:gicr+{frame:#x} size=4 value=1\n\
             host_read ipa=mmio:gicr+{frame:#x} size=4 => ok value=3\n",
            frame + 0x70,
            MEMORY + 0x740_000d,
            frame + 0x78
        );
    }
    let smmu = "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=6 SPLIT=6\n\
                l1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7006000\n\
                ste at=ram+0x7006200 bypass\n\
                smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
                smmu_read CR0ACK => ok value=0xd\n\
                dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n";
    let [first, second] =
        variant(card, &[[&itts, &lpis], [&lpis, &itts]].map(|[one, two]| [one.as_str(), two]));
    let (again, all) = (mapped(64, 5, 64), told(65));
    let off: String = (0..8)
        .map(|cpu| format!("host_write ipa=mmio:gicr+{:#x} size=4 value=0\n", 0x2_0000 * cpu))
        .collect();
    format!(
        "{first}{smmu}{second}\
         {again}{all}\
         host_read ipa=mmio:its+0x90 => ok value=0x820\n\
         ste at=ram+0x7006200 abort\n\
         smmu_command at=ram+0x7001000 CFGI_STE StreamID=8\n\
         smmu_write CMDQ_PROD 1\n\
         smmu_read CMDQ_CONS => ok value=1\n\
         dma_write sid=8 ipa=ram+0x7018000 value=2 => abort\n\
         {off}\
         {}",
        its::OFF
    )
}
