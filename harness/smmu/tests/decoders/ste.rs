//! Stream table entries: fields, the stage-2 translation they select, and what makes one ILLEGAL.

use parallax_addr::PhysAddr;
use parallax_smmu::illegal::{Illegal, illegal};
use parallax_smmu::{Config, Ste};
use parallax_vmsa::regime::{RegimeError, Stage, Stage2Controls};

use crate::common::{IDR0, regs};
use proptest::prelude::*;

const ROOT: u64 = 0x4a00_0000;

/// Stage 2 only: 44-bit IPA from level 0, write-back inner shareable walk, 44-bit output, faults recorded.
fn stage2() -> Ste {
    let dword2 = 20_u64 << 32 | 2 << 38 | 1 << 40 | 1 << 42 | 3 << 44 | 4 << 48 | 1 << 51 | 1 << 54 | 1 << 58;
    Ste([1 | 0b110 << 1, 0b01 << 44, dword2, ROOT, 0, 0, 0, 0])
}

fn with(mut ste: Ste, dword: usize, set: u64, clear: u64) -> Ste {
    ste.0[dword] = ste.0[dword] & !clear | set;
    ste
}

#[test]
fn the_fields_of_a_stage_2_entry_are_read() {
    let ste = stage2();
    assert!(ste.v() && ste.uses_stage2() && ste.s2aa64() && ste.s2ptw() && ste.s2r() && !ste.s2s());
    assert_eq!(ste.config(), Config::Stage2);
    assert_eq!((ste.s2t0sz(), ste.s2sl0(), ste.s2tg(), ste.s2ps(), ste.s2vmid()), (20, 2, 0, 4, 0));
    assert_eq!((ste.s2ir0(), ste.s2or0(), ste.s2sh0()), (1, 1, 3));
    assert_eq!((ste.s2ttb(), ste.shcfg(), ste.mtcfg()), (ROOT, 1, false));
}

#[test]
fn no_two_fields_share_a_bit_and_each_has_one() {
    let mut seen = std::collections::BTreeSet::new();
    for bit in 0..512 {
        let mut ste = Ste::default();
        ste.0[bit / 64] = 1 << (bit % 64);
        let hits: Vec<_> =
            Ste::FIELDS.iter().filter(|field| field.value(&ste.0) != 0).map(|f| f.name).collect();
        assert!(hits.len() <= 1, "bit {bit}: {hits:?}");
        seen.extend(hits);
    }
    assert_eq!(seen.len(), Ste::FIELDS.len());
}

#[test]
fn the_specifications_bit_numbers_select_the_fields() {
    let cases = [
        (0, "V"),
        (3, "Config"),
        (6, "S1ContextPtr"),
        (59, "S1CDMax"),
        (64, "S1DSS"),
        (80, "CONT"),
        (83, "MEV"),
        (89, "S2FWB"),
        (91, "S1STALLD"),
        (92, "EATS"),
        (94, "STRW"),
        (99, "MemAttr"),
        (100, "MTCFG"),
        (101, "ALLOCCFG"),
        (109, "SHCFG"),
        (110, "NSCFG"),
        (113, "PRIVCFG"),
        (115, "INSTCFG"),
        (143, "S2VMID"),
        (165, "S2T0SZ"),
        (166, "S2SL0"),
        (174, "S2TG"),
        (178, "S2PS"),
        (179, "S2AA64"),
        (180, "S2ENDI"),
        (181, "S2AFFD"),
        (182, "S2PTW"),
        (183, "S2HD"),
        (184, "S2HA"),
        (185, "S2S"),
        (186, "S2R"),
        (191, "DPT_VMATCH"),
        (195, "S2DS"),
        (196, "S2TTB"),
        (247, "S2TTB"),
        (287, "PARTID"),
        (293, "S_S2T0SZ"),
        (319, "MECID"),
        (327, "PMG"),
        (332, "VMSPtr"),
        (388, "S_S2TTB"),
        (511, "S2POI"),
    ];
    for (bit, name) in cases {
        let mut ste = Ste::default();
        ste.0[bit / 64] = 1 << (bit % 64);
        let hit = Ste::FIELDS.iter().find(|field| field.value(&ste.0) != 0).map(|field| field.name);
        assert_eq!(hit, Some(name), "bit {bit}");
    }
}

#[test]
fn every_config_means_what_the_specification_says() {
    let configs: Vec<_> = (0..8).map(|config| Ste([1 | config << 1, 0, 0, 0, 0, 0, 0, 0]).config()).collect();
    use Config::*;
    assert_eq!(configs, [Abort, Abort, Abort, Abort, Bypass, Stage1, Stage2, Nested]);
    assert!(!Ste([0b110 << 1, 0, 0, 0, 0, 0, 0, 0]).uses_stage2(), "V is 0");
}

#[test]
fn the_stage_2_translation_is_handed_to_the_walker() {
    let idr5 = regs(&[]).idr5;
    let regime = stage2().stage2(&idr5).expect("legal").expect("stage 2");
    assert_eq!((regime.root.get(), regime.ia_bits, regime.oa_bits), (ROOT, 44, 44));
    assert_eq!((regime.start.number(), regime.root_entries(), regime.hw_af), (0, 32, false));
    let named = with(with(stage2(), 2, 0x17, 0), 1, 1 << 25, 0);
    let regime = named.stage2(&idr5).expect("legal").expect("stage 2");
    assert_eq!(regime.stage, Stage::Two(Stage2Controls { fwb: true, vmid: 0x17 }));
    assert_eq!(Ste([1 | 0b100 << 1, 0, 0, 0, 0, 0, 0, 0]).stage2(&idr5), Ok(None), "bypass");
}

#[test]
fn the_smmu_bounds_the_output_size_and_aligns_the_root() {
    let idr5 = regs(&[]).idr5;
    for ps in [0b101, 0b110, 0b111] {
        let regime = with(stage2(), 2, ps << 48, 7 << 48).stage2(&idr5).expect("capped").expect("stage 2");
        assert_eq!(regime.oa_bits, 44);
    }
    // 40-bit IPA from level 1: two concatenated tables, so bits 12:0 of the root do not count.
    let concatenated = with(stage2(), 2, 24 << 32 | 1 << 38, 0x3f << 32 | 3 << 38);
    let regime = with(concatenated, 3, 0x1010, 0).stage2(&idr5).expect("aligned").expect("stage 2");
    assert_eq!((regime.root.get(), regime.root_tables()), (ROOT, 2));
}

#[test]
fn an_access_flag_that_never_faults_counts_as_set_by_hardware() {
    let idr5 = regs(&[]).idr5;
    let regime = with(stage2(), 2, 1 << 53, 0).stage2(&idr5).expect("legal").expect("stage 2");
    assert!(regime.hw_af);
}

#[test]
fn an_entry_in_order_is_not_illegal() {
    assert_eq!(illegal(&stage2(), &regs(&[])), []);
    assert_eq!(illegal(&Ste::default(), &regs(&[])), [], "no field of an invalid entry counts");
    let abort = with(stage2(), 0, 0, 0b111 << 1);
    assert_eq!(illegal(&with(abort, 2, 0, u64::MAX), &regs(&[])), [], "nor of one that aborts");
    let bypass = with(stage2(), 0, 0b100 << 1, 0b111 << 1);
    assert_eq!(illegal(&with(bypass, 2, 0, u64::MAX), &regs(&[])), [], "nor S2 fields in bypass");
}

#[test]
fn each_illegal_field_is_named() {
    let t0sz = Illegal::InputSize { t0sz: 16, min: 20, max: 39 };
    let level = RegimeError::StartLevel { sl0: 1, t0sz: 20 };
    let root = RegimeError::RootAddressSize { root: PhysAddr::new(ROOT | 1 << 45), oa_bits: 44 };
    let cases = [
        (with(stage2(), 2, 0, 1 << 51), Illegal::TableFormat(false)),
        (with(stage2(), 2, 16 << 32, 0x3f << 32), t0sz),
        (with(stage2(), 2, 1 << 38, 3 << 38), Illegal::Stage2(level)),
        (with(stage2(), 2, 3 << 46, 3 << 46), Illegal::Granule(3)),
        (with(stage2(), 2, 1 << 52, 0), Illegal::Endianness(true)),
        (with(stage2(), 2, 1 << 57, 0), Illegal::Stall { s2s: true, model: 1 }),
        (with(stage2(), 2, 1 << 56, 0), Illegal::Httu { ha: true, hd: false, httu: 0 }),
        (with(stage2(), 2, 1 << 55, 0), Illegal::Httu { ha: false, hd: true, httu: 0 }),
        (with(stage2(), 3, 1 << 45, 0), Illegal::Stage2(root)),
        (with(stage2(), 3, 1 << 3, 0), Illegal::Stage2(RegimeError::Ds)),
        (Ste([1 | 0b101 << 1, 1 << 27, 0, 0, 0, 0, 0, 0]), Illegal::S1Stalld(1)),
        (Ste([1 | 0b101 << 1 | 1 << 50, 0, 0, 0, 0, 0, 0, 0]), Illegal::S1ContextPtr(1 << 50)),
    ];
    for (ste, expected) in cases {
        assert_eq!(illegal(&ste, &regs(&[])), [expected], "{expected}");
    }
}

#[test]
fn what_is_illegal_depends_on_the_features_of_the_smmu() {
    let idr0 = 0x0d44_101b;
    let only = |idr0: u32, ste: Ste| illegal(&ste, &regs(&[(IDR0, idr0)]));
    assert_eq!(only(idr0 & !1, stage2()), [Illegal::NoStage2(0b110)]);
    let nested = with(stage2(), 0, 0b111 << 1, 0);
    assert_eq!(only(idr0 & !2, nested), [Illegal::NoStage1(0b111)]);
    let vmid = with(stage2(), 2, 0x100, 0);
    assert_eq!(only(idr0, vmid), []);
    assert_eq!(only(idr0 & !(1 << 18), vmid), [Illegal::Vmid(0x100)]);
    let split = with(stage2(), 1, 0b10 << 28, 0);
    assert_eq!(only(idr0, split), [], "EATS does not count without ATS");
    assert_eq!(only(idr0 | 1 << 10, split), [Illegal::Eats(0b10)]);
    let stage1 = Ste([1 | 0b101 << 1, 0b01 << 30, 0, 0, 0, 0, 0, 0]);
    assert_eq!(only(idr0, stage1), [], "STRW does not count without EL2");
    assert_eq!(only(idr0 | 1 << 9, stage1), [Illegal::Strw(0b01)]);
}

proptest! {
    #[test]
    fn any_entry_and_any_features_decode_without_a_panic(dwords in any::<[u64; 8]>(), ids in any::<[u32; 4]>()) {
        let regs = regs(&[(0x00, ids[0]), (0x04, ids[1]), (0x0c, ids[2]), (0x14, ids[3])]);
        let mut ste = Ste(dwords);
        for config in 0..8 {
            ste.0[0] = dwords[0] & !0xf | config << 1 | 1;
            let wrong = illegal(&ste, &regs);
            let undecoded = ste.stage2(&regs.idr5).is_err() && ste.s2aa64();
            let unsupported = ste.s2tg() != 0 || ste.s2endi() || ste.s2ds();
            prop_assert!(!undecoded || unsupported || !wrong.is_empty(), "an error has its reason");
        }
    }
}
