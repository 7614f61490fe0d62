//! What an operation that ended in some way may have done.

use parallax_abi::errno::ENOMEM;
use parallax_addr::{PhysAddr, Span};
use parallax_ops::{Agent, CpuAccess, Operation, Outcome};

use crate::call::specified;
use crate::need::first_broken;
use crate::tables::Free;
use crate::view::{Effect, View};

/// What an operation may have left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What became of the pages that it names. All others are as they were.
    pub effects: Vec<Effect>,
    /// But the host's memory may have been lent and taken back: the operation wrote to registers of a device that the
    /// hypervisor emulates, which lends itself what the host's driver set up.
    pub lends: bool,
    /// Why it should have ended otherwise.
    pub wrong: Option<Wrong>,
}

/// An outcome that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The rule that decides, as `call/need`.
    pub rule: String,
    /// What it says, or what the call does.
    pub says: &'static str,
    /// How the operation ends.
    pub expected: Outcome,
}

impl Next {
    /// Nothing changed, and that is right.
    pub(crate) const SAME: Self = Self { effects: Vec::new(), lends: false, wrong: None };
}

/// What the specification has to know of the machine, beside its state.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    /// Frames of registers of devices that the hypervisor emulates for the host.
    pub emulated: &'a [Span<PhysAddr>],
    /// Devices with a StreamID below this reach what the host's CPUs reach. None where the host has an SMMU of its own, and
    /// decides itself what its devices reach of that.
    pub streams: Option<u64>,
    /// Whether emulated devices may have lent memory of the host's, or returned it, since the state that is looked at.
    pub lent: bool,
    /// The pages that are free for tables when the operation has ended; none where that is not known, and any operation that may
    /// need one may fail.
    pub free: Option<Free>,
}

impl Board<'_> {
    /// Whether `operation` accesses a frame of an emulated device.
    pub(crate) fn emulates(self, operation: &Operation) -> bool {
        let Operation::Access(access) = operation else { return false };
        let of = |span: Span<PhysAddr>| self.emulated.iter().any(|frame| frame.overlaps(span));
        let at = match access {
            CpuAccess::Race { at, .. } => of(Span::new(at.identity(), 8)),
            _ => false,
        };
        at || operation.footprint().pages.is_some_and(|pages| of(pages.cast()))
    }

    /// How the access that `operation` is must end, by the rule that is named; none where anything may come of it.
    fn access(self, operation: &Operation, outcome: &Outcome, view: &dyn View) -> Option<Wrong> {
        let footprint = operation.footprint();
        let reach = footprint.reach?;
        let pages = view.pages(reach.span.whole_pages()?.cast());
        let by_device = match footprint.agent {
            Agent::Cpu => false,
            Agent::Device(sid) if u64::from(sid.get()) < self.streams? => true,
            Agent::Device(_) => return None,
        };
        let refused = *outcome == Outcome::Abort;
        if pages.iter().any(|(_, page)| !page.is_the_hosts()) {
            let rule = if by_device { "dma/not-the-hosts" } else { "access/not-the-hosts" };
            let (says, expected) = ("a page that is not the host's is not reached", Outcome::Abort);
            // Nobody asked, where there is no device.
            let ended = refused || *outcome == Outcome::NoDevice || matches!(outcome, Outcome::Unknown(_));
            return (!ended).then(|| Wrong { rule: rule.to_owned(), says, expected });
        }
        // A walk ends in a fault of stage 1 there: nobody made a table.
        let walk = matches!(operation, Operation::Access(CpuAccess::Walk { .. }));
        let memory = !walk && pages.iter().all(|(_, page)| page.is_memory());
        let rule = if by_device { "dma/hosts" } else { "access/hosts" };
        let (says, expected) = ("memory that is the host's is reached", Outcome::Ok { value: None });
        let short = !by_device && self.free.is_some_and(Free::is_short_for_a_page);
        (memory && refused && !short).then(|| Wrong { rule: rule.to_owned(), says, expected })
    }
}

/// Whether function `id` is the firmware's: of the architecture or of a standard secure service (SMC Calling Convention,
/// DEN 0028, 6.1). The host asks for PSCI by either instruction.
const fn is_firmwares(id: u64) -> bool {
    matches!(id >> 24 & 0x3f, 0 | 4)
}

/// What `operation`, which ended with `outcome` in the state that `view` shows, may have done.
#[must_use]
pub fn next(operation: &Operation, outcome: &Outcome, view: &dyn View, board: Board<'_>) -> Next {
    if let Operation::AnyHypercall { id, .. } = operation
        && operation.call().is_none()
        && !is_firmwares(*id)
    {
        let expected = Outcome::NotSupported;
        let says = "there is no such call";
        let wrong =
            (*outcome != expected).then(|| Wrong { rule: "hypercall/known".to_owned(), says, expected });
        return Next { wrong, ..Next::SAME };
    }
    let Some(call) = operation.call() else {
        let lends = board.emulates(operation);
        let wrong = if lends { None } else { board.access(operation, outcome, view) };
        return Next { lends, wrong, ..Next::SAME };
    };
    let Some((call, named)) = specified(call) else { return Next::SAME };
    let pages = view.pages(named.span());
    let broken = first_broken(call.needs, named, view);
    let done = matches!(outcome, Outcome::Ok { .. });
    let short = board.free.is_none_or(|free| free.is_short_for(named.nr));
    let may_fail = matches!(outcome, Outcome::Error(error)
        if call.may_fail.iter().any(|(known, _)| known == error && (short || *known != ENOMEM)));
    // What devices have lent and returned meanwhile is not known; all else is.
    let unknown = board.lent && named.is_addressed() && pages.iter().all(|(_, page)| page.may_be_lent());
    let wrong = match broken {
        Some(need) if !matches!(outcome, Outcome::Error(error) if need.allows(named, *error)) => {
            let rule = format!("{}/{}", call.word, need.name);
            Some(Wrong { rule, says: need.says, expected: Outcome::Error(need.error) })
        }
        None if !done && !may_fail => {
            let rule = format!("{}/done", call.word);
            Some(Wrong { rule, says: call.effect, expected: Outcome::Ok { value: None } })
        }
        _ => None,
    };
    let happened = done && (broken.is_none() || unknown);
    let effect = |(span, page)| Effect { span, page: (call.becomes)(page) };
    let effects = if happened { pages.into_iter().map(effect).collect() } else { Vec::new() };
    Next { effects, lends: false, wrong: wrong.filter(|_| !unknown) }
}
