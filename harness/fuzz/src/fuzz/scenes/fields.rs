//! Commands and entries whose fields all have a value: each must reach the hardware, and none that is not the host's (docs/viommu.md).

use super::{Cards, told, variant};
use crate::random::Random;

/// These scenes.
pub(super) const CARDS: &[Cards] =
    &[(4, None, |of, card| told(of, commands, card)), (2, None, |of, card| told(of, entry, card))];

/// Commands in a row: in one of the cards every bit of a field is set.
fn commands(card: usize, random: &mut Random, _: &mut u64) -> String {
    let mut field = |bits: u32| {
        let all = u64::MAX >> (64 - bits);
        if card == 0 { all } else { random.any() & all }
    };
    let [stream, context, asid, vmid] = [8, 20, 16, 16].map(&mut field);
    let [num, scale, ssid, leaf] = [5, 5, 20, 1].map(&mut field);
    let address = field(36) << 12;
    // TTL = 1 goes with granules of 4 KiB and 64 KiB.
    let (granule, level) = variant(card, &[(3, 3), (1, 1), (2, 2), (3, 1)]);
    let range = format!("NUM={num} SCALE={scale} TTL={level} TG={granule}");
    let commands = [
        format!("CFGI_STE StreamID={stream} Leaf={leaf}"),
        format!("CFGI_CD StreamID={stream} SubstreamID={ssid} Leaf={leaf}"),
        format!("CFGI_CD_ALL StreamID={context}"),
        format!("TLBI_NH_ALL VMID={vmid}"),
        format!("TLBI_NH_ASID VMID={vmid} ASID={asid}"),
        format!("TLBI_NH_VA {range} VMID={vmid} ASID={asid} Leaf={leaf} Address={address:#x}"),
        format!("TLBI_NH_VAA {range} VMID={vmid} Leaf={leaf} Address={address:#x}"),
        format!("TLBI_NH_VA NUM={num} SCALE={scale} ASID={asid} Leaf={leaf} Address={address:#x}"),
        "SYNC CS=2 MSH=3 MSIAttr=15 MSIAddr=ram+0x7019000".to_owned(),
    ];
    let slots = (0x700_1000..).step_by(16).zip(&commands);
    let lines = slots.map(|(slot, command)| format!("smmu_command at=ram+{slot:#x} {command}\n"));
    let (lines, end) = (lines.collect::<String>(), commands.len());
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         {lines}\
         smmu_write CMDQ_PROD {end}\n\
         smmu_read CMDQ_CONS => ok value={end}\n"
    )
}

/// A stage 1 says how its context descriptors are fetched, before the SMMU is on and by a live change.
fn entry(card: usize, _: &mut Random, _: &mut u64) -> String {
    let [first, second] =
        variant(card, &[[(3, 1, 2), (0, 2, 3)], [(1, 2, 3), (2, 3, 0)]]).map(|(cir, cor, csh)| {
            format!(
                "ste at=ram+0x7002200 s1 S1ContextPtr=ram+0x7003000 S1CIR={cir} S1COR={cor} S1CSH={csh}\n"
            )
        });
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
         {first}\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         {second}\
         smmu_command at=ram+0x7001000 CFGI_STE StreamID=8 Leaf=1\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_read CMDQ_CONS => ok value=2\n"
    )
}
