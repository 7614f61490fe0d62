//! CR0: what is turned on and off, and the memory that is shared meanwhile.

use super::{Env, Physical, Viommu, queue, strtab::HostTable};
use crate::access::Refusal;
use crate::addr::PAGE_SIZE;
use crate::faulty;
use crate::smmu::driver::{cmdq, evtq};
use crate::smmu::regs::Cr0;

impl Viommu {
    /// The host writes CR0. A bit that cannot be set stays 0 in CR0ACK: a queue or table does not lie in memory that
    /// the host owns, or SMMUEN comes before CMDQEN.
    pub(super) fn write_cr0<E: Env>(&mut self, env: &mut E, wanted: Cr0) {
        // As IHI 0070, 6.3.9 lets it be: a change of CR0 must not come before the last one is acknowledged.
        if self.turning.is_some() {
            return self.refuse(Refusal::Cr0(wanted.bits()));
        }
        if !wanted.contains(Cr0::SMMUEN) && self.strtab.is_some() {
            self.host.cr0 &= !Cr0::SMMUEN.bits();
            self.turning = Some(0);
            self.turn(env);
        }
        if !wanted.contains(Cr0::EVENTQEN)
            && let Some(range) = self.evtq.take()
        {
            env.smmu().record_events(None);
            env.release(range);
        }
        if !wanted.contains(Cr0::CMDQEN)
            && let Some((_, range)) = self.cmdq.take()
        {
            self.begun = None;
            env.release(range);
        }
        if wanted.contains(Cr0::CMDQEN) && self.cmdq.is_none() {
            let limit = super::regs::queue_limits(&*env.smmu()).0;
            self.cmdq = queue::share(env, self.host.cmdq_base, limit, cmdq::ENTRY_SIZE);
        }
        if wanted.contains(Cr0::EVENTQEN) && self.evtq.is_none() {
            self.enable_events(env);
        }
        if wanted.contains(Cr0::SMMUEN) && self.strtab.is_none() && self.cmdq.is_some() {
            self.strtab = HostTable::share(env, self.host.strtab_base, self.host.strtab_cfg);
            // Each page of the table is work, too.
            self.spend(self.strtab.map_or(0, |table| table.range.size / PAGE_SIZE));
            self.turning = self.strtab.map(|_| 0);
        }
        let mut cr0 = Cr0::empty();
        cr0.set(Cr0::SMMUEN, wanted.contains(Cr0::SMMUEN) && self.strtab.is_some());
        cr0.set(Cr0::EVENTQEN, self.evtq.is_some());
        cr0.set(Cr0::CMDQEN, self.cmdq.is_some());
        self.host.cr0 = cr0.bits();
        if !cr0.contains(wanted) {
            self.refuse(Refusal::Cr0((wanted - cr0).bits()));
        }
        if cr0.contains(Cr0::SMMUEN) {
            self.turn(env);
        }
        self.run_commands(env);
    }

    /// CR0ACK: SMMUEN has taken effect when all streams have heard of it.
    pub(super) const fn cr0_ack(&self) -> u32 {
        self.host.cr0 ^ if self.turning.is_some() { Cr0::SMMUEN.bits() } else { 0 }
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
