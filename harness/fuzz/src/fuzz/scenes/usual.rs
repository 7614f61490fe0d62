//! What every driver does, and code of the host's own.

use parallax_trace::Op;

use super::{Cards, told, variant};
use crate::fuzz::generator::Generator;
use crate::random::Random;
use crate::service;

/// These scenes.
pub(super) const CARDS: &[Cards] = &[
    (8, None, served),
    (2, None, |of, card| told(of, wrap, card)),
    (2, None, |of, card| told(of, span, card)),
    (1, None, |of, card| told(of, beyond, card)),
    (4, None, |of, card| told(of, range, card)),
    (2, None, |of, card| told(of, split, card)),
    (1, None, |of, card| told(of, missing, card)),
    (2, None, |of, card| told(of, message, card)),
    (2, None, |of, card| told(of, registers, card)),
    (1, None, |of, card| told(of, address, card)),
    (1, None, |of, card| told(of, stalled, card)),
    (1, None, |of, card| told(of, last, card)),
    (4, None, |of, card| told(of, interrupts, card)),
    (1, None, |of, card| told(of, process, card)),
    (1, None, |of, card| told(of, cycles, card)),
];
/// The service of `parallax attack`.
fn served(generator: &mut Generator, _: usize) -> Vec<Op> {
    let mut acts = Vec::new();
    service::serve(&mut generator.random, generator.errors, true, generator.value, &mut acts);
    generator.value += 16;
    acts.into_iter().map(|act| act.op).collect()
}

/// Commands in front of the end of the queue and behind it are one batch.
fn wrap(card: usize, _: &mut Random, _: &mut u64) -> String {
    let stream = variant(card, &[8, 16]);
    let entry = 0x700_2000 + stream * 64;
    format!(
        "smmu_write CMDQ_BASE LOG2SIZE=1 ADDR=ram+0x7001000\n\
         smmu_write STRTAB_BASE_CFG linear LOG2SIZE=5\n\
         ste at=ram+{entry:#x} bypass S2VMID=7\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         dma_write sid={stream} ipa=ram+0x7018000 value=1 => ok\n\
         smmu_command at=ram+0x7001000 SYNC\n\
         smmu_write CMDQ_PROD 1\n\
         ste at=ram+{entry:#x} abort\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_command at=ram+0x7001000 CFGI_STE StreamID={stream}\n\
         smmu_write CMDQ_PROD 3\n\
         smmu_read CMDQ_CONS => ok value=3\n\
         dma_write sid={stream} ipa=ram+0x7018000 value=2 => abort\n"
    )
}

/// A level-2 table ends where its descriptor says.
fn span(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (span, outcome) = variant(card, &[(5, "abort"), (6, "ok")]);
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=8 SPLIT=8\n\
         l1std at=ram+0x7002000 Span={span} L2Ptr=ram+0x7006000\n\
         ste at=ram+0x7006400 bypass\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         dma_write sid=16 ipa=ram+0x7018000 value=1 => {outcome}\n"
    )
}

/// A range of streams begins at a multiple of its size, whichever of them is named.
fn range(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (stream, range) = variant(card, &[(15, 2), (9, 4), (64, 16), (0x1ff, 30)]);
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=5\n\
         ste at=ram+0x7002200 abort\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         ste at=ram+0x7002200 bypass\n\
         smmu_command at=ram+0x7001000 CFGI_STE_RANGE StreamID={stream} Range={range}\n\
         smmu_write CMDQ_PROD 1\n\
         smmu_read CMDQ_CONS => ok value=1\n\
         dma_write sid=8 ipa=ram+0x7018000 value=1 => ok\n"
    )
}

/// A level-2 table that is read for a stream beyond its end is the host's again.
fn beyond(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=8 SPLIT=8\n\
     l1std at=ram+0x7002000 Span=4 L2Ptr=ram+0x7006000\n\
     smmu_write CR0 SMMUEN CMDQEN\n\
     smmu_command at=ram+0x7001000 CFGI_STE StreamID=16\n\
     smmu_write CMDQ_PROD 1\n\
     smmu_read CMDQ_CONS => ok value=1\n\
     host_donate_hyp pfn=ram+0x7006 => ok\n\
     hyp_donate_host pfn=ram+0x7006 => ok\n"
        .to_owned()
}

/// How large level-2 tables are is said once for all.
fn split(card: usize, _: &mut Random, _: &mut u64) -> String {
    // Where the descriptor is, and where it would be with the other size: another card may have left one there.
    let (split, descriptor, other) =
        variant(card, &[(6, 0x700_2020_u64, 0x700_2008_u64), (8, 0x700_2008, 0x700_2020)]);
    format!(
        "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT={split}\n\
         l1std at=ram+0x7002000 Span=0 L2Ptr=ram+0x7006000\n\
         l1std at=ram+{other:#x} Span=0 L2Ptr=ram+0x7006000\n\
         l1std at=ram+{descriptor:#x} Span=1 L2Ptr=ram+0x7006000\n\
         ste at=ram+0x7006000 bypass\n\
         smmu_write CR0 SMMUEN CMDQEN\n\
         dma_write sid=0x100 ipa=ram+0x7018000 value=1 => ok\n"
    )
}

/// What comes from beyond the table is recorded, if the host wants that.
fn missing(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=2\n\
     smmu_write CR2 RECINVSID\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     dma_write sid=8 ipa=ram+0x7018000 value=2 => abort\n\
     smmu_read EVENTQ_PROD => ok value=4\n\
     smmu_write CR0 0\n\
     smmu_write CR2 0\n"
        .to_owned()
}

/// A SYNC that asks for a message; and one that does not.
fn message(card: usize, _: &mut Random, _: &mut u64) -> String {
    let message = variant(card, &["CS=1 MSIAddr=ram+0x7019000", "CS=0"]);
    format!(
        "smmu_write CR0 EVENTQEN CMDQEN\n\
         smmu_command at=ram+0x7001000 SYNC {message}\n\
         smmu_write CMDQ_PROD 1\n\
         smmu_read CMDQ_CONS => ok value=1\n"
    )
}

/// A register is read with its sign, and written with zero.
fn registers(_: usize, random: &mut Random, _: &mut u64) -> String {
    let low = random.below(1 << 8) << 12;
    format!(
        "smmu_write STRTAB_BASE {:#x}\n\
         host_probe ipa=mmio:smmu+0x80 form=8 => ok value={:#x}\n\
         host_probe ipa=mmio:smmu+0x80 form=17 => ok\n\
         smmu_read STRTAB_BASE => ok value=0\n",
        0x8000_0000 | low,
        0xffff_ffff_8000_0000 | low
    )
}

/// The host names an address for messages of errors; nothing goes there.
fn address(_: usize, _: &mut Random, _: &mut u64) -> String {
    "host_write ipa=mmio:smmu+0x68 size=4 value=pool+0x100\n\
     smmu_write IRQ_CTRL GERROR_IRQEN\n\
     smmu_write STRTAB_BASE_CFG linear LOG2SIZE=3\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     dma_write sid=16 ipa=ram+0x7018000 value=1 => abort\n\
     smmu_write IRQ_CTRL 0\n"
        .to_owned()
}

/// A stream with a stage 1 that is to abort instead of stalling.
fn stalled(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
     ste at=ram+0x7002200 s1 S1ContextPtr=ram+0x7003000 S1STALLD\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     dma_write sid=16 ipa=ram+0x7018000 value=1 => abort\n\
     ste at=ram+0x7002200 bypass\n\
     smmu_command at=ram+0x7001000 CFGI_STE StreamID=8\n\
     smmu_write CMDQ_PROD 1\n\
     dma_write sid=8 ipa=ram+0x7018000 value=2 => ok\n"
        .to_owned()
}

/// Every StreamID has an entry, and the last one passes until the SMMU is off. The table is aligned to its 32 KiB.
fn last(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write STRTAB_BASE ADDR=ram+0x7008000\n\
     smmu_write STRTAB_BASE_CFG linear LOG2SIZE=9\n\
     ste at=ram+0x700ffc0 bypass\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     smmu_read CR0ACK => ok value=0xd\n\
     smmu_write CR0 0\n\
     smmu_read CR0 => ok value=0\n\
     smmu_read CR0ACK => ok value=0\n"
        .to_owned()
}

/// An ITT that the host gives away once it is unmapped: MAPD, MAPD or MAPC, MAPD with V = 0. The second MAPD has the same device once
/// more in the same place, or another one.
fn interrupts(card: usize, _: &mut Random, _: &mut u64) -> String {
    let between = [
        ["value=0x9 second=0", "value=0x8000000000000000"],
        ["value=0x800000001 second=1", "value=1"],
        ["value=0x800000008 second=6", "value=0x800000004701b000"],
        ["value=0x800000008 second=4", "value=0x800000004701c000"],
    ];
    let [head, tail] = variant(card, &between);
    format!(
        "host_write ipa=mmio:its+0x0 size=4 value=0\n\
     host_write ipa=mmio:its+0x80 value=0x800000004701a000\n\
     host_write ipa=mmio:its+0x88 value=0\n\
     host_write ipa=mmio:its+0x0 size=4 value=1\n\
     host_write_pair ipa=ram+0x701a000 value=0x800000008 second=4\n\
     host_write_pair ipa=ram+0x701a010 value=0x800000004701b000 second=0\n\
     host_write_pair ipa=ram+0x701a020 {head}\n\
     host_write_pair ipa=ram+0x701a030 {tail} second=0\n\
     host_write_pair ipa=ram+0x701a040 value=0x800000008 second=4\n\
     host_write_pair ipa=ram+0x701a050 value=0 second=0\n\
     host_write ipa=mmio:its+0x88 value=0x60\n\
     host_read ipa=mmio:its+0x90 => ok value=0x60\n\
     host_donate_hyp pfn=ram+0x701b => ok\n\
     hyp_donate_host pfn=ram+0x701b => ok\n\
     host_write ipa=mmio:its+0x0 size=4 value=0\n"
    )
}

/// Code of the host's at EL1: it turns its MMU off and has EL0 load from the hypervisor's pool. Its own vector keeps ESR_EL1: an external
/// abort, for which a kernel ends the process.
fn process(_: usize, _: &mut Random, _: &mut u64) -> String {
    const CODE: [(u64, u64); 13] = [
        (0x000, 0x9100_4129_d2a8_e009),
        (0x008, 0xd503_201f_d61f_0120),
        (0x010, 0xd538_100b_d538_c00a),
        (0x018, 0xd518_c00d_1000_3f4d),
        (0x020, 0xd518_100e_927f_f96e),
        (0x028, 0x1000_00af_d503_3fdf),
        (0x030, 0xd280_780f_d518_402f),
        (0x038, 0xd69f_03e0_d518_400f),
        (0x040, 0xb940_0211_d2a8_0810),
        (0xc00, 0xd518_100b_d538_5200),
        (0xc08, 0xd518_c00a_d503_3fdf),
        (0xc10, 0xd2a8_e021_d503_3fdf),
        (0xc18, 0xd65f_03c0_f900_0020),
    ];
    executed(&CODE) + "host_read ipa=ram+0x7010000 => ok value=0x92000010\n"
}

/// Code of the host's that counts cycles at EL2 alone (PMCCFILTR_EL0 = NSH) around one `hvc`: there must be none.
fn cycles(_: usize, _: &mut Random, _: &mut u64) -> String {
    const CODE: [(u64, u64); 8] = [
        (0x00, 0xd51b_efe9_d2b9_0009),
        (0x08, 0xd51b_9c29_d2b0_0009),
        (0x10, 0xd51b_9c09_d280_08a9),
        (0x18, 0xd53b_9d0a_d503_3fdf),
        (0x20, 0xd400_0002_d280_0000),
        (0x28, 0xd53b_9d0b_d503_3fdf),
        (0x30, 0x1000_0669_cb0a_016b),
        (0x38, 0xd65f_03c0_f900_012b),
    ];
    executed(&CODE) + "host_read ipa=ram+0x7000100 => ok value=0\n"
}

/// Puts `code` (offset, two instructions) where scenes have their first page, and calls it.
fn executed(code: &[(u64, u64)]) -> String {
    let puts = code
        .iter()
        .map(|(at, value)| format!("host_write ipa=ram+{:#x} value={value:#x}\n", 0x700_0000 + at));
    puts.collect::<String>() + "host_exec ipa=ram+0x7000000 => ok\n"
}
