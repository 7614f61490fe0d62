//! What of a tree is taken as a master, and what stays.

#[path = "support/builder.rs"]
mod builder;

use builder::Builder;
use dtoolkit::fdt::Fdt;
use hyp_fdt::Editor;

const PHANDLE: u32 = 5;

/// A root of two cells an address with an SMMU, and what `inside` adds.
fn tree(inside: impl FnOnce(&mut Builder)) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.node("", |root| {
        root.cells("#address-cells", &[2]);
        root.cells("#size-cells", &[2]);
        root.cells("dma-coherent", &[]);
        root.node("smmuv3@9050000", |smmu| {
            smmu.text("compatible", "arm,smmu-v3");
            smmu.cells("reg", &[0, 0x905_0000, 0, 0x2_0000]);
            smmu.cells("phandle", &[PHANDLE]);
        });
        inside(root);
    });
    builder.done(0)
}

/// What is taken of `tree`: names, bases, sizes.
fn taken(tree: &mut [u8]) -> Vec<(String, u64, u64)> {
    let mut all = Vec::new();
    Editor::new(tree)
        .unwrap()
        .take_masters(|frame| all.push((frame.name.to_owned(), frame.base, frame.size)))
        .unwrap();
    all
}

fn named(all: &[(String, u64, u64)]) -> Vec<&str> {
    all.iter().map(|(name, ..)| name.as_str()).collect()
}

fn has(tree: &[u8], path: &str) -> bool {
    Fdt::new(tree).unwrap().find_node(path).is_some()
}

#[test]
fn what_is_below_a_master_goes_with_it() {
    let mut tree = tree(|root| {
        for (name, model) in [("target-module@9020000", "ti,sysc"), ("soc@b000000", "simple-bus")] {
            root.node(name, |bus| {
                bus.text("compatible", model);
                bus.cells("#address-cells", &[1]);
                bus.cells("#size-cells", &[1]);
                bus.cells("ranges", &[]);
                bus.cells("reg", &[0, 0x902_0000, 0, 0x10]);
                bus.device("fw-cfg@9020000", "qemu,fw-cfg-mmio", &[0x902_0000, 0x18]);
                bus.device("pl011@9000000", "arm,pl011", &[0x900_0000, 0x1000]);
            });
        }
    });
    let fw_cfg = ("fw-cfg@9020000".to_owned(), 0x902_0000, 0x18);
    let module = ("target-module@9020000".to_owned(), 0x902_0000, 0x10);
    let uart = ("pl011@9000000".to_owned(), 0x900_0000, 0x1000);
    assert_eq!(taken(&mut tree), [module, fw_cfg.clone(), uart, fw_cfg]);
    let there = [
        "/target-module@9020000",
        "/soc@b000000",
        "/soc@b000000/pl011@9000000",
        "/soc@b000000/fw-cfg@9020000",
    ];
    assert_eq!(there.map(|path| has(&tree, path)), [false, true, true, false]);
}

#[test]
fn a_master_goes_and_what_is_harmless_stays() {
    let mut tree = tree(|root| {
        root.device("fw-cfg@9020000", "qemu,fw-cfg-mmio", &[0, 0x902_0000, 0, 0x18]);
        root.device("pl011@9000000", "arm,pl011\0arm,primecell", &[0, 0x900_0000, 0, 0x1000]);
        root.device("memory@40000000", "any", &[0, 0x4000_0000, 0, 0x1000_0000]);
        root.node("timer", |timer| timer.text("compatible", "arm,armv8-timer"));
        root.device("virtio_mmio@a000000", "virtio,mmio", &[0, 0xa00_0000, 0, 0x200, 0, 0xa00_1000, 0, 0]);
        root.device("pl330@1", "arm,pl330\0arm,primecell", &[1, 0, 0, 0x1000]);
    });
    let expected = [
        ("fw-cfg@9020000", 0x902_0000, 0x18),
        ("virtio_mmio@a000000", 0xa00_0000, 0x200),
        ("pl330@1", 1 << 32, 0x1000),
    ];
    assert_eq!(taken(&mut tree), expected.map(|(name, base, size)| (name.to_owned(), base, size)));
    for (path, stays) in [
        ("/fw-cfg@9020000", false),
        ("/pl330@1", false),
        ("/pl011@9000000", true),
        ("/timer", true),
        ("/smmuv3@9050000", true),
        ("/memory@40000000", true),
    ] {
        assert_eq!(has(&tree, path), stays, "{path}");
    }
    assert!(taken(&mut tree).is_empty(), "what was taken is gone");
}

#[test]
fn a_device_behind_the_smmu_stays_and_one_behind_another_does_not() {
    let device = |root: &mut Builder, name: &str, iommus: &[u32]| {
        root.node(name, |node| {
            node.text("compatible", "vendor,ethernet");
            node.cells("reg", &[0, 0x1000, 0, 0x1000]);
            node.cells("iommus", iommus);
        });
    };
    let mut tree = tree(|root| {
        device(root, "held@1", &[PHANDLE, 3]);
        device(root, "held@2", &[PHANDLE, 3, PHANDLE, 4]);
        device(root, "half@3", &[PHANDLE, 3, 9, 4]);
        device(root, "other@4", &[9, 3]);
        device(root, "odd@5", &[PHANDLE]);
        device(root, "none@6", &[]);
    });
    assert_eq!(named(&taken(&mut tree)), ["half@3", "other@4", "odd@5", "none@6"]);
}

#[test]
fn a_bridge_stays_only_if_all_its_requesters_are_behind_the_smmu() {
    let bridge = |map: Option<&[u32]>| {
        let mut tree = tree(|root| {
            root.node("pcie@10000000", |node| {
                node.text("device_type", "pci");
                node.text("compatible", "pci-host-ecam-generic");
                node.cells("#address-cells", &[3]);
                node.cells("#size-cells", &[2]);
                node.cells("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]);
                node.cells("ranges", &[0x200_0000, 0, 0x1000_0000, 0, 0x1000_0000, 0, 0x2eff_0000]);
                if let Some(map) = map {
                    node.cells("iommu-map", map);
                }
                node.node("port@8", |port| port.cells("reg", &[0x800, 0, 0, 0, 0]));
            });
        });
        taken(&mut tree)
    };
    assert_eq!(bridge(Some(&[0, PHANDLE, 0, 0x1_0000])), []);
    assert_eq!(bridge(Some(&[0x100, PHANDLE, 0x100, 0xff00, 0, PHANDLE, 0, 0x100])), []);
    let whole = [
        ("pcie@10000000".to_owned(), 0x40_1000_0000, 0x1000_0000),
        ("pcie@10000000".to_owned(), 0x1000_0000, 0x2eff_0000),
    ];
    for map in [
        None,
        Some(&[0, PHANDLE, 0, 0xffff][..]),
        Some(&[0, 9, 0, 0x1_0000]),
        Some(&[1, PHANDLE, 1, 0x1_0000]),
    ] {
        assert_eq!(bridge(map), whole, "{map:?}");
    }
}

#[test]
fn addresses_below_a_bus_are_translated() {
    let mut tree = tree(|root| {
        root.node("soc", |soc| {
            soc.text("compatible", "simple-bus");
            soc.cells("#address-cells", &[1]);
            soc.cells("#size-cells", &[1]);
            soc.cells("ranges", &[0, 1, 0x8000_0000, 0x1_0000]);
            soc.device("dma@100", "vendor,dma", &[0x100, 0x10]);
            soc.device("far@20000", "vendor,dma", &[0x2_0000, 0x10]);
            soc.device("smmu@200", "arm,smmu-v3", &[0x200, 0x10]);
            soc.node("inner", |inner| {
                inner.cells("#address-cells", &[1]);
                inner.cells("#size-cells", &[1]);
                inner.cells("ranges", &[]);
                inner.device("dma@300", "vendor,dma", &[0x300, 0x10]);
                inner.device("uart@400", "arm,pl011", &[0x400, 0x10]);
            });
        });
        root.node("i2c", |i2c| {
            i2c.cells("#address-cells", &[1]);
            i2c.cells("#size-cells", &[0]);
            i2c.device("eeprom@50", "vendor,eeprom", &[0x50]);
        });
    });
    let expected = [("dma@100", 0x1_8000_0100), ("smmu@200", 0x1_8000_0200), ("dma@300", 0x1_8000_0300)];
    assert_eq!(taken(&mut tree), expected.map(|(name, base)| (name.to_owned(), base, 0x10)));
    assert!(has(&tree, "/soc/inner/uart@400") && has(&tree, "/i2c/eeprom@50"));
}

#[test]
fn the_gic_and_its_its_are_the_hypervisors_to_hold_and_no_other_is() {
    let mut tree = tree(|root| {
        root.node("intc@8000000", |gic| {
            gic.text("compatible", "arm,gic-v3");
            gic.cells("#address-cells", &[2]);
            gic.cells("#size-cells", &[2]);
            gic.cells("reg", &[0, 0x800_0000, 0, 0x1_0000]);
            gic.cells("ranges", &[]);
            gic.device("its@8080000", "arm,gic-v3-its", &[0, 0x808_0000, 0, 0x2_0000]);
        });
        root.device("its@9080000", "arm,gic-v3-its", &[0, 0x908_0000, 0, 0x2_0000]);
    });
    assert_eq!(named(&taken(&mut tree)), ["its@9080000"]);
    assert!(has(&tree, "/intc@8000000/its@8080000"));
}

proptest::proptest! {
    #[test]
    fn no_tree_makes_it_panic(changes in proptest::collection::vec((0_usize..600, 0_u8..), 1..8)) {
        let mut bytes = tree(|root| {
            root.device("fw-cfg@9020000", "qemu,fw-cfg-mmio", &[0, 0x902_0000, 0, 0x18]);
            root.node("soc", |soc| {
                soc.cells("ranges", &[0, 0, 0, 1]);
                soc.device("dma@100", "vendor,dma", &[0, 0x100, 0x10]);
            });
        });
        for (at, value) in changes {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        if let Ok(mut editor) = Editor::new(&mut bytes) {
            let _ = editor.take_masters(|_| ());
        }
    }
}

#[test]
fn an_smmu_and_a_gic_below_a_bus_are_held_and_what_is_behind_them_stays() {
    let mut builder = Builder::default();
    builder.node("", |root| {
        root.cells("#address-cells", &[2]);
        root.cells("#size-cells", &[2]);
        root.node("soc", |soc| {
            soc.text("compatible", "simple-bus");
            soc.cells("#address-cells", &[1]);
            soc.cells("#size-cells", &[1]);
            soc.cells("ranges", &[0, 0, 0x4000_0000, 0x1000_0000]);
            soc.node("ethernet@1000", |ethernet| {
                ethernet.text("compatible", "vendor,ethernet");
                ethernet.cells("reg", &[0x1000, 0x1000]);
                ethernet.cells("iommus", &[PHANDLE, 3]);
            });
            soc.device("dma@2000", "vendor,dma", &[0x2000, 0x1000]);
            soc.node("iommu@9050000", |smmu| {
                smmu.text("compatible", "vendor,smmu\0arm,smmu-v3");
                smmu.cells("reg", &[0x905_0000, 0x2_0000]);
                smmu.cells("phandle", &[PHANDLE]);
            });
            soc.device("iommu@9090000", "arm,smmu-v3", &[0x909_0000, 0x2_0000]);
            soc.node("intc@8000000", |gic| {
                gic.text("compatible", "arm,gic-v3");
                gic.cells("#address-cells", &[1]);
                gic.cells("#size-cells", &[1]);
                gic.cells("reg", &[0x800_0000, 0x1_0000, 0x80a_0000, 0xf6_0000]);
                gic.cells("ranges", &[]);
                gic.device("its@8080000", "arm,gic-v3-its", &[0x808_0000, 0x2_0000]);
            });
        });
    });
    let mut tree = builder.done(0);
    let expected = [("dma@2000", 0x4000_2000, 0x1000), ("iommu@9090000", 0x4909_0000, 0x2_0000)];
    assert_eq!(taken(&mut tree), expected.map(|(name, base, size)| (name.to_owned(), base, size)));
    assert!(has(&tree, "/soc/ethernet@1000") && has(&tree, "/soc/intc@8000000/its@8080000"));
}
