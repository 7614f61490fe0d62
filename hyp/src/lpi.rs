//! LPIs: the ITS and the redistributors, which access memory by physical address, from the frames in the device tree to what
//! the host may have of them.

use hyp_core::access::Outcome;
use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::its::{self, Lpis, MAX_REDISTRIBUTORS, Redistributor};
use hyp_core::options::Options;
use hyp_core::ownership::boot::Boot;
use hyp_core::regions::{Kind, Range, Regions};
use spin::Once;
use spin::mutex::SpinMutex;

use crate::boot::{fatal, hyp};
use crate::boot_tables;
use crate::console::log;
use crate::hw::{Frame, Machine, Yield};
use crate::platform::Platform;

/// Bytes of the ITS's frame of registers. Behind it is the one that devices write their interrupts to.
const ITS_REGISTERS: u64 = 0x1_0000;
/// Both frames; what is behind them is for virtual interrupts.
const ITS_FRAMES: u64 = 0x2_0000;
/// RD_base and SGI_base of a redistributor, and the two frames that it has besides for virtual LPIs.
const REDISTRIBUTOR: u64 = 0x2_0000;
const VLPI_FRAMES: u64 = 0x2_0000;
/// Most DeviceID bits: more make the table large.
const MAX_DEVICE_BITS: u32 = 16;

static LPIS: Once<SpinMutex<Lpis<Frame, Machine, Machine>, Yield>> = Once::new();

/// What there is, stopped, and what it will need.
pub(crate) struct Probed {
    its: Option<(Range, its::Probed<Frame>)>,
    redistributors: [Option<(Range, Redistributor<Frame>)>; MAX_REDISTRIBUTORS],
}

impl Probed {
    /// Stops the ITS and all LPIs, and keeps their registers from the host.
    ///
    /// Panics when the hypervisor cannot use them: they could reach everything.
    pub(crate) fn probe(platform: &Platform, options: &Options, regions: &mut Regions) -> Self {
        let mut keep = |base: PhysAddr, size: u64| {
            let range = Range { base, size };
            regions.set(range, Kind::Kept).unwrap_or_else(fatal("GIC"));
            range
        };
        let mut redistributors = [const { None }; MAX_REDISTRIBUTORS];
        let mut free = redistributors.iter_mut();
        for region in platform.gicr.iter().flatten() {
            let mut base = region.base;
            loop {
                assert!(
                    base.0 + REDISTRIBUTOR <= region.end(),
                    "GIC: no last redistributor in {}",
                    region.base
                );
                boot_tables::map_linear(base, PAGE_SIZE, true);
                let found = Redistributor::new(Frame::new(base, PAGE_SIZE)).unwrap_or_else(fatal("GIC"));
                let (is_last, vlpis) = (found.is_last(), found.has_vlpis());
                let next = base.add(REDISTRIBUTOR);
                if vlpis {
                    keep(next, VLPI_FRAMES);
                }
                if found.has_lpis() {
                    let slot = free
                        .next()
                        .unwrap_or_else(|| panic!("GIC: more than {MAX_REDISTRIBUTORS} redistributors"));
                    *slot = Some((keep(base, PAGE_SIZE), found));
                }
                if is_last {
                    break;
                }
                base = if vlpis { next.add(VLPI_FRAMES) } else { next };
            }
        }
        let its = platform.its.map(|frame| {
            assert!(frame.size >= ITS_FRAMES, "device tree: the ITS's reg is too small");
            boot_tables::map_linear(frame.base, ITS_REGISTERS, true);
            let registers = Frame::new(frame.base, ITS_REGISTERS);
            let bits = options.sid_bits.min(MAX_DEVICE_BITS);
            let its = its::Probed::new(registers, &Machine, bits).unwrap_or_else(fatal("ITS"));
            if frame.size > ITS_FRAMES {
                keep(frame.base.add(ITS_FRAMES), frame.size - ITS_FRAMES);
            }
            (keep(frame.base, ITS_REGISTERS), its)
        });
        Self { its, redistributors }
    }

    /// The register frames that EL2's table must show.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Range> {
        let redistributors = self.redistributors.iter().flatten().map(|(frame, _)| *frame);
        redistributors.chain(self.its.as_ref().map(|(frame, _)| *frame))
    }

    /// How many pages [`Probed::init`] takes from the pool, alignment included.
    pub(crate) fn pages(&self) -> u64 {
        let buffers = self.its.iter().flat_map(|(_, its)| its.buffers());
        buffers.map(|buffer| buffer.pages + buffer.align / PAGE_SIZE).sum()
    }

    /// Gives the ITS tables of the hypervisor's. From then on the host's accesses can be performed.
    pub(crate) fn init(self, boot: &mut Boot<Machine>) {
        let Self { its, redistributors } = self;
        let its = its.map(|(frame, its)| {
            let by_address = its.has_addresses();
            let targets = redistributors.each_ref().map(|found| {
                found
                    .as_ref()
                    .map(|(page, found)| if by_address { page.base.0 } else { found.processor() << 16 })
            });
            let memory = its
                .buffers()
                .map(|buffer| boot.alloc("the ITS", buffer.pages, buffer.align).unwrap_or_else(fatal("ITS")));
            log!("ITS at {}: its tables are the hypervisor's", frame.base);
            (frame, its.init(Machine, Machine, memory, targets).unwrap_or_else(fatal("ITS")))
        });
        LPIS.call_once(|| SpinMutex::new(Lpis { its, redistributors }));
    }
}

/// The host reads (`write` is `None`) or writes `width` bytes at `address`; `None` when no such register is there.
pub(crate) fn access(address: PhysAddr, width: u64, write: Option<u64>) -> Option<Outcome> {
    LPIS.get()?.lock().access(&mut hyp(), address, width, write)
}
