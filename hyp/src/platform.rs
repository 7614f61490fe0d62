//! What the device tree says of the machine.
//!
//! The tree is read once, at boot. Whatever in it cannot be served ends in a panic that says so: nothing is
//! guessed.

use crate::boot::fatal;
use crate::boot_tables::{linear_ptr, map_linear};
use crate::layout::MAX_CPUS;
use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::regions::{Kind, Range, Region, Regions};
use hyp_fdt::{Editor, Found, Span};

/// Linux's limit for a device tree.
const MAX_DTB: u64 = 2 << 20;
/// An arm64 Image's `image_size` and `magic` in its header, and their offsets (Linux: "Booting AArch64 Linux").
const IMAGE_SIZE: usize = 16;
const IMAGE_MAGIC: (usize, u32) = (56, 0x644d_5241);

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    /// Memory, memory that nobody may map, and MMIO.
    pub(crate) regions: Regions,
    /// Memory in which something lies, as [`Kind::Kept`]: the host's image, the device tree, whatever the tree says is reserved.
    pub(crate) loaded: Regions,
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
    pub(crate) uart: Option<Range>,
}

impl Platform {
    /// MPIDR affinities of the CPUs, in the tree's order.
    pub(crate) fn cpus(&self) -> &[u64] {
        &self.cpus[..self.cpus_len]
    }

    fn add(&mut self, found: Found<'_>) {
        match found {
            Found::Memory(span) => {
                // A page that is not all memory is none.
                let end = (span.0 + span.1) & !(PAGE_SIZE - 1);
                let base = span.0.next_multiple_of(PAGE_SIZE).min(end);
                self.add_region((base, end - base), Kind::Memory);
            }
            Found::Reserved(span) | Found::NoMap(span) => self.add_loaded(span),
            Found::Cpu(affinity) => {
                let slot = self.cpus.get_mut(self.cpus_len);
                *slot.unwrap_or_else(|| panic!("device tree: more than {MAX_CPUS} CPUs")) = affinity;
                self.cpus_len += 1;
            }
            Found::Psci(method) => {
                assert!(method == "smc", "device tree: PSCI by {method}; at EL2 it must be smc");
            }
            Found::Console(span) => self.uart = Some(range(span)),
            Found::Host(span) => self.host = range(span),
            Found::Smmu(span, gerror) => (self.smmu, self.smmu_gerror) = (Some(range(span)), gerror),
            Found::Distributor(span) => self.gicd = Some(range(span)),
            Found::Redistributors(span) => {
                let free = self.gicr.iter_mut().find(|region| region.is_none());
                *free.expect("device tree: too many regions of redistributors") = Some(range(span));
            }
            Found::Its(span) => {
                assert!(self.its.is_none(), "device tree: more than one ITS");
                self.its = Some(range(span));
            }
        }
    }

    fn add_region(&mut self, (base, size): Span, kind: Kind) {
        let end = (base + size).next_multiple_of(PAGE_SIZE);
        let base = PhysAddr(base).align_down(PAGE_SIZE);
        let range = Range { base, size: end - base.0 };
        self.regions.set(range, kind).unwrap_or_else(fatal("device tree"));
    }

    fn add_loaded(&mut self, span: Span) {
        self.loaded.set(range(span), Kind::Kept).unwrap_or_else(fatal("device tree"));
    }
}

/// Maps the device tree at `dtb`.
pub(crate) fn open(dtb: PhysAddr) -> Editor<'static> {
    assert!(dtb.0 != 0 && dtb.is_aligned(8), "no device tree at {dtb}");
    map_linear(dtb, MAX_DTB, false);
    let header = linear_ptr(dtb).cast_mut();
    // SAFETY: the boot protocol puts a device tree of at most 2 MiB at x0, and all of that has just been
    // mapped.
    let size = u64::from(u32::from_be(unsafe { header.add(4).cast::<u32>().read() }));
    assert!((40..=MAX_DTB).contains(&size), "device tree at {dtb}: size {size:#x} is not one");
    // SAFETY: as above; `size` is within what is mapped. It is memory that nobody else uses before the host runs, and
    // boot calls this once and drops the editor before that.
    let data = unsafe { core::slice::from_raw_parts_mut(header, size as usize) };
    Editor::new(data).unwrap_or_else(fatal("device tree"))
}

/// Reads everything. Addresses from `2^ipa_bits` on are ignored. `kept` is MMIO that the host does not get.
pub(crate) fn parse(tree: &mut Editor<'_>, dtb: Span, ipa_bits: u32, kept: &Regions) -> Platform {
    let mut platform = Platform {
        regions: Regions::new(ipa_bits),
        loaded: Regions::new(ipa_bits),
        cpus: [0; MAX_CPUS],
        cpus_len: 0,
        host: Range { base: PhysAddr(0), size: 0 },
        smmu: None,
        smmu_gerror: None,
        gicd: None,
        gicr: [None; 4],
        its: None,
        uart: None,
    };
    tree.board(&mut |found| platform.add(found)).unwrap_or_else(fatal("device tree"));
    // After all memory is known: no-map ranges are cut out of it.
    tree.board(&mut |found| {
        if let Found::NoMap(span) = found {
            platform.add_region(hyp_core::faulty::no_map(span), Kind::NoMap);
        }
    })
    .unwrap_or_else(fatal("device tree"));
    assert!(platform.host.size != 0, "device tree: no multiboot,module in /chosen: which host to run?");
    platform.host.size = platform.host.size.max(image_size(platform.host.base));
    platform.add_loaded(dtb);
    platform.add_loaded((platform.host.base.0, platform.host.size));
    for Region { range, .. } in kept.iter().filter(|region| region.kind == Kind::Kept) {
        let devices = [platform.uart, platform.smmu, platform.gicd];
        let in_use =
            platform.regions.memory().chain(devices.into_iter().flatten()).any(|used| used.overlaps(*range));
        assert!(
            !in_use,
            "device tree: the page of a master at {} has something else that EL2 must keep",
            range.base
        );
        platform.add_region((range.base.0, range.size), Kind::Kept);
    }
    assert!(platform.regions.memory().next().is_some(), "device tree: no memory");
    platform
}

/// The console's frame.
pub(crate) fn uart(tree: &mut Editor<'_>) -> Option<Range> {
    let mut uart = None;
    let found = tree.board(&mut |found| {
        if let Found::Console(span) = found {
            uart = Some(range(span));
        }
    });
    found.unwrap_or_else(fatal("device tree"));
    uart
}

/// How much memory an arm64 Image at `base` says that it takes: more than it has, its zeroed data; 0 if it is none.
fn image_size(base: PhysAddr) -> u64 {
    map_linear(base, PAGE_SIZE, false);
    let header = linear_ptr(base);
    // SAFETY: the loader put the host's image there, and its first page has just been mapped.
    let (magic, size) = unsafe {
        (header.add(IMAGE_MAGIC.0).cast::<u32>().read(), header.add(IMAGE_SIZE).cast::<u64>().read())
    };
    if magic == IMAGE_MAGIC.1 { size } else { 0 }
}

const fn range((base, size): Span) -> Range {
    Range { base: PhysAddr(base), size }
}
