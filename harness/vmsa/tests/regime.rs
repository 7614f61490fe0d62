//! Regimes from registers and from stage-2 fields.

use parallax_addr::{InputAddr, PhysAddr};
use parallax_vmsa::regime::{Regime, RegimeError, Stage, Stage1Controls, Stage2Controls, Stage2Fields};
use parallax_vmsa::regs::SysRegs;

fn fields(ia_bits: u8, sl0: u8) -> Stage2Fields {
    Stage2Fields {
        root: PhysAddr::new(0x4010_0000),
        t0sz: 64 - ia_bits,
        sl0,
        tg0: 0,
        ps: 0b101,
        oa_limit: 48,
        lpa2: None,
        ha: false,
        fwb: false,
        vmid: 0,
    }
}

#[test]
fn concatenated_roots_are_as_many_as_the_ipa_size_asks() {
    let cases = [
        // IPA bits, SL0, level, entries, tables
        (40, 1, 1, 1024, 2),
        (41, 1, 1, 2048, 4),
        (42, 1, 1, 4096, 8),
        (43, 1, 1, 8192, 16),
        (39, 1, 1, 512, 1),
        (31, 1, 1, 2, 1),
        (44, 2, 0, 32, 1),
        (48, 2, 0, 512, 1),
        (40, 2, 0, 2, 1),
        (34, 0, 2, 8192, 16),
        (30, 0, 2, 512, 1),
        (25, 3, 3, 8192, 16),
    ];
    for (ia_bits, sl0, level, entries, tables) in cases {
        let regime = fields(ia_bits, sl0).regime().expect("a legal combination");
        assert_eq!(regime.start.number(), level, "{ia_bits} bits");
        assert_eq!((regime.root_entries(), regime.root_tables()), (entries, tables), "{ia_bits} bits");
        assert_eq!(regime.ia_end(), InputAddr::new(1 << ia_bits));
    }
}

#[test]
fn a_starting_level_that_does_not_fit_is_refused() {
    for (ia_bits, sl0) in [(44, 1), (30, 1), (39, 2), (35, 0), (21, 0), (26, 3), (40, 4), (48, 5)] {
        let error = RegimeError::StartLevel { sl0, t0sz: 64 - ia_bits };
        assert_eq!(fields(ia_bits, sl0).regime(), Err(error), "{ia_bits} bits");
    }
}

#[test]
fn reserved_and_unsupported_fields_are_named() {
    let base = fields(40, 1);
    assert_eq!(Stage2Fields { tg0: 2, ..base }.regime(), Err(RegimeError::Granule(2)));
    assert_eq!(Stage2Fields { ps: 7, ..base }.regime(), Err(RegimeError::OutputSize(7)));
    assert_eq!(Stage2Fields { t0sz: 15, ..base }.regime(), Err(RegimeError::InputSize(15)));
    assert_eq!(Stage2Fields { t0sz: 49, ..base }.regime(), Err(RegimeError::InputSize(49)));
    let high = Stage2Fields { root: PhysAddr::new(1 << 40), ps: 1, ..base }.regime();
    assert_eq!(high, Err(RegimeError::RootAddressSize { root: PhysAddr::new(1 << 40), oa_bits: 36 }));
}

#[test]
fn stage_2_comes_from_its_registers() {
    let mut regs = SysRegs {
        hcr_el2: 1 << 31 | 1 << 46 | 1,
        vttbr_el2: 0x0103_0000_4801_0001,
        // T0SZ=24, SL0=1, write-back, inner shareable, PS=40 bits, RES1
        vtcr_el2: 24 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1 << 31,
        ..SysRegs::default()
    };
    let regime = Regime::stage2(&regs).expect("legal").expect("on");
    assert_eq!(regime.stage, Stage::Two(Stage2Controls { fwb: true, vmid: 3 }), "8-bit VMID");
    assert_eq!((regime.root.get(), regime.ia_bits, regime.oa_bits), (0x4801_0000, 40, 40));
    regs.vtcr_el2 |= 1 << 19;
    let regime = Regime::stage2(&regs).expect("legal").expect("on");
    assert_eq!(regime.stage, Stage::Two(Stage2Controls { fwb: true, vmid: 0x103 }), "16-bit VMID");
    regs.vtcr_el2 |= 1 << 32;
    let wide = Regime::stage2(&regs).expect("legal").expect("on");
    assert_eq!((wide.lpa2, wide.oa_bits, wide.start), (Some(3), 40, regime.start), "DS");
    regs.sctlr_el2 = 1 << 25;
    assert_eq!(Regime::stage2(&regs), Err(RegimeError::BigEndian));
    regs.hcr_el2 = 1 << 31;
    assert_eq!(Regime::stage2(&regs), Ok(None), "VM is 0");
}

#[test]
fn el2_stage_1_comes_from_its_registers() {
    let mut regs = SysRegs {
        ttbr0_el2: 0x4020_3001,
        tcr_el2: 16 | 5 << 16 | 1 << 31 | 1 << 23,
        mair_el2: 0xff,
        sctlr_el2: 1 | 1 << 19,
        ..SysRegs::default()
    };
    let regime = Regime::el2_stage1(&regs).expect("legal").expect("on");
    let controls = Stage1Controls { mair: 0xff, hpd: false, wxn: true, e2h: false };
    assert_eq!(regime.stage, Stage::One(controls));
    assert_eq!((regime.root.get(), regime.start.number(), regime.ia_bits), (0x4020_3000, 0, 48));
    regs.tcr_el2 += 9;
    let regime = Regime::el2_stage1(&regs).expect("legal").expect("on");
    assert_eq!((regime.start.number(), regime.root_entries()), (1, 512));
    // With E2H = 1, IPS stands in bits 34:32, HA in bit 39, HPD0 in bit 41.
    let vhe = SysRegs { hcr_el2: 1 << 34, tcr_el2: 16 | 2 << 32 | 1 << 39 | 1 << 41, ..regs };
    let regime = Regime::el2_stage1(&vhe).expect("legal").expect("on");
    assert_eq!((regime.ia_bits, regime.oa_bits, regime.hw_af), (48, 40, true));
    assert_eq!(regime.stage, Stage::One(Stage1Controls { hpd: true, e2h: true, ..controls }));
    regs.sctlr_el2 = 0;
    assert_eq!(Regime::el2_stage1(&regs), Ok(None));
}

#[test]
fn a_root_is_aligned_to_its_size() {
    let root = |ia_bits| {
        let fields = Stage2Fields { root: PhysAddr::new(0x4010_1ff0), ..fields(ia_bits, 1) };
        fields.regime().expect("legal").root
    };
    assert_eq!(root(40), PhysAddr::new(0x4010_0000), "two concatenated tables: 8 KiB");
    assert_eq!(root(32), PhysAddr::new(0x4010_1fe0), "four entries: 32 bytes");
}

#[test]
fn with_52_bits_there_is_a_level_more_and_the_root_has_four_bits_more() {
    // As a kernel with pKVM sets them on QEMU's CPU `max`: VTCR_EL2.DS, 16 tables of level 0.
    let mut regs = SysRegs {
        hcr_el2: 1 | 1 << 31,
        vttbr_el2: 0x7f61_0001 | 0b1010 << 2,
        vtcr_el2: 0x1_802e_358c,
        ..SysRegs::default()
    };
    let regime = Regime::stage2(&regs).expect("legal").expect("on");
    assert_eq!((regime.start.number(), regime.root_tables(), regime.ia_bits), (0, 16, 52));
    assert_eq!((regime.oa_bits, regime.lpa2), (52, Some(3)));
    assert_eq!(regime.root.get(), 0x000a_0000_7f61_0000);
    // SL2:SL0 = 0b100: one table of level -1, of 16 entries.
    regs.vtcr_el2 = regs.vtcr_el2 & !(0b11 << 6) | 1 << 33;
    let regime = Regime::stage2(&regs).expect("legal").expect("on");
    assert_eq!((regime.start.number(), regime.root_tables(), regime.root_entries()), (-1, 1, 16));
    // EL2's stage 1, E2H = 1: TCR_EL2.DS is bit 59, IPS bits 34:32.
    let regs = SysRegs {
        hcr_el2: 1 << 34,
        sctlr_el2: 1,
        tcr_el2: 1 << 59 | 0b110 << 32 | 3 << 12 | 12,
        ttbr0_el2: 0x4000_0000,
        ..SysRegs::default()
    };
    let regime = Regime::el2_stage1(&regs).expect("legal").expect("on");
    assert_eq!((regime.start.number(), regime.ia_bits, regime.oa_bits), (-1, 52, 52));
}
