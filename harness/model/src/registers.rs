//! Registers that matter, as text: one `name=value` a line, in a fixed order.

use std::collections::BTreeMap;

use parallax_addr::{AddressMap, PhysAddr};
use parallax_vmsa::SysRegs;

use crate::gic_lines;
use crate::smmu_state::SmmuControl;
use crate::snapshot::{Cpu, CpuControl, Layout, Snapshot};

/// A line of the `regs` lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    text: String,
    /// The address that the line ends with, unless it is the hypervisor's own.
    address: Option<PhysAddr>,
}

impl Register {
    /// The line, with the address by name.
    #[must_use]
    pub fn line(&self, symbols: &AddressMap) -> String {
        let address = self.address.map(|address| symbols.address(address)).unwrap_or_default();
        format!("{}{address}", self.text)
    }
}

/// The lines of the `regs` lane.
#[must_use]
pub fn text(snapshot: &Snapshot) -> Vec<Register> {
    let mut lines: Vec<Register> =
        cpus(&snapshot.cpus).into_iter().map(|text| Register { text, address: None }).collect();
    lines.extend(guests(snapshot).map(|text| Register { text, address: None }));
    if let Some(smmu) = &snapshot.smmu {
        lines.extend(self::smmu(&smmu.control, &snapshot.layout));
    }
    for (text, address) in snapshot.gic.iter().flat_map(|gic| gic_lines::lines(gic, &snapshot.layout)) {
        lines.push(Register { text, address });
    }
    lines
}

/// What the hypervisor has of each virtual machine that decides of its addresses.
fn guests(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    snapshot.guests.iter().flat_map(|guests| guests.iter()).map(|guest| {
        let stage2 = match guest.root {
            Some(_) => format!("input={} bits", guest.input_bits),
            None => "no stage 2 yet".to_owned(),
        };
        format!("guest {}: VMID={} {stage2}", guest.handle, guest.vmid.get())
    })
}

/// What the CPUs' registers say, in one line.
pub(crate) fn cpu_side(control: &CpuControl) -> String {
    format!(
        "stage 2 enabled={} VMID={} input={} bits FWB={}",
        u8::from(control.stage2_enabled),
        control.vmid,
        control.input_bits,
        u8::from(control.fwb)
    )
}

/// What the SMMU's registers say, in one line.
pub(crate) fn smmu_side(c: &SmmuControl) -> String {
    format!(
        "SMMUEN={} CMDQEN={} EVENTQEN={} GBPA.ABORT={} GERROR={:#x} CMDQ_CONS.ERR={:#x}",
        u8::from(c.enabled),
        u8::from(c.cmdq_enabled),
        u8::from(c.evtq_enabled),
        u8::from(c.gbpa_abort),
        c.gerror,
        c.cmdq_error
    )
}

/// HCR_EL2.{VF, VI, VSE}: interrupts that are pending for the host, CPU by CPU.
const PENDING: u64 = 0b111 << 6;

/// In what `other` is not as `first`, the first CPU: a line for each register that was looked at on both.
pub(crate) fn differing<'a>(first: &Cpu, other: &'a Cpu) -> impl Iterator<Item = String> + use<'a> {
    let firsts: BTreeMap<_, _> = first.registers.values().collect();
    other.registers.values().filter_map(move |(register, value)| {
        let ignored = match register {
            "HCR_EL2" => PENDING,
            // Each CPU has its own.
            "VMPIDR_EL2" => u64::MAX,
            _ => 0,
        };
        let differing = (firsts.get(register)? ^ value) & !ignored;
        (differing != 0).then(|| format!("{register} differs from that of CPU 0 in {differing:#x}"))
    })
}

/// All of the first CPU, and in what the others are not as it.
fn cpus(cpus: &[Cpu]) -> Vec<String> {
    let Some((first, others)) = cpus.split_first() else { return Vec::new() };
    let mut lines = cpu(first);
    for other in others {
        lines.extend(differing(first, other).map(|what| format!("CPU {}: {what}", other.number)));
    }
    lines
}

fn cpu(Cpu { control, registers, .. }: &Cpu) -> Vec<String> {
    let mut lines = vec![
        format!("CPU {}", cpu_side(control).replacen("stage 2 ", "stage 2: ", 1)),
        format!("EL2 stage 1: enabled={} WXN={}", u8::from(control.el2_enabled), u8::from(control.el2_wxn)),
    ];
    lines.extend(controls(registers));
    lines
}

/// Bits that every CPU has (Armv8.0): what is trapped, and how EL2 runs. A CPU's extensions do not show.
const BITS: &[(&str, &[(u32, &str)])] = &[
    (
        "HCR_EL2",
        &[
            (0, "VM"),
            (1, "SWIO"),
            (2, "PTW"),
            (3, "FMO"),
            (4, "IMO"),
            (5, "AMO"),
            (9, "FB"),
            (12, "DC"),
            (13, "TWI"),
            (14, "TWE"),
            (15, "TID0"),
            (16, "TID1"),
            (17, "TID2"),
            (18, "TID3"),
            (19, "TSC"),
            (20, "TIDCP"),
            (21, "TACR"),
            (22, "TSW"),
            (23, "TPC"),
            (24, "TPU"),
            (25, "TTLB"),
            (26, "TVM"),
            (27, "TGE"),
            (28, "TDZ"),
            (29, "HCD"),
            (30, "TRVM"),
            (31, "RW"),
            (32, "CD"),
            (33, "ID"),
            (34, "E2H"),
        ],
    ),
    ("MDCR_EL2", &[(5, "TPMCR"), (6, "TPM"), (8, "TDE"), (9, "TDA"), (10, "TDOSA"), (11, "TDRA")]),
    ("CNTHCTL_EL2", &[(0, "EL1PCTEN"), (1, "EL1PCEN")]),
    ("CPTR_EL2", &[(10, "TFP"), (20, "TTA"), (31, "TCPAC")]),
    (
        "SCTLR_EL2",
        &[(0, "M"), (1, "A"), (2, "C"), (3, "SA"), (11, "EOS"), (12, "I"), (19, "WXN"), (22, "EIS")],
    ),
];

/// Those that are laid out otherwise with HCR_EL2.E2H = 1, as their namesakes of EL1 are (DDI 0487, D24.2).
const BITS_E2H: &[(&str, &[(u32, &str)])] = &[
    (
        "CNTHCTL_EL2",
        &[
            (0, "EL0PCTEN"),
            (1, "EL0VCTEN"),
            (8, "EL0VTEN"),
            (9, "EL0PTEN"),
            (10, "EL1PCTEN"),
            (11, "EL1PTEN"),
        ],
    ),
    (
        "CPTR_EL2",
        &[(16, "ZEN[0]"), (17, "ZEN[1]"), (20, "FPEN[0]"), (21, "FPEN[1]"), (28, "TTA"), (31, "TCPAC")],
    ),
];

/// What is trapped, and how EL2 runs; nothing where that was not looked at.
fn controls(registers: &SysRegs) -> Option<String> {
    registers.control?;
    let values: BTreeMap<_, _> = registers.values().collect();
    let e2h = registers.hcr_el2 >> 34 & 1 == 1;
    let of_register = |(register, bits): &(&str, &[(u32, &str)])| {
        let value = values.get(register)?;
        let other = BITS_E2H.iter().find(|(name, _)| e2h && name == register);
        let bits = other.map_or(*bits, |(_, bits)| bits);
        let names: Vec<_> =
            bits.iter().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name).collect();
        Some(format!(" {register}={}", if names.is_empty() { "0".to_owned() } else { names.join("|") }))
    };
    Some(format!("EL2 controls:{}", BITS.iter().filter_map(of_register).collect::<String>()))
}

fn smmu(c: &SmmuControl, layout: &Layout) -> Vec<Register> {
    let line = |text: String| Register { text, address: None };
    let placed = |text: String, address: PhysAddr| {
        if layout.pool.contains(address) {
            line(format!("{text} in pool"))
        } else if layout.image.contains(address) {
            line(format!("{text} in hyp"))
        } else {
            Register { text: format!("{text} in "), address: Some(address) }
        }
    };
    let strtab = match c.strtab_split {
        Some(split) => format!("two-level log2size={} split={split}", c.strtab_log2size),
        None => format!("linear log2size={}", c.strtab_log2size),
    };
    vec![
        line(format!(
            "SMMU_CR0: SMMUEN={} CMDQEN={} EVENTQEN={}",
            u8::from(c.enabled),
            u8::from(c.cmdq_enabled),
            u8::from(c.evtq_enabled)
        )),
        line(format!("SMMU_GBPA: ABORT={}", u8::from(c.gbpa_abort))),
        line(format!("SMMU_CR1={:#x} SMMU_CR2={:#x} SMMU_IRQ_CTRL={:#x}", c.cr1, c.cr2, c.irq_ctrl)),
        line(format!("SMMU_GERROR: active={:#x} CMDQ_CONS.ERR={:#x}", c.gerror, c.cmdq_error)),
        placed(format!("SMMU_STRTAB: {strtab}"), c.strtab_base),
        placed(format!("SMMU_CMDQ: log2size={}", c.cmdq.log2size), c.cmdq.base),
        placed(format!("SMMU_EVENTQ: log2size={}", c.evtq.log2size), c.evtq.base),
    ]
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::ControlRegs;

    use super::*;

    #[test]
    fn traps_are_read_as_e2h_lays_them_out() {
        let control = ControlRegs { cnthctl_el2: 0xc00, cptr_el2: 0x30_0000, ..ControlRegs::default() };
        let shown = |hcr_el2| {
            controls(&SysRegs { hcr_el2, control: Some(control), ..SysRegs::default() }).unwrap_or_default()
        };
        let vhe = shown(0x4_8008_0001);
        for part in ["HCR_EL2=VM|TSC|RW|E2H", "CNTHCTL_EL2=EL1PCTEN|EL1PTEN", "CPTR_EL2=FPEN[0]|FPEN[1]"] {
            assert!(vhe.contains(part), "{part} is not in {vhe}");
        }
        assert!(shown(0x8008_0001).contains("CNTHCTL_EL2=0 CPTR_EL2=TTA"));
    }
}
