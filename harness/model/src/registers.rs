//! Registers that matter, as text: one `name=value` a line, in a fixed order.

use crate::smmu_state::SmmuControl;
use crate::snapshot::{CpuControl, Layout, Snapshot};

/// The lines of the `regs` lane.
#[must_use]
pub fn text(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = cpu(&snapshot.control);
    if let Some(smmu) = &snapshot.smmu {
        lines.extend(self::smmu(&smmu.control, &snapshot.layout));
    }
    lines
}

fn cpu(control: &CpuControl) -> Vec<String> {
    vec![
        format!(
            "CPU stage 2: enabled={} VMID={} input={} bits FWB={}",
            u8::from(control.stage2_enabled),
            control.vmid,
            control.input_bits,
            u8::from(control.fwb)
        ),
        format!("EL2 stage 1: enabled={} WXN={}", u8::from(control.el2_enabled), u8::from(control.el2_wxn)),
    ]
}

fn smmu(c: &SmmuControl, layout: &Layout) -> Vec<String> {
    let place = |address: u64| {
        if layout.pool.contains(address) {
            "pool".to_owned()
        } else if layout.image.contains(address) {
            "hyp".to_owned()
        } else {
            format!("{address:#x}")
        }
    };
    let strtab = match c.strtab_split {
        Some(split) => format!("two-level log2size={} split={split}", c.strtab_log2size),
        None => format!("linear log2size={}", c.strtab_log2size),
    };
    vec![
        format!(
            "SMMU_CR0: SMMUEN={} CMDQEN={} EVENTQEN={}",
            u8::from(c.enabled),
            u8::from(c.cmdq_enabled),
            u8::from(c.evtq_enabled)
        ),
        format!("SMMU_GBPA: ABORT={}", u8::from(c.gbpa_abort)),
        format!("SMMU_CR1={:#x} SMMU_CR2={:#x} SMMU_IRQ_CTRL={:#x}", c.cr1, c.cr2, c.irq_ctrl),
        format!("SMMU_GERROR: active={:#x} CMDQ_CONS.ERR={:#x}", c.gerror, c.cmdq_error),
        format!("SMMU_STRTAB: {strtab} in {}", place(c.strtab_base)),
        format!("SMMU_CMDQ: log2size={} in {}", c.cmdq.log2size, place(c.cmdq.base)),
        format!("SMMU_EVENTQ: log2size={} in {}", c.evtq.log2size, place(c.evtq.base)),
    ]
}
