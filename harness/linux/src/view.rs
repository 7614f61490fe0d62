//! The SMMU as the kernel sees it, beside the hardware.

use std::collections::BTreeMap;
use std::fmt::Write;

use parallax_abi::smmu_host::HostSmmu;
use parallax_machine::Registers;
use parallax_smmu::{RawRegs, SmmuRegs, Ste, StreamTable};
use parallax_vmsa::PhysMem;

/// Registers that are shown: name, offset, whether they are 64 bits wide.
const SHOWN: [(&str, u32, bool); 10] = [
    ("CR0", 0x20, false),
    ("CR2", 0x2c, false),
    ("GERROR", 0x60, false),
    ("GERRORN", 0x64, false),
    ("STRTAB_BASE", 0x80, true),
    ("STRTAB_BASE_CFG", 0x88, false),
    ("CMDQ_BASE", 0x90, true),
    ("CMDQ_PROD", 0x98, false),
    ("CMDQ_CONS", 0x9c, false),
    ("EVENTQ_BASE", 0xa0, true),
];

/// The hardware's registers with those of the kernel's view in place of what the hypervisor emulates.
fn of_host(hardware: &RawRegs, host: &HostSmmu) -> RawRegs {
    let mut registers = hardware.0.clone();
    let cons = host.cmdq_cons | host.cmdq_error << 24;
    let narrow = [
        (0x20, host.cr0),
        (0x24, host.cr0),
        (0x2c, host.cr2),
        (0x60, host.gerror),
        (0x64, host.gerrorn),
        (0x88, host.strtab_cfg),
        (0x98, host.cmdq_prod),
        (0x9c, cons),
    ];
    registers.extend(narrow);
    for (offset, value) in [(0x80, host.strtab_base), (0x90, host.cmdq_base), (0xa0, host.evtq_base)] {
        registers.extend([(offset, value as u32), (offset + 4, (value >> 32) as u32)]);
    }
    RawRegs(registers)
}

/// The entries of a stream table that are valid.
fn streams(registers: &RawRegs, memory: &dyn PhysMem) -> BTreeMap<u32, Ste> {
    let Ok(registers) = SmmuRegs::decode(registers) else { return BTreeMap::new() };
    let (runs, _) = StreamTable::from_regs(&registers).scan(memory);
    let entries =
        runs.iter().filter_map(|run| Some((run.first, run.entry.ok().filter(|ste| ste.0[0] & 1 == 1)?)));
    entries.collect()
}

/// Both views as text.
pub(super) fn text(host: &HostSmmu, registers: &Registers, memory: &dyn PhysMem) -> String {
    let Some(hardware) = &registers.smmu else { return String::new() };
    let kernel = of_host(hardware, host);
    let mut text = format!("{:<20} {:>18} {:>18}\n", "", "kernel", "hardware");
    let value = |set: &RawRegs, offset: u32, wide: bool| {
        let half = |offset| set.0.get(&offset).copied().map_or(0, u64::from);
        half(offset) | if wide { half(offset + 4) << 32 } else { 0 }
    };
    for (name, offset, wide) in SHOWN {
        let (left, right) = (value(&kernel, offset, wide), value(hardware, offset, wide));
        let _ = writeln!(text, "{name:<20} {left:>#18x} {right:>#18x}");
    }
    // A kernel whose SMMUEN is 0 has no table yet.
    let theirs = if host.cr0 & 1 == 1 { streams(&kernel, memory) } else { BTreeMap::new() };
    let ours = streams(hardware, memory);
    for (sid, ste) in &theirs {
        let of = |ste: Option<&Ste>| {
            ste.map_or_else(
                || "none of its own".to_owned(),
                |ste| format!("{:?} {:#x?}", ste.config(), ste.0[0]),
            )
        };
        let _ = writeln!(text, "stream {sid:#x}: kernel {}, hardware {}", of(Some(ste)), of(ours.get(sid)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_registers_stand_in_for_the_hardwares() {
        let hardware = RawRegs(BTreeMap::from([(0x20, 0xd), (0x1c, 7)]));
        let host = HostSmmu { cr0: 5, strtab_base: 0x1_4000_0000, cmdq_error: 1, ..HostSmmu::default() };
        let kernel = of_host(&hardware, &host);
        assert_eq!(kernel.0[&0x20], 5);
        assert_eq!(kernel.0[&0x1c], 7);
        assert_eq!((kernel.0[&0x80], kernel.0[&0x84]), (0x4000_0000, 1));
        assert_eq!(kernel.0[&0x9c], 1 << 24);
    }
}
