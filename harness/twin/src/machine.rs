//! The hypervisor and the hardware under it: performs operations as the host's CPUs and devices.

use std::sync::Arc;

use hyp_core::addr::Ipa as HypIpa;
use hyp_core::hypercall::{UNKNOWN, dispatch};
use parallax_abi::info::HypInfo;
use parallax_abi::mailbox::{Response, kind};
use parallax_abi::operation::Hypercall;
use parallax_addr::{InputAddr, Ipa, PAGE_SIZE, Span};
use parallax_model::{CaptureCache, S2Entry, Snapshot, Told, capture, run};
use parallax_ops::{Agent, Answer, Operation, Outcome};
use parallax_smmu::RawRegs;
use parallax_vmsa::{PhysMem, SysRegs};

use crate::accounts::put_accounts;
use crate::hardware::{Commands, Core, Hardware};

/// How often an access is tried that the hypervisor says is to be tried again.
const TRIES: usize = 64;

/// The machine. A copy is the same machine, as another CPU has it.
#[derive(Clone)]
pub struct Machine {
    hardware: Hardware,
    commands: Commands,
    hyp: Arc<Core>,
    sys: SysRegs,
    smmu: Option<RawRegs>,
}

impl Machine {
    pub(crate) fn new(
        hardware: Hardware,
        commands: Commands,
        hyp: Core,
        sys: SysRegs,
        smmu: Option<RawRegs>,
    ) -> Self {
        Self { hardware, commands, hyp: Arc::new(hyp), sys, smmu }
    }

    pub(crate) fn begin(&self) {
        self.hardware.begin();
    }

    pub(crate) fn memory(&self) -> &dyn PhysMem {
        &self.hardware
    }

    pub(crate) fn put_accounts(&self, at: [u64; 2]) {
        put_accounts(&self.hardware, &self.hyp, at);
    }

    pub(crate) fn look(&self, cache: &mut CaptureCache, info: &HypInfo) -> Snapshot {
        capture(cache, &self.hardware, &self.sys, std::iter::empty(), self.smmu.as_ref(), &Told::from(info))
    }

    /// Performs `operation` as one of the host's CPUs, or as a device.
    #[must_use]
    pub fn perform(&self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Hypercall(_) | Operation::AnyHypercall { .. } => self.call(operation),
            Operation::Access(_) | Operation::Dma(_) => self.access(operation),
            _ => Outcome::Ok { value: None },
        }
    }

    fn call(&self, operation: &Operation) -> Outcome {
        let [id, args @ ..] = operation.request(0).args;
        let mut response = Response { kind: kind::OK, ..Response::default() };
        let results = Hypercall::decode(id, args).map_or(UNKNOWN, |call| dispatch(&self.hyp, call));
        response.x[..4].copy_from_slice(&results);
        Answer::of(operation, &response).outcome
    }

    /// An access of a CPU or a device, page by page.
    fn access(&self, operation: &Operation) -> Outcome {
        let footprint = operation.footprint();
        let Some(pages) = footprint.reach.and_then(|reach| reach.span.whole_pages()) else {
            return Outcome::Abort;
        };
        let reached = pages.pages().all(|page| match footprint.agent {
            Agent::Cpu => self.touch(page),
            Agent::Device(_) => self.dma(page),
        });
        if reached { Outcome::Ok { value: None } } else { Outcome::Abort }
    }

    /// An access of the host's CPU: it is tried again as long as the hypervisor says so, and leaves the entry in the TLB.
    fn touch(&self, page: Ipa) -> bool {
        for _ in 0..TRIES {
            if let Some(entry) = self.translated(page, false) {
                self.hardware.tlb(|tlb| tlb.warm(entry));
                return true;
            }
            if !self.hyp.host_abort(HypIpa(page.get())) {
                return false;
            }
        }
        panic!("an access to {page} is tried again for ever");
    }

    /// An access of a device, which leaves the entry in the SMMU's TLB. Without an SMMU nothing is translated.
    fn dma(&self, page: Ipa) -> bool {
        if self.smmu.is_none() {
            return true;
        }
        let entry = self.translated(page, true);
        entry.is_some_and(|entry| {
            self.commands.tlb(|tlb| tlb.warm(entry));
            true
        })
    }

    /// The IPAs of the entry that translates `page`, as the tables are now.
    fn translated(&self, page: Ipa, by_smmu: bool) -> Option<Span<Ipa>> {
        let regime =
            if by_smmu { self.smmu_regime() } else { parallax_vmsa::Regime::stage2(&self.sys).ok()? }?;
        let found = parallax_vmsa::translate(&self.hardware, &regime, InputAddr::new(page.get())).ok()?;
        let size = found.level.entry_size();
        Some(Span::new(page.align_down(size), size))
    }

    fn smmu_regime(&self) -> Option<parallax_vmsa::Regime> {
        let regs = parallax_smmu::SmmuRegs::decode(self.smmu.as_ref()?).ok()?;
        let table = parallax_smmu::StreamTable::from_regs(&regs);
        let stream = table.scan(&self.hardware).0.into_iter().next()?;
        stream.entry.ok()?.stage2(&regs.idr5).ok().flatten()
    }

    /// What the TLBs still hold that the tables do not give any more.
    pub(crate) fn stale(&self, now: &Snapshot) -> Vec<String> {
        let cpu = self.hardware.tlb(|tlb| tlb.spans().to_vec());
        let smmu = self.commands.tlb(|tlb| tlb.spans().to_vec());
        let device = now.smmu.as_ref().and_then(|smmu| smmu.tables.first());
        let device = device.map_or(&[][..], |table| &table.entries);
        let of_cpu = cpu.iter().filter(|span| !all_mapped(now.host(), **span));
        let of_smmu = smmu.iter().filter(|span| !all_mapped(device, **span));
        let said = |who: &'static str| move |span: &Span<Ipa>| format!("{who}'s TLB still holds {span:?}");
        of_cpu.map(said("the CPU")).chain(of_smmu.map(said("the SMMU"))).collect()
    }
}

fn all_mapped(entries: &[run::Run<Ipa, S2Entry>], span: Span<Ipa>) -> bool {
    let end = entries.iter().map(run::Run::end).max().unwrap_or_default();
    let inside = span.end() <= end && span.size >= PAGE_SIZE;
    inside
        && run::overlay::<_, _, ()>(entries, &[], span)
            .all(|(_, entry, _)| entry.is_some_and(|entry| entry.leaf().is_some()))
}
