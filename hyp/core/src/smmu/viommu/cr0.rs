//! CR0: what is turned on and off, and the memory that is shared meanwhile.

use super::{Env, Physical, Refusal, Viommu, queue, strtab::HostTable};
use crate::faulty;
use crate::smmu::driver::{cmdq, evtq};
use crate::smmu::regs::Cr0;

impl Viommu {
    /// The host writes CR0. A bit that cannot be set stays 0 in CR0ACK: a queue or table does not lie in memory that
    /// the host owns, or SMMUEN comes before CMDQEN.
    pub(super) fn write_cr0<E: Env>(&mut self, env: &mut E, wanted: Cr0) {
        if !wanted.contains(Cr0::SMMUEN) {
            self.disable(env);
        }
        if !wanted.contains(Cr0::EVENTQEN)
            && let Some(range) = self.evtq.take()
        {
            env.smmu().record_events(None);
            env.unshare_pages(range);
        }
        if !wanted.contains(Cr0::CMDQEN)
            && let Some((_, range)) = self.cmdq.take()
        {
            env.unshare_pages(range);
        }
        if wanted.contains(Cr0::CMDQEN) && self.cmdq.is_none() {
            let limit = super::regs::queue_limits(&*env.smmu()).0;
            self.cmdq = queue::share(env, self.host.cmdq_base, limit, cmdq::ENTRY_SIZE);
            self.run_commands(env);
        }
        if wanted.contains(Cr0::EVENTQEN) && self.evtq.is_none() {
            self.enable_events(env);
        }
        if wanted.contains(Cr0::SMMUEN) && self.strtab.is_none() && self.cmdq.is_some() {
            self.strtab = HostTable::share(env, self.host.strtab_base, self.host.strtab_cfg);
            self.shadow_all(env);
        }
        let mut cr0 = Cr0::empty();
        cr0.set(Cr0::SMMUEN, self.strtab.is_some());
        cr0.set(Cr0::EVENTQEN, self.evtq.is_some());
        cr0.set(Cr0::CMDQEN, self.cmdq.is_some());
        self.host.cr0 = cr0.bits();
        if !cr0.contains(wanted) {
            self.refuse(Refusal::Cr0(wanted - cr0));
        }
    }

    /// The hardware writes events straight into the host's queue, whose pages stay the host's meanwhile.
    fn enable_events<E: Env>(&mut self, env: &mut E) {
        let limit = super::regs::queue_limits(&*env.smmu()).1;
        faulty::before_events(env, self.host.evtq_base);
        if let Some((ring, range)) = queue::share(env, self.host.evtq_base, limit, evtq::ENTRY_SIZE) {
            env.smmu().record_events(Some(ring.base_register()));
            self.evtq = Some(range);
        }
    }
}
