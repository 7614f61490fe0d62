//! Registers by field.

use parallax_smmu::regs::{Cerror, RegsError};
use parallax_smmu::{OFFSETS, SmmuRegs};

use crate::common::{raw, regs};

#[test]
fn qemus_identification_registers_say_what_is_known_of_the_model() {
    let regs = regs(&[]);
    let idr0 = regs.idr0;
    assert!(idr0.s1p() && idr0.s2p() && idr0.cohacc() && idr0.asid16() && idr0.vmid16() && idr0.term_model());
    assert!(!idr0.btm() && !idr0.ats() && !idr0.pri() && !idr0.msi() && !idr0.cd2l() && !idr0.hyp());
    assert_eq!(
        (idr0.ttf(), idr0.httu(), idr0.ttendian(), idr0.stall_model(), idr0.st_level()),
        (2, 0, 2, 1, 1)
    );
    assert_eq!((regs.idr1.sidsize(), regs.idr1.eventqs(), regs.idr1.cmdqs()), (16, 19, 19));
    assert!(!regs.idr1.attr_types_ovr());
    let idr3 = regs.idr3;
    assert!(idr3.ril() && idr3.xnx() && idr3.had() && !idr3.fwb() && !idr3.stt());
    assert_eq!(idr3.bbml(), 2);
    let idr5 = regs.idr5;
    assert!(idr5.gran4k() && idr5.gran16k() && idr5.gran64k());
    assert_eq!(idr5.oas_bits(), 44);
}

#[test]
fn every_listed_register_is_needed() {
    for missing in OFFSETS {
        let mut raw = raw();
        raw.0.remove(missing);
        assert_eq!(SmmuRegs::decode(&raw), Err(RegsError::Missing(*missing)));
    }
    let distinct: std::collections::BTreeSet<_> = OFFSETS.iter().collect();
    assert_eq!(distinct.len(), OFFSETS.len());
    assert!(OFFSETS.iter().all(|offset| offset % 4 == 0 && *offset < 0x2_0000));
}

#[test]
fn control_registers_are_read_by_field() {
    let regs = regs(&[
        (0x20, 0b1101),
        (0x24, 0b0001),
        (0x44, 1 << 20 | 0b01 << 12),
        (0x28, 0xd75),
        (0x2c, 2),
        (0x50, 5),
        (0x68, 0x808_0043),
        (0x6c, 0xfff0_0001),
    ]);
    assert_eq!(regs.msi, [0x1_0808_0040, 0]);
    assert!(regs.cr0.smmuen() && regs.cr0.eventqen() && regs.cr0.cmdqen() && !regs.cr0.priqen());
    assert!(regs.cr0ack.smmuen() && !regs.cr0ack.cmdqen());
    assert!(regs.gbpa.abort() && !regs.gbpa.mtcfg() && !regs.gbpa.update());
    assert_eq!(regs.gbpa.shcfg(), 1);
    let cr1 = regs.cr1;
    assert_eq!((cr1.queue_ic(), cr1.queue_oc(), cr1.queue_sh()), (1, 1, 3));
    assert_eq!((cr1.table_ic(), cr1.table_oc(), cr1.table_sh()), (1, 1, 3));
    assert!(regs.cr2.recinvsid() && !regs.cr2.ptm() && !regs.cr2.e2h());
    assert!(regs.irq_ctrl.gerror() && regs.irq_ctrl.eventq() && !regs.irq_ctrl.priq());
}

#[test]
fn queues_come_from_base_prod_and_cons() {
    let regs = regs(&[
        (0x90, 0x4810_0000 | 8),
        (0x94, 0x4000_0001),
        (0x98, 5),
        (0x9c, 3 | 1 << 24),
        (0xa0, 0x4820_0000 | 7),
        (0x1_00a8, 1 | 1 << 31),
    ]);
    assert_eq!((regs.cmdq.base.get(), regs.cmdq.size(), regs.cmdq.len()), (0x1_4810_0000, 4096, 2));
    assert_eq!((regs.eventq.base.get(), regs.eventq.size(), regs.eventq.len()), (0x4820_0000, 4096, 1));
    assert!(regs.eventq.overflowed() && !regs.eventq.is_full());
    assert_eq!(regs.cmdq_error(), Cerror::Ill);
}

#[test]
fn an_error_is_active_until_it_is_acknowledged() {
    assert!(regs(&[(0x60, 1), (0x64, 0)]).active_errors().cmdq_err());
    let acknowledged = regs(&[(0x60, 0b101), (0x64, 0b001)]).active_errors();
    assert!(!acknowledged.cmdq_err() && acknowledged.eventq_abt_err());
}

#[test]
fn raw_registers_survive_json_by_offset() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Holder {
        smmu: parallax_smmu::RawRegs,
    }
    let text = serde_json::to_string(&Holder { smmu: raw() }).expect("a map of numbers");
    assert!(text.starts_with("{\"smmu\":{\"0\":222564379,"), "{text}");
    let back: Holder = serde_json::from_str(&text).expect("what was written");
    assert_eq!(back.smmu, raw());
}
