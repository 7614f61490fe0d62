//! The SMMU: from the frame in the device tree to a driver behind which devices may work.

use hyp_core::addr::PAGE_SIZE;
use hyp_core::options::{Options, SmmuMode};
use hyp_core::ownership::boot::{self, Boot};
use hyp_core::regions::Range;
use hyp_core::smmu::{Buffer, Buffers, Closed, Features, HostView, Layout, Smmu};
use parallax_abi::info::HypInfo;

use crate::boot::fatal;
use crate::boot_tables;
use crate::console::log;
use crate::hw::{Frame, Machine};

/// The driver on this machine.
pub(crate) type Driver = Smmu<Frame, Machine, Machine>;

/// An SMMU that aborts all traffic, and what it will need.
pub(crate) struct Probed {
    closed: Closed<Frame, Machine, Machine>,
    layout: Layout,
    frame: Range,
}

impl Probed {
    /// Closes the SMMU at `frame`, if the options want it.
    ///
    /// Panics when there is none, or the hypervisor cannot use it: devices could reach everything.
    pub(crate) fn probe(frame: Option<Range>, options: &Options) -> Option<Self> {
        if hyp_core::faulty::is_off(options.smmu == SmmuMode::Off, frame) {
            assert!(
                options.smmu_host == HostView::Hidden,
                "SMMU: smmu=off leaves none for smmu.host=emulated"
            );
            log!("SMMU: not used");
            return None;
        }
        let frame = frame.expect("SMMU: the device tree has none; smmu=off goes without");
        boot_tables::map_linear(frame.base, frame.size, true);
        let registers = Frame::new(frame.base, frame.size);
        let closed = Smmu::probe(registers, Machine, Machine).unwrap_or_else(fatal("SMMU"));
        let features = closed.features();
        log!("SMMU at {}: {} StreamID bits, BBML2 {}", frame.base, features.sid_bits, features.bbml2);
        let layout = Layout::new(features, options.sid_bits).unwrap_or_else(fatal("SMMU"));
        Some(Self { closed, layout, frame })
    }

    /// Its register frame.
    pub(crate) const fn frame(&self) -> Range {
        self.frame
    }

    /// What it can do.
    pub(crate) const fn features(&self) -> &Features {
        self.closed.features()
    }

    /// How many pages [`Probed::alloc`] takes from the pool, alignment included.
    pub(crate) fn pages(&self) -> u64 {
        let buffers = [self.layout.strtab(), self.layout.cmdq(), self.layout.evtq()];
        buffers.iter().map(|buffer| buffer.pages + buffer.align / PAGE_SIZE).sum()
    }

    /// Memory for the stream table and the queues.
    pub(crate) fn alloc(&self, boot: &mut Boot<Machine>) -> Buffers {
        let mut alloc =
            |what, Buffer { pages, align }| boot.alloc(what, pages, align).unwrap_or_else(fatal("SMMU"));
        Buffers {
            strtab: alloc("the stream table", self.layout.strtab()),
            cmdq: alloc("the command queue", self.layout.cmdq()),
            evtq: alloc("the event queue", self.layout.evtq()),
        }
    }

    /// Tells the harness where things are.
    pub(crate) fn describe(&self, buffers: &Buffers, info: &mut HypInfo) {
        info.smmu_pa = self.frame.base.0;
        info.smmu_size = self.frame.size;
        info.cmdq_pa = buffers.cmdq.0;
        info.cmdq_size = self.layout.cmdq().pages * PAGE_SIZE;
        info.evtq_pa = buffers.evtq.0;
        info.evtq_size = self.layout.evtq().pages * PAGE_SIZE;
    }

    /// Writes stream table and queues; every stream is confined to the table that `stage2` has for it, or aborted
    /// until the host says what it wants. The SMMU stays closed.
    pub(crate) fn init(
        self,
        buffers: &Buffers,
        stage2: &boot::Stage2<Machine>,
        view: HostView,
    ) -> (Driver, Range) {
        let table = stage2.smmu_stage2(self.features()).unwrap_or_else(fatal("SMMU"));
        let driver = self.closed.init(&self.layout, buffers, &table, view).unwrap_or_else(fatal("SMMU"));
        (driver, self.frame)
    }
}
