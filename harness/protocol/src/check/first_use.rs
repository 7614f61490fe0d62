//! What caches hold from before: whoever ran until then, firmware above all, may have left anything in them. A translation
//! is used only after that is gone, on each CPU and in the SMMU.

use super::attempt::Missing;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use crate::tlbi::{Target, TlbiOp};

/// HCR_EL2.VM.
const VM: u64 = 1;
/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;
/// SCTLR_EL2.M, and EOS: ERET synchronises.
const M: u64 = 1;
const EOS: u64 = 1 << 11;

/// The TLBs of one CPU for one regime.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cached {
    /// A TLBI for all of it was issued, and no DSB has completed it.
    sent: bool,
    /// Nothing is left from before.
    clean: bool,
    /// It was put to use while it was not clean.
    used: Option<Site>,
}

impl Cached {
    fn complete(&mut self) {
        if std::mem::take(&mut self.sent) {
            (self.clean, self.used) = (true, None);
        }
    }
}

/// What the TLBs of a CPU may hold from before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inherited {
    /// EL1&0.
    host: Cached,
    /// EL2's stage 1.
    el2: Cached,
}

/// The same for the SMMU: what of configuration and translations was told to go, by the number of the command behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SmmuInherited {
    configuration: bool,
    translations: bool,
    /// The CMD_SYNC after both.
    sync: Option<u64>,
    clean: bool,
}

impl Checker {
    /// HCR_EL2 is written.
    pub(super) fn hcr_written(&mut self, at: Site, value: u64) {
        let cpu = self.cpus.of(at.cpu);
        let before = cpu.hcr.replace(value).unwrap_or(0);
        let host = &mut cpu.inherited.host;
        if value & !before & VM != 0 && !host.clean {
            host.used = Some(at);
        }
        if before & !value & VM != 0 {
            // What runs now has no stage 2.
            host.clean = false;
        }
        if (before ^ value) & E2H != 0 && cpu.ttbr0.is_some() {
            self.load_ttbr0(at);
        }
    }

    /// SCTLR_EL2 is written.
    pub(super) fn sctlr_written(&mut self, at: Site, value: u64) {
        let cpu = self.cpus.of(at.cpu);
        let before = cpu.sctlr.replace(value);
        let el2 = &mut cpu.inherited.el2;
        // Where nothing was seen before, the stream begins later than the boot.
        if before.is_some_and(|before| value & !before & M != 0) && !el2.clean {
            el2.used = Some(at);
        }
        if before.is_some_and(|before| before & !value & M != 0) {
            *el2 = Cached::default();
        }
    }

    /// TTBR0_EL2 gets another root than `before`.
    pub(super) fn el2_root_replaced(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        // A stream without SCTLR_EL2 begins when EL2 translates already.
        if cpu.sctlr.is_none_or(|sctlr| sctlr & M != 0) {
            cpu.inherited.el2 = Cached { used: Some(at), ..Cached::default() };
        }
    }

    /// A TLBI that empties a regime of this CPU.
    pub(super) fn tlbi_inherited(&mut self, at: Site, op: TlbiOp) {
        let inherited = &mut self.cpus.of(at.cpu).inherited;
        match op.target() {
            Target::AllVmids | Target::Both => inherited.host.sent = true,
            Target::El2 if !op.has_operand() => inherited.el2.sent = true,
            _ => {}
        }
    }

    /// A DSB for loads and stores.
    pub(super) fn complete_inherited(&mut self, at: Site) {
        let inherited = &mut self.cpus.of(at.cpu).inherited;
        inherited.host.complete();
        inherited.el2.complete();
    }

    /// EL2 does something on this CPU that hangs on its own translation. Streams of Casemate have no returns.
    pub(super) fn el2_relied(&mut self, at: Site) {
        if let Some(since) = self.cpus.of(at.cpu).inherited.el2.used.take() {
            self.el2_used(since, at, "EL2 went on");
        }
    }

    fn el2_used(&mut self, since: Site, until: Site, and: &str) {
        let what = format!("EL2's stage 1 got another root here, and {and} with its TLBs as they were");
        let missing = Missing::until(until, "TLBI ALLE2 and DSB on this CPU");
        self.report(Rule::FirstUse, Subject::Register("TTBR0_EL2"), since, None, what, missing);
    }

    /// A CPU returned to EL1.
    pub(super) fn inherited_returned(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let inherited = &mut cpu.inherited;
        let (host, el2) = (inherited.host.used.take(), inherited.el2.used.take());
        let written = cpu.unsynchronised.take().filter(|_| cpu.sctlr.is_some_and(|sctlr| sctlr & EOS == 0));
        if let Some(since) = host {
            let what =
                "stage 2 turned on here, and the CPU returned to EL1 with its TLBs as they were".to_owned();
            let missing = Missing::until(at, "TLBI ALLE1 (or VMALLS12E1) and DSB on this CPU");
            self.report(Rule::FirstUse, Subject::Register("HCR_EL2"), since, None, what, missing);
        }
        if let Some(since) = el2 {
            self.el2_used(since, at, "the CPU returned to EL1");
        }
        if let Some(since) = written {
            let what = "written here, and the CPU returned to EL1 by an ERET without EOS".to_owned();
            let register = Subject::Register("SCTLR_EL2");
            let missing = Missing::until(at, "ISB before the ERET");
            self.report(Rule::Unsynchronised, register, since, None, what, missing);
        }
    }

    /// A command that empties the SMMU's caches: CMD_CFGI_ALL, or CMD_TLBI_NSNH_ALL.
    pub(super) fn command_inherited(&mut self, configuration: bool) {
        let inherited = &mut self.smmu.inherited;
        *(if configuration { &mut inherited.configuration } else { &mut inherited.translations }) = true;
    }

    /// CMD_SYNC number `index`.
    pub(super) fn sync_inherited(&mut self, index: u64) {
        let inherited = &mut self.smmu.inherited;
        if inherited.configuration && inherited.translations && inherited.sync.is_none() {
            inherited.sync = Some(index);
        }
    }

    /// Every command below `cons` is seen consumed.
    pub(super) fn consumed_inherited(&mut self, cons: u64) {
        let inherited = &mut self.smmu.inherited;
        inherited.clean |= inherited.sync.is_some_and(|sync| sync < cons);
    }

    /// SMMUEN becomes 1.
    pub(super) fn smmu_used(&mut self, at: Site) {
        let SmmuInherited { configuration, translations, sync, clean } =
            std::mem::take(&mut self.smmu.inherited);
        if clean {
            return;
        }
        let missing = match (configuration, translations, sync) {
            (false, ..) => "CMD_CFGI_ALL, and CMD_SYNC consumed",
            (_, false, _) => "CMD_TLBI_NSNH_ALL, and CMD_SYNC consumed",
            (.., None) => "CMD_SYNC after CMD_CFGI_ALL and CMD_TLBI_NSNH_ALL",
            (.., Some(_)) => "CMDQ_CONS seen past the CMD_SYNC",
        };
        let what = "SMMUEN set while the SMMU's caches may hold anything".to_owned();
        self.report(Rule::FirstUse, Subject::Register("SMMU_CR0"), at, None, what, missing.to_owned());
    }
}
