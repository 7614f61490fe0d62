//! From the loader to the host's first instruction, on the first CPU.
//!
//! Runs on the boot tables. In this order: console and device tree; the SMMU closed and the ITS stopped, so that no
//! device writes anywhere; page pool, EL2's tables, host and SMMU tables; SMMU open, behind its table; then the final
//! tables and the host.

use core::sync::atomic::Ordering::Relaxed;
use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::faulty;
use hyp_core::options::{Options, SmmuMode};
use hyp_core::ownership::Hyp;
use hyp_core::ownership::boot::{Boot, Config, place, pool_size};
use hyp_core::pgtable::geometry::has_bbm_level_2;
use hyp_core::regions::{Range, Regions};
use hyp_core::smmu::HostView;
use parallax_abi::info::HypInfo;
use spin::Once;

use crate::console::{self, log};
use crate::hw::{Machine, Yield};
use crate::layout::{self, LINEAR_OFFSET};
use crate::platform::{self, Platform};
use crate::smmu::{Driver, Probed};
use crate::{boot_tables, cpus, gic, host, host_tree, info, lpi, stage1, sysreg};

static HYP: Once<Hyp<Machine, Driver, Yield>> = Once::new();

/// The hypervisor's state. Not before the host runs.
pub(crate) fn hyp() -> &'static Hyp<Machine, Driver, Yield> {
    HYP.get().expect("the host runs only after boot")
}

/// What a failed step of boot ends in.
pub(crate) fn fatal<T, E: core::fmt::Display>(what: &str) -> impl FnOnce(E) -> T {
    move |error| panic!("{what}: {error}")
}

/// Called by `entry.s` with the physical addresses of device tree and image.
#[unsafe(no_mangle)]
extern "C" fn boot_main(dtb: u64, image: u64) -> ! {
    layout::set_image_pa(PhysAddr(image));
    let image = Range { base: PhysAddr(image), size: layout::image_size() };
    let dtb = PhysAddr(dtb);
    let mut tree = platform::open(dtb);
    if let Some(uart) = platform::uart(&mut tree) {
        boot_tables::map_linear(uart.base, uart.size, true);
        console::init(uart.base);
    }
    log!("image {}..{:#014x}, device tree {dtb}", image.base, image.end());
    let bootargs = tree.bootargs().unwrap_or_else(fatal("device tree"));
    log!("options: {bootargs}");
    let options = Options::parse(bootargs).unwrap_or_else(fatal("command line"));
    let fault = switch_fault_on(&options);
    let ipa_bits = stage1::phys_size().bits();
    let kept = host_tree::take_masters(&mut tree, ipa_bits).unwrap_or_else(fatal("device tree"));
    let (tree_pa, tree_size) = (dtb.0, tree.size());
    let platform = platform::parse(&mut tree, (tree_pa, tree_size), ipa_bits, &kept);
    let page = |base: &PhysAddr| Range { base: *base, size: PAGE_SIZE };
    for base in options.donated_mmio() {
        let is_uart = platform.uart.is_some_and(|uart| uart.overlaps(page(base)));
        assert!(!is_uart, "donate_mmio: {base} is the console, which EL2 must keep");
    }

    cpus::init(platform.cpus());
    let cpus = platform.cpus().len() as u64;
    let mut description = HypInfo { fault, cpus, tree_pa, tree_size, ..HypInfo::default() };
    let hide_smmu = options.smmu != SmmuMode::Off && options.smmu_host == HostView::Hidden;
    make_hyp(&platform, image, options, &mut description);
    // SAFETY: the first CPU is the only one that runs.
    unsafe { info::publish(description) };

    let pool = Range { base: PhysAddr(description.pool_pa), size: description.pool_size };
    host_tree::prepare(&mut tree, [image, pool], hide_smmu).unwrap_or_else(fatal("device tree"));
    // The host may read it before its caches are on.
    cpus::clean_to_poc(boot_tables::linear_ptr(dtb) as u64, faulty::tree_bytes(tree_size));

    log!("host at {}, {} CPUs", platform.host.base, platform.cpus().len());
    let first = &cpus::all()[0];
    first.host_entry.store(platform.host.base.0, Relaxed);
    first.host_x0.store(dtb.0, Relaxed);
    cpus::leave_boot()
}

/// Closes the SMMU, builds all tables and opens the SMMU behind its own. Fills in `info`.
fn make_hyp(platform: &Platform, image: Range, options: Options, info: &mut HypInfo) {
    let smmu = Probed::probe(platform.smmu, &options);
    let mut regions = platform.regions.clone();
    let lpis = lpi::Probed::probe(platform, &options, &mut regions);
    let extra = smmu.as_ref().map_or(0, Probed::pages) + lpis.pages();
    let pool = carve_pool(platform, &regions, image, &options, extra);
    log!("page pool {}..{:#014x}", pool.base, pool.end());
    let view = options.smmu_host;
    let config = Config {
        regions,
        image,
        pool,
        options,
        pa_size: stage1::phys_size(),
        // ID_AA64MMFR2_EL1, by its encoding: old CPUs have a reserved register there that reads as zero.
        bbm_level_2: has_bbm_level_2(sysreg::read!("S3_0_C0_C7_2")),
        linear_offset: LINEAR_OFFSET,
    };
    let mut boot = Boot::new(Machine, config).unwrap_or_else(fatal("page pool"));
    let viommu = smmu.is_some() && view == HostView::Emulated;
    let gicd = if viommu { gic::init(platform) } else { None };
    let frames = [platform.uart, smmu.as_ref().map(Probed::frame), gicd];
    let frames = frames.into_iter().flatten().chain(lpis.frames());
    stage1::map(&mut boot, platform.cpus().len(), frames).unwrap_or_else(fatal("EL2"));
    cpus::prepare(&stage1::regime(boot.el2_root()));
    *info = HypInfo {
        image_pa: image.base.0,
        image_va: layout::IMAGE_VA,
        image_size: image.size,
        pool_pa: pool.base.0,
        pool_size: pool.size,
        vmemmap_pa: boot.pages().base().0,
        vmemmap_first_pfn: boot.pages().first().0,
        vmemmap_nr: boot.pages().nr(),
        linear_offset: LINEAR_OFFSET,
        ..*info
    };

    lpis.init(&mut boot);
    let smmu = smmu.map(|smmu| {
        let buffers = smmu.alloc(&mut boot);
        smmu.describe(&buffers, info);
        (smmu, buffers)
    });
    let features = smmu.as_ref().map(|(smmu, _)| smmu.features());
    let stage2 = boot.stage2(features).unwrap_or_else(fatal("stage 2"));
    log!("host stage 2: vttbr {:#x}, vtcr {:#x}", stage2.vttbr_el2(), stage2.vtcr_el2());
    host::set_stage2(stage2.vttbr_el2(), stage2.vtcr_el2());
    let driver = smmu.map(|(smmu, buffers)| smmu.init(&buffers, &stage2, view));
    let hyp = HYP.call_once(|| stage2.finish(driver).unwrap_or_else(fatal("stage 2")));
    info.smmu_host_pa = hyp.smmu_host_view().map_or(0, |va| layout::image_to_phys(va).0);
    info.pools_pa = hyp.pools(|pool| layout::image_to_phys(core::ptr::from_ref(pool).addr() as u64).0);
    if let Some(result) = hyp.with_smmu(Driver::enable) {
        result.unwrap_or_else(fatal("SMMU"));
        log!("SMMU enabled");
    }
}

/// Switches the command line's fault on; returns its number, 0 for none.
#[cfg(feature = "faults")]
fn switch_fault_on(options: &Options) -> u64 {
    options.fault.map_or(0, |fault| {
        log!("fault: {}", fault.name());
        hyp_core::fault::switch_on(fault);
        fault as u64
    })
}

/// There are no faults in this build.
#[cfg(not(feature = "faults"))]
const fn switch_fault_on(_options: &Options) -> u64 {
    0
}

/// Memory for the page pool, mapped for the rest of boot. `extra` pages are for others.
fn carve_pool(platform: &Platform, regions: &Regions, image: Range, options: &Options, extra: u64) -> Range {
    let size = pool_size(regions, options, stage1::phys_size(), extra);
    let pool = place(&platform.regions, &platform.loaded, image, size);
    let pool = pool.unwrap_or_else(|| panic!("page pool: no memory is free for {size:#x} bytes"));
    boot_tables::map_linear(pool.base, pool.size, false);
    pool
}
