//! From requests and responses to what the model judges: who accessed what, and whether translation let it pass.

use parallax_abi::info::HypInfo;
use parallax_abi::mailbox::{Request, Response, op};
use parallax_machine::{Description, config};
use parallax_model::{
    Access, AccessKind, AddressMap, Agent, Context, Finding, Layout, MmioPolicy, Outcome as Passage,
    SmmuMode, Snapshot, Span, check_access,
};

use crate::trace::Outcome;

/// ISS.S1PTW: the fault was on the stage-2 translation of an access made for a stage-1 walk (DDI 0487, D24.2.37).
const S1PTW: u64 = 1 << 7;
/// ISS.DFSC / ISS.IFSC.
const FSC: u64 = 0x3f;
/// Highest FSC of address size, translation, access flag and permission faults (0b00xxxx).
const LAST_TRANSLATION_FSC: u64 = 0x0f;

/// What the checks have to know of a machine.
pub(super) fn context(description: &Description, info: &HypInfo) -> Context {
    let span = |region: &parallax_machine::Region| Span::new(region.base, region.size);
    let regions = || description.regions.iter().map(|region| (region.name.as_str(), span(region)));
    let hyp = &description.config.hyp;
    Context {
        symbols: AddressMap::new(regions(), &Layout::from(info)),
        memory: regions().filter(|(name, _)| *name == "ram").map(|(_, span)| span).collect(),
        smmu: match hyp.smmu {
            config::SmmuMode::Shadow => SmmuMode::Shadow,
            config::SmmuMode::Shared => SmmuMode::Shared,
            config::SmmuMode::Off => SmmuMode::Off,
        },
        mmio: match hyp.mmio {
            config::MmioPolicy::Prot => MmioPolicy::Prot,
            config::MmioPolicy::Region => MmioPolicy::Region,
            config::MmioPolicy::Cacheable => MmioPolicy::Cacheable,
        },
        sid_bits: hyp.sid_bits,
        emulated: hyp.smmu_host == config::HostView::Emulated,
    }
}

/// What is wrong with the way in which an access ended; nothing if `request` is none.
pub(super) fn check(
    request: &Request,
    response: &Response,
    outcome: &Outcome,
    before: &Snapshot,
    after: &Snapshot,
    context: &Context,
) -> Vec<Finding> {
    let access = access(request, response, outcome);
    access.map_or_else(Vec::new, |access| check_access(&access, before, after, context))
}

fn access(request: &Request, response: &Response, outcome: &Outcome) -> Option<Access> {
    let [first, second, third, ..] = request.args;
    let (kind, span) = match request.op {
        op::READ => (AccessKind::Read, Span::new(first, second)),
        op::WRITE => (AccessKind::Write, Span::new(first, second)),
        op::EXEC => (AccessKind::Execute, Span::new(first, 4)),
        op::READ_PAIR => (AccessKind::Read, Span::new(first, 16)),
        op::WRITE_PAIR => (AccessKind::Write, Span::new(first, 16)),
        op::WALK => (AccessKind::Read, Span::new(first & !0xfff, 0x1000)),
        op::ATOMIC | op::SWAP => (AccessKind::Write, Span::new(first, 8)),
        op::DMA_READ => (AccessKind::Read, Span::new(second, third)),
        op::DMA_WRITE => (AccessKind::Write, Span::new(second, third)),
        _ => return None,
    };
    let device = matches!(request.op, op::DMA_READ | op::DMA_WRITE);
    let agent = if device { Agent::Device(u32::try_from(first).ok()?) } else { Agent::Cpu };
    let fits = span.base.checked_add(span.size).is_some();
    let outcome = passage(request.op, response, outcome).filter(|_| fits)?;
    Some(Access { agent, kind, span, outcome })
}

/// Whether translation let an access pass, where that can be told.
fn passage(op: u64, response: &Response, outcome: &Outcome) -> Option<Passage> {
    let fsc = response.esr & FSC;
    match outcome {
        // The page is read as a table; the walk goes on with what stands in it, and faults at stage 1.
        Outcome::Abort if op == op::WALK && response.esr & S1PTW == 0 => Some(Passage::Passed),
        Outcome::Abort if matches!(op, op::DMA_READ | op::DMA_WRITE) => Some(Passage::Refused),
        Outcome::Abort if fsc <= LAST_TRANSLATION_FSC => Some(Passage::Refused),
        // A CPU without the instruction.
        Outcome::Undefined if op == op::SWAP => None,
        Outcome::Ok { .. } | Outcome::Bus | Outcome::Undefined => Some(Passage::Passed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: u64, args: [u64; 4], esr: u64, outcome: Outcome) -> Option<Access> {
        let [a, b, c, d] = args;
        let request = Request { cpu: 0, op, args: [a, b, c, d, 0, 0, 0] };
        access(&request, &Response { esr, ..Response::default() }, &outcome)
    }

    #[test]
    fn devices_and_cpus_are_told_apart() {
        let cpu = of(op::WRITE, [0x1000, 4, 7, 0], 0, Outcome::Ok { value: None }).unwrap();
        assert_eq!((cpu.agent, cpu.kind, cpu.span), (Agent::Cpu, AccessKind::Write, Span::new(0x1000, 4)));
        let device = of(op::DMA_READ, [8, 0x2000, 16, 0], 0, Outcome::Abort).unwrap();
        assert_eq!(device.agent, Agent::Device(8));
        assert_eq!((device.span, device.outcome), (Span::new(0x2000, 16), Passage::Refused));
    }

    #[test]
    fn a_walk_passed_if_the_fault_is_stage_ones_own() {
        let walk = |esr| of(op::WALK, [0x1008, 0, 0, 0], esr, Outcome::Abort).unwrap();
        assert_eq!(walk(0x9600_0004).outcome, Passage::Passed);
        assert_eq!(walk(0x9600_0084).outcome, Passage::Refused);
        assert_eq!(walk(0x9600_0084).span, Span::new(0x1000, 0x1000));
    }

    #[test]
    fn what_says_nothing_of_translation_is_not_judged() {
        assert_eq!(of(op::READ, [0x1001, 4, 0, 0], 0x9600_0021, Outcome::Abort), None);
        assert_eq!(of(op::DMA_READ, [8, 0x1000, 8, 0], 0, Outcome::NoDevice), None);
        assert_eq!(of(op::READ, [u64::MAX, 8, 0, 0], 0x9600_0004, Outcome::Abort), None);
        assert_eq!(of(op::HYPERCALL, [0; 4], 0, Outcome::Ok { value: None }), None);
        let bus = of(op::READ, [0x80_0000_0000, 8, 0, 0], 0x9600_0010, Outcome::Bus).unwrap();
        assert_eq!(bus.outcome, Passage::Passed);
    }
}
