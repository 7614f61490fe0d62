//! What is found in trees as boards have them, and what becomes of these.

#[path = "support/builder.rs"]
mod builder;

use builder::Builder;
use dtoolkit::fdt::Fdt;
use dtoolkit::{Node as _, Property as _};
use hyp_fdt::{Editor, FdtError, Found};

/// Everything but text, which would borrow the tree.
fn found(tree: &mut [u8]) -> Result<Vec<Found<'static>>, FdtError> {
    let mut all = vec![];
    Editor::new(tree).unwrap().board(&mut |found| {
        all.push(match found {
            Found::Psci(method) => Found::Psci(if method == "smc" { "smc" } else { "other" }),
            Found::Memory(span) => Found::Memory(span),
            Found::Reserved(span) => Found::Reserved(span),
            Found::NoMap(span) => Found::NoMap(span),
            Found::Cpu(affinity) => Found::Cpu(affinity),
            Found::Host(span) => Found::Host(span),
            Found::Console(span) => Found::Console(span),
            Found::Smmu(span, gerror) => Found::Smmu(span, gerror),
            Found::Distributor(span) => Found::Distributor(span),
            Found::Redistributors(span) => Found::Redistributors(span),
            Found::Its(span) => Found::Its(span),
        });
    })?;
    Ok(all)
}

/// A tree whose root has so many cells, with what `inside` adds, and room for more.
fn tree(cells: u32, inside: impl FnOnce(&mut Builder)) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.node("", |root| {
        root.cells("#address-cells", &[cells]);
        root.cells("#size-cells", &[cells]);
        inside(root);
    });
    builder.done(1024)
}

/// A board with everything below /soc, addresses of one cell there and two above, and a console by an alias.
fn board() -> Vec<u8> {
    let mut builder = Builder::default();
    builder.reserved = vec![(0x8800_0000, 0x10_0000), (0x1_0000_0000, 0x1000)];
    builder.node("", |root| {
        root.cells("#address-cells", &[2]);
        root.cells("#size-cells", &[2]);
        root.node("aliases", |aliases| aliases.text("serial0", "/soc/bus@0/serial@1c21000"));
        root.node("chosen", |chosen| {
            chosen.text("stdout-path", "serial0:115200n8");
            chosen.text("bootargs", "smmu=shadow");
            chosen.cells("linux,initrd-start", &[0x4800_0000]);
            chosen.cells("linux,initrd-end", &[0, 0x4880_1234]);
            chosen.node("module@50000000", |module| {
                module.text("compatible", "multiboot,module\0multiboot,kernel");
                module.cells("reg", &[0, 0x5000_0000, 0, 0x20_0000]);
            });
            chosen.node("module@60000000", |module| {
                module.text("compatible", "multiboot,module\0multiboot,ramdisk");
                module.cells("reg", &[0, 0x6000_0000, 0, 0x10_0000]);
            });
        });
        root.node("psci", |psci| {
            psci.text("compatible", "arm,psci-1.0\0arm,psci-0.2");
            psci.text("method", "smc");
        });
        root.node("cpus", |cpus| {
            cpus.cells("#address-cells", &[2]);
            cpus.cells("#size-cells", &[0]);
            cpus.node("cpu-map", |_| ());
            cpus.node("cpu@0", |cpu| cpu.cells("reg", &[0, 0]));
            cpus.node("cpu@100", |cpu| cpu.cells("reg", &[1, 0x100]));
        });
        root.node("memory@80000000", |memory| {
            memory.text("device_type", "memory");
            memory.cells("reg", &[0, 0x8000_0800, 0, 0x7fff_f800, 8, 0, 1, 0]);
        });
        root.node("memory@0", |memory| {
            memory.text("device_type", "memory");
            memory.text("status", "disabled");
            memory.cells("reg", &[0, 0, 0, 0x1000_0000]);
        });
        root.node("reserved-memory", |reserved| {
            reserved.cells("#address-cells", &[2]);
            reserved.cells("#size-cells", &[2]);
            reserved.cells("ranges", &[]);
            reserved.node("ramoops@9ff00000", |ramoops| {
                ramoops.text("compatible", "ramoops");
                ramoops.cells("reg", &[0, 0x9ff0_0000, 0, 0x10_0000]);
                ramoops.cells("no-map", &[]);
            });
            reserved.node("remoteproc", |remoteproc| {
                remoteproc.cells("size", &[0, 0x100_0000]);
                remoteproc.cells("no-map", &[]);
            });
            reserved.node("framebuffer@9e000000", |framebuffer| {
                framebuffer.cells("reg", &[0, 0x9e00_0000, 0, 0x80_0000]);
            });
        });
        root.node("soc", |soc| {
            soc.text("compatible", "simple-bus");
            soc.cells("#address-cells", &[1]);
            soc.cells("#size-cells", &[1]);
            soc.cells("ranges", &[0, 0, 0, 0x4000_0000]);
            soc.node("intc@6000000", |gic| {
                gic.text("compatible", "arm,gic-v3");
                gic.cells("#redistributor-regions", &[2]);
                gic.cells("#address-cells", &[1]);
                gic.cells("#size-cells", &[1]);
                gic.cells("ranges", &[]);
                let frames =
                    [0x600_0000, 0x1_0000, 0x620_0000, 0x20_0000, 0x640_0000, 0x20_0000, 0xc0c_0000, 0x2000];
                gic.cells("reg", &frames);
                gic.device("its@6020000", "arm,gic-v3-its", &[0x602_0000, 0x2_0000]);
            });
            soc.node("iommu@5000000", |smmu| {
                smmu.text("compatible", "arm,smmu-v3");
                smmu.cells("reg", &[0x500_0000, 0x80_0000]);
                smmu.text("interrupt-names", "eventq\0gerror");
                smmu.cells("interrupts", &[0, 20, 4, 0, 21, 4]);
                smmu.cells("phandle", &[7]);
            });
            soc.node("bus@0", |bus| {
                bus.cells("#address-cells", &[1]);
                bus.cells("#size-cells", &[1]);
                bus.cells("ranges", &[0x100_0000, 0x200_0000, 0x100_0000]);
                bus.device("serial@1c21000", "arm,pl011\0arm,primecell", &[0x1c2_1000, 0x1000]);
            });
            soc.node("usb@4000000", |usb| {
                usb.text("compatible", "vendor,usb");
                usb.cells("reg", &[0x400_0000, 0x1000]);
                usb.cells("iommus", &[7, 1]);
            });
        });
    });
    builder.done(1024)
}

#[test]
fn everything_is_found_below_whatever_bus_it_is() {
    let mut tree = board();
    let expected = [
        Found::Reserved((0x8800_0000, 0x10_0000)),
        Found::Reserved((0x1_0000_0000, 0x1000)),
        Found::Reserved((0x4800_0000, 0x80_1234)),
        Found::Host((0x5000_0000, 0x20_0000)),
        Found::Reserved((0x6000_0000, 0x10_0000)),
        Found::Cpu(0),
        Found::Cpu(0x1_0000_0100),
        Found::NoMap((0x9ff0_0000, 0x10_0000)),
        Found::Reserved((0x9e00_0000, 0x80_0000)),
        Found::Psci("smc"),
        Found::Memory((0x8000_0800, 0x7fff_f800)),
        Found::Memory((0x8_0000_0000, 0x1_0000_0000)),
        Found::Distributor((0x600_0000, 0x1_0000)),
        Found::Redistributors((0x620_0000, 0x20_0000)),
        Found::Redistributors((0x640_0000, 0x20_0000)),
        Found::Its((0x602_0000, 0x2_0000)),
        Found::Smmu((0x500_0000, 0x80_0000), Some(21)),
        Found::Console((0x2c2_1000, 0x1000)),
    ];
    assert_eq!(found(&mut tree).unwrap(), expected);
    assert_eq!(Editor::new(&mut tree).unwrap().bootargs().unwrap(), "smmu=shadow");
}

#[test]
fn a_console_is_named_by_its_path_or_there_is_none() {
    let console = |path: &str| {
        let mut tree = tree(1, |root| {
            root.node("aliases", |aliases| aliases.text("other", "/timer"));
            root.node("chosen", |chosen| chosen.text("stdout-path", path));
            root.node("soc", |soc| {
                soc.cells("#address-cells", &[1]);
                soc.cells("#size-cells", &[1]);
                soc.cells("ranges", &[]);
                soc.device("uart@1000", "arm,pl011", &[0x1000, 0x100]);
                soc.device("uart@2000", "vendor,uart", &[0x2000, 0x100]);
            });
        });
        found(&mut tree).unwrap()
    };
    for path in ["/soc/uart@1000", "/soc/uart@1000:9600", "/soc/uart"] {
        assert_eq!(console(path), [Found::Console((0x1000, 0x100))], "{path}");
    }
    for path in ["", "/soc/uart@2000", "/soc", "/uart@1000", "other", "missing:9600", "/x/soc/uart@1000"] {
        assert_eq!(console(path), [], "{path}");
    }
}

#[test]
fn the_hypervisors_memory_is_reserved_in_the_cells_that_the_tree_has() {
    let reg = |cells, inside: fn(&mut Builder)| {
        let mut tree = tree(cells, inside);
        let mut editor = Editor::new(&mut tree).unwrap();
        editor.reserve("pool", (0x4040_0000, 0x20_0000)).unwrap();
        editor.reserve("hypervisor", (0x4020_0000, 0x8_0000)).unwrap();
        let fdt = Fdt::new(&tree).unwrap();
        let parent = fdt.find_node("/reserved-memory").unwrap();
        let cells = ["#address-cells", "#size-cells"]
            .map(|name| parent.property(name).unwrap().value_as::<u32>().unwrap());
        assert!(parent.property("ranges").is_some());
        assert!(fdt.find_node("/reserved-memory/pool").is_some());
        let node = fdt.find_node("/reserved-memory/hypervisor").unwrap();
        assert!(node.property("no-map").is_some());
        let words = node
            .property("reg")
            .unwrap()
            .value()
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect::<Vec<_>>();
        (cells, words)
    };
    let one = vec![0x4020_0000, 0x8_0000];
    let two = vec![0, 0x4020_0000, 0, 0x8_0000];
    assert_eq!(reg(1, |_| ()), ([1, 1], one.clone()));
    assert_eq!(reg(2, |_| ()), ([2, 2], two));
    let with_size_of_one = |root: &mut Builder| {
        root.node("reserved-memory", |reserved| {
            reserved.cells("#address-cells", &[2]);
            reserved.cells("#size-cells", &[1]);
            reserved.cells("ranges", &[]);
        });
    };
    assert_eq!(reg(2, with_size_of_one), ([2, 1], vec![0, 0x4020_0000, 0x8_0000]));
    let mut small = tree(1, |_| ());
    let refused = Editor::new(&mut small).unwrap().reserve("hypervisor", (1 << 32, 0x1000));
    assert_eq!(refused, Err(FdtError::NoAddress("the hypervisor's memory")));
}

#[test]
fn an_smmu_goes_with_all_that_refers_to_it() {
    let mut tree = board();
    Editor::new(&mut tree).unwrap().hide_smmu().unwrap();
    let fdt = Fdt::new(&tree).unwrap();
    assert!(fdt.find_node("/soc/iommu@5000000").is_none());
    assert!(fdt.find_node("/soc/usb@4000000").unwrap().property("iommus").is_none());
    assert!(!found(&mut tree).unwrap().iter().any(|found| matches!(found, Found::Smmu(..))));
}

#[test]
fn an_smmu_without_an_address_is_an_error() {
    let mut hidden = tree(1, |root| {
        root.node("i2c", |i2c| {
            i2c.cells("#address-cells", &[1]);
            i2c.cells("#size-cells", &[0]);
            i2c.device("iommu@5", "arm,smmu-v3", &[5]);
        });
    });
    assert_eq!(found(&mut hidden), Err(FdtError::NoAddress("the SMMU")));
    let mut huge = tree(2, |root| root.device("iommu@5", "arm,smmu-v3", &[!0, !0, 0, 0x1000]));
    assert!(matches!(found(&mut huge), Err(FdtError::Malformed(_))));
    let mut none = tree(2, |_| ());
    assert_eq!(found(&mut none), Ok(vec![]));
}

#[test]
fn what_is_no_tree_is_refused() {
    for (at, value) in [(0, 0xd00d_feee_u32), (24, 18), (8, 0)] {
        let mut tree = board();
        tree[at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert!(Editor::new(&mut tree).is_err(), "{at}");
    }
}

proptest::proptest! {
    #[test]
    fn no_tree_makes_it_panic(changes in proptest::collection::vec((0_usize..4000, 0_u8..), 1..8)) {
        let mut bytes = board();
        for (at, value) in changes {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        if let Ok(mut editor) = Editor::new(&mut bytes) {
            let _ = editor.board(&mut |_| ());
            let _ = editor.bootargs().map(str::len);
            let _ = editor.hide_smmu();
            let _ = editor.reserve("hypervisor", (0x4000_0000, 0x1000));
        }
    }
}
