//! Attempts to make an entry clean that do not count, and what an unclean entry still needs.

use parallax_smmu::command::CommandKind;

use super::finding::{Near, Regime, Site};
use super::tree_state::Tree;
use super::unclean::{CpuStep, Record, SmmuStep};
use crate::tlbi::{Target, TlbiOp};

/// What was done for an entry and does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    at: Option<Site>,
    what: String,
    /// The barrier that alone was missing.
    barrier: Option<Barrier>,
}

/// A barrier without which an instruction came too early.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Barrier {
    name: String,
    /// How far the invalidation would be with it; nothing where it would be complete.
    then: Option<CpuStep>,
}

impl Attempt {
    /// A command of the SMMU's queue.
    pub(super) fn command(index: u64, why: &str) -> Self {
        Self { at: None, what: format!("command {index} {why}"), barrier: None }
    }

    /// A barrier.
    pub(super) fn barrier(at: Site, why: &str) -> Self {
        Self { at: Some(at), what: format!("the DSB {why}"), barrier: None }
    }

    /// A TLBI that reached the wrong thing.
    pub(super) fn tlbi(at: Site, op: TlbiOp, why: &str) -> Self {
        Self { at: Some(at), what: format!("{} {why}", name(op)), barrier: None }
    }

    /// A TLBI before the DSB that makes the store visible, which would have brought the entry to `then`.
    pub(super) fn before_visible(at: Site, op: TlbiOp, then: CpuStep) -> Self {
        let mut early = Self::tlbi(at, op, "came before the DSB that makes the store visible");
        let name = format!("DSB ISHST between the store and {}", name(op));
        early.barrier = Some(Barrier { name, then: Some(then) });
        early
    }

    /// A stage-1 TLBI before the DSB that completes `stage2`.
    pub(super) fn before_complete(at: Site, op: TlbiOp, stage2: Option<TlbiOp>, local: bool) -> Self {
        let stage2 = stage2.map_or_else(|| "TLBI IPAS2E1IS".to_owned(), name);
        let mut early = Self::tlbi(at, op, &format!("came before the DSB that completes {stage2}"));
        let name = format!("DSB ISH between {stage2} and {}", name(op));
        early.barrier = Some(Barrier { name, then: Some(CpuStep::Sent { local }) });
        early
    }

    /// A further TLBI, seen as if the barrier had been there. Whether it goes on from there.
    pub(super) fn goes_on(&mut self, op: TlbiOp, local: bool) -> bool {
        let Some(barrier) = &mut self.barrier else { return false };
        let next = barrier.then.and_then(|step| after(op, step, local));
        barrier.then = next.or(barrier.then);
        next.is_some()
    }

    /// A DSB, seen as if the barrier had been there.
    pub(super) fn complete(&mut self, shared: bool) {
        let Some(barrier) = &mut self.barrier else { return };
        barrier.then = match barrier.then {
            Some(CpuStep::Stage2Sent { local }) if local || shared => Some(CpuStep::Stage2Done),
            Some(CpuStep::Sent { local }) if local || shared => None,
            then => then,
        };
    }

    fn near(&self) -> Near {
        Near { at: self.at, what: self.what.clone() }
    }
}

/// What a TLBI does for an entry that has come to `step`, when it reaches it.
pub(super) fn after(op: TlbiOp, step: CpuStep, local: bool) -> Option<CpuStep> {
    match (op.target(), step) {
        (Target::Stage2, CpuStep::Stored) => Some(CpuStep::Stage2Sent { local }),
        (Target::Stage1, CpuStep::Stage2Done) => Some(CpuStep::Sent { local }),
        (Target::Both | Target::AllVmids | Target::El2, CpuStep::Sent { .. }) => None,
        (Target::Both | Target::AllVmids | Target::El2, _) => Some(CpuStep::Sent { local }),
        _ => None,
    }
}

fn name(op: TlbiOp) -> String {
    format!("TLBI {}", op.name().to_uppercase())
}

/// What was missing, and what came close to it.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) text: String,
    pub(super) near: Option<Near>,
    /// The event by which it had to be there, when the finding is at another.
    pub(super) until: Option<Site>,
}

impl Missing {
    pub(super) fn until(until: Site, text: impl Into<String>) -> Self {
        Self { text: text.into(), near: None, until: Some(until) }
    }
}

impl From<String> for Missing {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// What an unclean entry still needs, in order. `visible`: a DSB has made the store visible; `waiting`: a command that stands in the
/// queue since then, and was not given to the SMMU; `early`: a CMD_SYNC that was put there since then, and is the last one.
pub(super) fn missing(
    record: &Record,
    tree: &Tree,
    visible: bool,
    waiting: Option<(Site, CommandKind)>,
    early: Option<Near>,
) -> Missing {
    let mut parts: Vec<String> = Vec::new();
    let barrier = record.attempt.as_ref().and_then(|attempt| attempt.barrier.as_ref());
    let stored = record.cpu == Some(CpuStep::Stored) || record.smmu == Some(SmmuStep::Stored);
    if let Some(barrier) = barrier.filter(|_| record.cpu.is_some()) {
        let rest = barrier.then.map(|step| format!(", after them {}", of_cpu(step, tree)));
        parts.push(format!("{}{}", barrier.name, rest.unwrap_or_default()));
    } else {
        if !visible && stored {
            parts.push("DSB ISHST".to_owned());
        }
        parts.extend(record.cpu.map(|step| of_cpu(step, tree)));
    }
    let mut near = record.attempt.as_ref().map(Attempt::near);
    match (record.smmu, waiting) {
        (Some(SmmuStep::Stored | SmmuStep::Stage2Done), Some((site, kind))) => {
            let name = kind.name();
            parts.push(format!("CMDQ_PROD moved past {name}, CMD_SYNC consumed"));
            let behind = match early {
                Some(_) if record.smmu == Some(SmmuStep::Stored) => " behind CMD_SYNC",
                _ => "",
            };
            let what = format!("{name} was put into the queue{behind}, and CMDQ_PROD not moved past it");
            near = near.or(Some(Near { at: Some(site), what }));
        }
        (step, _) => {
            if matches!(step, Some(SmmuStep::Sent { .. })) && record.cpu.is_none() {
                near = early.or(near);
            }
            parts.extend(step.map(|step| of_smmu(step, tree.smmu.unwrap_or_default())));
        }
    }
    Missing { text: parts.join("; "), near, until: None }
}

fn of_cpu(step: CpuStep, tree: &Tree) -> String {
    let needs = match step {
        CpuStep::Stored if tree.cpu == Some(Regime::El2) => "TLBI VAE2IS of it, DSB ISH",
        CpuStep::Stored => {
            "TLBI IPAS2E1IS of it, DSB ISH, TLBI VMALLE1IS, DSB ISH (or TLBI VMALLS12E1IS, DSB ISH)"
        }
        CpuStep::Stage2Sent { .. } => "DSB ISH, TLBI VMALLE1IS, DSB ISH",
        CpuStep::Stage2Done => "TLBI VMALLE1IS, DSB ISH",
        CpuStep::Sent { local: true } => "DSB NSH",
        CpuStep::Sent { local: false } => "DSB ISH",
    };
    needs.to_owned()
}

fn of_smmu(step: SmmuStep, vmid: u16) -> String {
    match step {
        SmmuStep::Stored => format!("CMD_TLBI_S2_IPA of it with VMID {vmid}, CMD_SYNC consumed"),
        SmmuStep::Sent { .. } => "CMD_SYNC after the TLBI command, and its consumption seen".to_owned(),
        SmmuStep::Synced { .. } => "CMDQ_CONS seen past the CMD_SYNC".to_owned(),
        SmmuStep::Stage2Done => format!("CMD_TLBI_NH_ALL with VMID {vmid}, CMD_SYNC consumed"),
    }
}
