//! VMIDs whose tree was given up: what TLBs hold under such a VMID must go before another tree gets it.

use parallax_addr::PhysAddr;

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use super::tree_state::StaleVmid;
use crate::tlbi::{Scope, Target, TlbiOp};

impl Checker {
    /// The tree with this root and `vmid` is given up; `loaded` tells the CPUs that walked it.
    pub(super) fn give_up_vmid(&mut self, at: Site, vmid: u16, root: u64, loaded: u64) {
        self.stale_vmids.insert(vmid, StaleVmid { root, since: at, loaded, sent: None });
    }

    /// A TLBI reaches everything under the current VMID, or under all of them.
    pub(super) fn tlbi_vmid(&mut self, at: Site, op: TlbiOp) {
        if self.stale_vmids.is_empty() {
            return;
        }
        let current = self.cpus.get(at.cpu).and_then(|cpu| cpu.vttbr).map(|vttbr| (vttbr >> 48) as u16);
        let local = op.scope() == Scope::Local;
        for (vmid, stale) in &mut self.stale_vmids {
            let covers = match op.target() {
                Target::AllVmids => true,
                Target::Both => current == Some(*vmid),
                _ => false,
            };
            let alone = stale.loaded & !(1 << at.cpu.min(63)) == 0;
            if covers && (alone || !local) {
                stale.sent = Some((at.cpu, local));
            }
        }
    }

    /// A DSB for loads and stores on `at.cpu`.
    pub(super) fn complete_vmids(&mut self, at: Site, shared: bool) {
        self.stale_vmids
            .retain(|_, stale| !stale.sent.is_some_and(|(cpu, local)| cpu == at.cpu && (local || shared)));
    }

    /// `vmid` is given to the tree at `root`.
    pub(super) fn take_vmid(&mut self, at: Site, vmid: u16, root: u64) {
        let Some(stale) = self.stale_vmids.remove(&vmid) else { return };
        let what = format!("VMID {vmid} while translations of the tree at {:#x} may be cached", stale.root);
        let missing = match stale.sent {
            Some((_, true)) => "DSB NSH after the TLBI",
            Some((_, false)) => "DSB ISH after the TLBI",
            None => "TLBI VMALLS12E1IS with that VMID (or ALLE1IS), DSB ISH",
        };
        let page = Subject::Page { pa: PhysAddr::new(root) };
        self.report(Rule::VmidStale, page, at, Some(stale.since), what, missing.to_owned());
    }
}
