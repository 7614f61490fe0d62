//! The second part of start-up: from empty stage-2 tables to a [`Hyp`].

use super::{Boot, BootError};
use crate::addr::PAGE_SIZE;
use crate::faulty;
use crate::hw::{Cpu, Memory};
use crate::idmap::Idmap;
use crate::ownership::smmu::SmmuMmu;
use crate::ownership::{HostMmu, Hyp};
use crate::pgtable::Tree;
use crate::regions::{Kind, Range, Region};
use crate::smmu::viommu::Viommu;
use crate::smmu::{self, Features, HostView, SmmuError, SmmuTlb};
use spin::RelaxStrategy;
use spin::mutex::SpinMutex;

/// The second part of start-up: there are empty stage-2 tables.
#[derive(Debug)]
pub struct Stage2<H> {
    pub(super) boot: Boot<H>,
    pub(super) host: HostMmu,
    pub(super) idmap: Option<Tree>,
    pub(super) smmu_largest: crate::pgtable::Level,
}

impl<H: Memory + Cpu> Stage2<H> {
    /// VTCR_EL2 for the host.
    #[must_use]
    pub const fn vtcr_el2(&self) -> u64 {
        self.host.tree.geometry().vtcr_el2(self.boot.config.pa_size)
    }

    /// VTTBR_EL2 for the host: VMID 0.
    #[must_use]
    pub const fn vttbr_el2(&self) -> u64 {
        self.host.tree.root().0
    }

    /// The table that the streams of an SMMU with these features are to walk: its own, or the host's in shared mode.
    /// It is complete only after [`Stage2::finish`].
    ///
    /// # Errors
    /// The SMMU cannot walk it.
    pub fn smmu_stage2(&self, features: &Features) -> Result<smmu::Stage2, SmmuError> {
        let tree = self.idmap.as_ref().unwrap_or(&self.host.tree);
        let (bits, start) = (tree.geometry().bits(), tree.geometry().start_level());
        smmu::Stage2::new(features, tree.root(), bits, u32::from(start), bits)
    }

    /// Takes image, pool and kept MMIO away from the host, donates the SMMU's frame and the MMIO pages of the
    /// command line to the hypervisor, and fills the SMMU's table. On return the SMMU may be enabled and the host may
    /// run. `smmu` is the driver, not yet enabled, and its register frame, which EL2 has mapped.
    ///
    /// # Errors
    /// [`BootError::NoMem`], [`BootError::Mmio`].
    pub fn finish<S: SmmuTlb, R: RelaxStrategy>(
        self,
        smmu: Option<(S, Range)>,
    ) -> Result<Hyp<H, S, R>, BootError> {
        let Self { boot, host, idmap, smmu_largest } = self;
        let Boot { hw, config, pages, el2, devices, .. } = boot;
        let smmu_frame = smmu.as_ref().map(|(_, frame)| *frame);
        let idmap = Idmap::new(idmap, config.options.mmio, smmu_largest);
        let smmu = smmu.map(|(driver, _)| SmmuMmu { driver, idmap });
        let hyp = Hyp {
            hw,
            regions: faulty::kept(config.regions),
            pages,
            devices,
            host: SpinMutex::new(host),
            el2: SpinMutex::new(el2),
            smmu: SpinMutex::new(smmu),
            viommu_frame: smmu_frame.filter(|_| config.options.smmu_host == HostView::Emulated),
            viommu: SpinMutex::new(Viommu::new()),
        };
        {
            let (mut host, mut el2) = (hyp.host.lock(), hyp.el2.lock());
            hyp.fix_host_ownership(&mut host, config.image)?;
            hyp.fix_host_ownership(&mut host, config.pool)?;
            for Region { range, .. } in hyp.regions.iter().filter(|region| region.kind == Kind::Kept) {
                hyp.annotate(&mut host, *range)?;
            }
            faulty::before_donation(&hyp, &mut host, &mut el2)?;
            let frame = faulty::donated_frame(smmu_frame);
            let donated = config.options.donated_mmio().iter();
            let donated = donated
                .filter(|base| hyp.regions.find(**base).is_none_or(|region| region.kind != Kind::Kept));
            for range in frame.into_iter().chain(donated.map(|&base| Range { base, size: PAGE_SIZE })) {
                hyp.donate_mmio(&mut host, &mut el2, range)?;
            }
            hyp.snapshot(&mut host, &mut el2)?;
            hyp.smmu.lock().iter_mut().for_each(|smmu| smmu.idmap.mark_ready());
            el2.pool.limit(config.options.el2_free_pages);
            host.running = true;
        }
        Ok(hyp)
    }
}
