//! What the device tree says of the machine (Devicetree Specification 0.4 and Linux's bindings).
//!
//! The tree is read once, at boot. Whatever in it cannot be served ends in a panic that says so: nothing is
//! guessed.

use crate::boot_tables::{linear_ptr, map_linear};
use crate::layout::MAX_CPUS;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::{NodeStandard, Reg};
use dtoolkit::{Node, Property};
use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::regions::{Kind, Range, Region, Regions};

/// Linux's limit for a device tree.
const MAX_DTB: u64 = 2 << 20;

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    /// The device tree itself.
    pub(crate) dtb: Range,
    /// Memory, memory that nobody may map, and MMIO.
    pub(crate) regions: Regions,
    /// MPIDR affinities of the CPUs, the boot CPU's among them.
    cpus: [u64; MAX_CPUS],
    cpus_len: usize,
    /// The host's image: the guest loader's module.
    pub(crate) host: Range,
    /// The SMMUv3's register frame.
    pub(crate) smmu: Option<Range>,
    /// The wire of its global errors: the number of an SPI.
    pub(crate) smmu_gerror: Option<u32>,
    /// The GICv3 distributor's register frame.
    pub(crate) gicd: Option<Range>,
    /// Its redistributors' frames: some in a row in each.
    pub(crate) gicr: [Option<Range>; 4],
    /// The ITS's register frames.
    pub(crate) its: Option<Range>,
    /// The UART's register frame.
    pub(crate) uart: Range,
}

impl Platform {
    /// MPIDR affinities of the CPUs, in the tree's order.
    pub(crate) fn cpus(&self) -> &[u64] {
        &self.cpus[..self.cpus_len]
    }

    fn add_cpu(&mut self, node: FdtNode<'_>) {
        let reg = node.reg().ok().flatten().and_then(|mut reg| reg.next());
        let affinity = reg.and_then(|reg| reg.address::<u64>().ok()).expect("device tree: cpu without reg");
        assert!(self.cpus_len < MAX_CPUS, "device tree: more than {MAX_CPUS} CPUs");
        self.cpus[self.cpus_len] = affinity;
        self.cpus_len += 1;
    }

    fn add_gic(&mut self, node: FdtNode<'_>) {
        let mut frames = regs(node, "gic");
        self.gicd = frames.next();
        let number = node.property("#redistributor-regions").and_then(|number| number.value_as::<u32>().ok());
        let number = number.map_or(1, |number| number as usize);
        assert!(number <= self.gicr.len(), "device tree: {number} regions of redistributors");
        self.gicr.iter_mut().zip(frames.take(number)).for_each(|(slot, frame)| *slot = Some(frame));
        for node in node.children().filter(|child| child.is_compatible("arm,gic-v3-its")) {
            assert!(self.its.is_none(), "device tree: more than one ITS");
            self.its = Some(first_reg(node, "its"));
        }
    }

    fn add_region(&mut self, range: Range, kind: Kind) {
        let base = range.base.align_down(PAGE_SIZE);
        let end = range.end().next_multiple_of(PAGE_SIZE);
        let range = Range { base, size: end - base.0 };
        self.regions.set(range, kind).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Maps the device tree at `dtb` and checks that it is one.
pub(crate) fn open(dtb: PhysAddr) -> Fdt<'static> {
    assert!(dtb.0 != 0 && dtb.is_aligned(8), "no device tree at {dtb}");
    map_linear(dtb, MAX_DTB, false);
    let header = linear_ptr(dtb);
    // SAFETY: the boot protocol puts a device tree of at most 2 MiB at x0, and all of that has just been
    // mapped. It is memory that nobody writes before the host runs, and the references end before the boot
    // tables do.
    let size = u64::from(u32::from_be(unsafe { header.add(4).cast::<u32>().read() }));
    assert!((40..=MAX_DTB).contains(&size), "device tree at {dtb}: size {size:#x} is not one");
    // SAFETY: as above; `size` is within what is mapped.
    let data = unsafe { core::slice::from_raw_parts(header, size as usize) };
    Fdt::new(data).unwrap_or_else(|error| panic!("device tree at {dtb}: {error}"))
}

/// The frame of the PL011 that /chosen/stdout-path names.
pub(crate) fn uart(fdt: Fdt<'_>) -> Range {
    let chosen = fdt.chosen().expect("device tree: /chosen is missing");
    let path = chosen.stdout_path().ok().flatten().expect("device tree: /chosen/stdout-path is missing");
    let path = path.split(':').next().unwrap_or(path);
    let node = fdt.find_node(path).unwrap_or_else(|| panic!("device tree: {path} is missing"));
    assert!(node.is_compatible("arm,pl011"), "device tree: {path} is no PL011");
    first_reg(node, path)
}

/// The boot options, /chosen/bootargs.
pub(crate) fn bootargs(fdt: Fdt<'_>) -> &str {
    static NONE: &str = "";
    let Some(node) = fdt.find_node("/chosen") else { return NONE };
    let text = node.properties().find(|property| property.name() == "bootargs");
    text.map_or(NONE, |property| property.value_as().expect("device tree: /chosen/bootargs is no text"))
}

/// Reads everything else. Addresses from `2^ipa_bits` on are ignored. `kept` is MMIO that the host does not get.
pub(crate) fn parse(fdt: Fdt<'_>, dtb: PhysAddr, ipa_bits: u32, kept: &Regions) -> Platform {
    let mut platform = Platform {
        dtb: Range { base: dtb, size: fdt.data().len() as u64 },
        regions: Regions::new(ipa_bits),
        cpus: [0; MAX_CPUS],
        cpus_len: 0,
        host: Range { base: PhysAddr(0), size: 0 },
        smmu: None,
        smmu_gerror: None,
        gicd: None,
        gicr: [None; 4],
        its: None,
        uart: uart(fdt),
    };
    for node in fdt.root().children() {
        match node.name_without_address() {
            "memory" => regs(node, "memory").for_each(|range| platform.add_region(range, Kind::Memory)),
            "cpus" => {
                let cpus = node.children().filter(|child| child.name_without_address() == "cpu");
                cpus.for_each(|cpu| platform.add_cpu(cpu));
            }
            "psci" => {
                let method = node.property("method").and_then(|method| method.value_as::<&str>().ok());
                assert!(method == Some("smc"), "device tree: PSCI by {method:?}; at EL2 it must be smc");
            }
            "chosen" => {
                let module = node.children().find(|child| child.is_compatible("multiboot,module"));
                let module = module.expect("device tree: no multiboot,module in /chosen: which host to run?");
                platform.host = module_reg(module);
            }
            _ if node.is_compatible("arm,smmu-v3") => {
                assert!(platform.smmu.is_none(), "device tree: more than one SMMUv3");
                platform.smmu = Some(first_reg(node, "smmuv3"));
                platform.smmu_gerror = gerror_spi(node);
            }
            _ if node.is_compatible("arm,gic-v3") => platform.add_gic(node),
            _ => {}
        }
    }
    // After all memory is known: no-map ranges are cut out of it.
    let reserved = fdt.find_node("/reserved-memory").into_iter().flat_map(|node| node.children());
    for node in reserved.filter(|node| node.property("no-map").is_some()) {
        regs(node, "no-map memory").for_each(|range| platform.add_region(range, Kind::NoMap));
    }
    for Region { range, .. } in kept.iter().filter(|region| region.kind == Kind::Kept) {
        let devices = [Some(platform.uart), platform.smmu, platform.gicd];
        let in_use =
            platform.regions.memory().chain(devices.into_iter().flatten()).any(|used| used.overlaps(*range));
        assert!(
            !in_use,
            "device tree: the page of a master at {} has something else that EL2 must keep",
            range.base
        );
        platform.add_region(*range, Kind::Kept);
    }
    assert!(platform.regions.memory().next().is_some(), "device tree: no memory");
    assert!(platform.host.size != 0, "device tree: /chosen is missing");
    platform
}

/// The SPI that `interrupts` has (type 0, number, trigger) where `interrupt-names` has "gerror" or "combined".
fn gerror_spi(node: FdtNode<'_>) -> Option<u32> {
    let names = node.property("interrupt-names")?;
    let mut names = names.value().split(|&byte| byte == 0);
    let index = names.position(|name| matches!(name, b"gerror" | b"combined"))?;
    match node.property("interrupts")?.value().as_chunks::<12>().0.get(index)? {
        [0, 0, 0, 0, number @ .., _, _, _, _] => Some(u32::from_be_bytes(*number)),
        _ => None,
    }
}

/// The ranges of a node's `reg`.
fn regs<'a>(node: FdtNode<'a>, what: &'static str) -> impl Iterator<Item = Range> + 'a {
    let regs = node.reg().ok().flatten().unwrap_or_else(|| panic!("device tree: {what} without reg"));
    regs.map(move |reg| range(reg).unwrap_or_else(|| panic!("device tree: {what} has a bad reg")))
}

/// The first range of a node's `reg`.
fn first_reg(node: FdtNode<'_>, what: &str) -> Range {
    let reg = node.reg().ok().flatten().and_then(|mut regs| regs.next());
    reg.and_then(range).unwrap_or_else(|| panic!("device tree: {what} has no usable reg"))
}

/// The range of a module. QEMU's guest loader writes two 64-bit numbers whatever #address-cells and
/// #size-cells are in /chosen, where other loaders say so.
fn module_reg(node: FdtNode<'_>) -> Range {
    let numbers = node.property("reg").and_then(|reg| reg.value_as::<[u32; 4]>().ok());
    let Some([base_high, base_low, size_high, size_low]) = numbers else {
        return first_reg(node, "the host's image");
    };
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    Range { base: PhysAddr(join(base_high, base_low)), size: join(size_high, size_low) }
}

fn range(reg: Reg<'_>) -> Option<Range> {
    let (base, size) = (reg.address::<u64>().ok()?, reg.size::<u64>().ok()?);
    base.checked_add(size).filter(|&end| end <= 1 << 52)?;
    Some(Range { base: PhysAddr(base), size })
}
