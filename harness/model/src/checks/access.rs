//! An access of the host or of a device ended as the tables say it must.
//!
//! This is how a stale TLB shows itself: the tables refuse, and the access succeeds all the same.

use parallax_addr::{Ipa, Span};
use parallax_smmu::Config;
use parallax_trace::spec::SmmuMode;

use crate::canonical;
use crate::check::Space;

use crate::context::Context;
use crate::finding::{Finding, Violation};
use crate::leaf::S2Entry;
use crate::rule::Rule;
use crate::run::{self, Run};
use crate::smmu_state::{SmmuState, Stream};
use crate::snapshot::Snapshot;
use crate::views::Side;

/// Who accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// A CPU that runs the host.
    Cpu,
    /// The device with this StreamID.
    Device(u32),
}

/// What it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// To read; a stage-1 walk counts as a read.
    Read,
    /// To write.
    Write,
    /// To execute.
    Execute,
}

/// New tables on the way to one entry: below the root there are at most three levels.
const WAY: u64 = 3;

/// What it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Translation let it pass, whatever the bus then said.
    Passed,
    /// Translation refused it: an abort at EL1, or an event of the SMMU.
    Refused,
}

/// An access that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub agent: Agent,
    /// What for.
    pub kind: AccessKind,
    /// Where, in IPAs; not empty.
    pub span: Span<Ipa>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Judges an access by the states before and after the operation that made it. A state between the two that other
/// CPUs passed through cannot be seen: only give accesses that were alone in their batch.
#[must_use]
pub fn check_access(access: &Access, before: &Snapshot, after: &Snapshot, context: &Context) -> Vec<Finding> {
    let expected = match access.agent {
        // The hypervisor performs it in the host's place, all of it: where only a part is in the frame, the syndrome names no other
        // (FAR_EL2, DDI 0487, D24.2).
        Agent::Cpu if reaches_emulated(access.span, before, context) => return Vec::new(),
        Agent::Cpu => host(access, before, after),
        Agent::Device(sid) if context.smmu == SmmuMode::Off => {
            return unheld(access, sid, (before, after), context);
        }
        Agent::Device(sid) => match (device(access, sid, before), device(access, sid, after)) {
            (Some(one), Some(two)) if one == two => one,
            _ => return Vec::new(),
        },
    };
    let no_table = access.agent == Agent::Cpu && is_out_of_tables(access.span, after);
    if expected == access.outcome || expected == Outcome::Passed && no_table {
        return Vec::new();
    }
    let (rule, message) = match (access.agent, expected) {
        (Agent::Cpu, Outcome::Refused) => {
            (Rule::AccessStale, "the host's access succeeded although its stage 2 refuses it")
        }
        (Agent::Cpu, Outcome::Passed) => {
            (Rule::AccessRefused, "the host's access was refused although its stage 2 allows it")
        }
        (Agent::Device(_), Outcome::Refused) => {
            (Rule::AccessStale, "the device's access succeeded although the SMMU's tables refuse it")
        }
        (Agent::Device(_), Outcome::Passed) => {
            (Rule::AccessRefused, "the device's access was refused although the SMMU's tables allow it")
        }
    };
    vec![found(access, (rule, message), after, context)]
}

/// What is wrong with `access` after it.
fn found(access: &Access, (rule, message): (Rule, &str), after: &Snapshot, context: &Context) -> Finding {
    let space = if access.agent == Agent::Cpu { Space::Cpu } else { Space::Smmu };
    let span = access.span.whole_pages().unwrap_or(access.span);
    let (subject, message) = (context.symbols.span(span), message.to_owned());
    let violation = Violation { rule, space, span: span.cast(), subject, message, function: None };
    let finding = violation.in_state(after, context);
    match access.agent {
        Agent::Device(sid) => finding.with(Side::Device, canonical::stream_ids(Span::new(u64::from(sid), 1))),
        Agent::Cpu => finding,
    }
}

/// A device behind an SMMU that is the host's: what its stream table lets by reaches what the CPU's tables keep from the host. Nothing is
/// said where the SMMU was not looked at.
fn unheld(
    access: &Access,
    sid: u32,
    (before, after): (&Snapshot, &Snapshot),
    context: &Context,
) -> Vec<Finding> {
    let taken = annotated(before, access.span) && annotated(after, access.span);
    let (Some(smmu), Outcome::Passed, true) = (&after.smmu, access.outcome, taken) else { return Vec::new() };
    let message = match smmu.stream(sid).map(Stream::config) {
        _ if !smmu.control.enabled => "a device reaches what is not the host's: the SMMU is off",
        Some(Config::Bypass) => {
            "a device reaches what is not the host's: the host's STE bypasses translation"
        }
        Some(Config::Stage1) => "a device reaches what is not the host's: only the host's stage 1 translates",
        _ => "a device reaches what is not the host's",
    };
    vec![found(access, (Rule::AccessUnheld, message), after, context)]
}

/// What must come of a host access. A zero entry is filled by the hypervisor on the way, so the state after counts
/// for permissions; an annotated one must refuse before and after.
fn host(access: &Access, before: &Snapshot, after: &Snapshot) -> Outcome {
    if access.span.end().get() > 1_u64 << before.control().input_bits.min(63) {
        return Outcome::Refused;
    }
    if annotated(before, access.span) && annotated(after, access.span) {
        return Outcome::Refused;
    }
    let refused = run::overlay::<_, _, ()>(after.host(), &[], access.span)
        .any(|(_, entry, _)| entry.is_some_and(|entry| !allows(entry, access.kind)));
    if refused { Outcome::Refused } else { Outcome::Passed }
}

/// Whether a part of `span` that the host may reach is not mapped, and so few pages are left for tables that it may stay so.
fn is_out_of_tables(span: Span<Ipa>, state: &Snapshot) -> bool {
    let few = state.pools.as_ref().and_then(|pools| pools.first()).is_some_and(|host| host.free < WAY);
    few && run::overlay::<_, _, ()>(state.host(), &[], span).any(|(_, entry, _)| entry.is_none())
}

/// Whether `span` reaches registers of an emulated device.
fn reaches_emulated(span: Span<Ipa>, state: &Snapshot, context: &Context) -> bool {
    let of_gic = |frame: &Span<Ipa>| frame.overlaps(span) && annotated(state, *frame);
    context.emulated && state.layout.smmu.overlaps(span.cast())
        || context.lpis.iter().map(|frame| frame.cast()).any(|frame| of_gic(&frame))
}

/// Whether the host's table gives a part of `span` to somebody else.
fn annotated(state: &Snapshot, span: Span<Ipa>) -> bool {
    run::within(state.host(), span).any(|(_, entry)| matches!(entry, S2Entry::Annotated { .. }))
}

fn allows(entry: &S2Entry, kind: AccessKind) -> bool {
    entry.leaf().is_some_and(|leaf| {
        leaf.af
            && match kind {
                AccessKind::Read => leaf.read,
                AccessKind::Write => leaf.write,
                AccessKind::Execute => leaf.exec().el1(),
            }
    })
}

/// What must come of a device's access in one state. Nothing is said of a nested stream: its addresses are those of
/// the host's stage 1, which a snapshot does not hold.
fn device(access: &Access, sid: u32, state: &Snapshot) -> Option<Outcome> {
    let Some(smmu) = &state.smmu else { return Some(Outcome::Passed) };
    if !smmu.control.enabled {
        // What GBPA aborts leaves no record (IHI 0070, 3.11): only the bytes tell how it ended.
        return if smmu.control.gbpa_abort { None } else { Some(Outcome::Passed) };
    }
    let outcome = match smmu.stream(sid) {
        Some(stream) if !stream.illegal.is_empty() => Outcome::Refused,
        Some(stream) => match stream.config() {
            Config::Abort => Outcome::Refused,
            Config::Bypass | Config::Stage1 => Outcome::Passed,
            Config::Stage2 => translated(access, smmu, stream.table),
            Config::Nested => return None,
        },
        None => Outcome::Refused,
    };
    // What is refused leaves a record, or only the bytes tell how it ended.
    Some(outcome).filter(|outcome| *outcome == Outcome::Passed || smmu.control.evtq_enabled)
}

/// Stage 2 decides: every byte must be mapped, with the permission, within the output size.
fn translated(access: &Access, smmu: &SmmuState, table: Option<usize>) -> Outcome {
    let entries: &[Run<Ipa, S2Entry>] =
        table.and_then(|index| smmu.tables.get(index)).map_or(&[], |table| &table.entries);
    let limit = 1_u64 << smmu.control.output_bits.min(63);
    let passes = run::overlay::<_, _, ()>(entries, &[], access.span).all(|(span, entry, _)| {
        entry.is_some_and(|entry| {
            allows(entry, access.kind)
                && entry.leaf().is_some_and(|leaf| leaf.outputs(span).end().get() <= limit)
        })
    });
    if passes { Outcome::Passed } else { Outcome::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::S2Leaf;
    use crate::testing::*;

    fn judge(agent: Agent, kind: AccessKind, outcome: Outcome, state: &Snapshot) -> Vec<Rule> {
        let access = Access { agent, kind, span: Span::new(Ipa::new(PAGE.base + 8), 8), outcome };
        check_access(&access, state, state, &context()).into_iter().map(|finding| finding.rule).collect()
    }

    /// Asserts that `expected` is silent and that the other outcome is found as `rule`.
    fn must(agent: Agent, kind: AccessKind, expected: Outcome, state: &Snapshot) {
        let (other, rule) = match expected {
            Outcome::Passed => (Outcome::Refused, Rule::AccessRefused),
            Outcome::Refused => (Outcome::Passed, Rule::AccessStale),
        };
        assert_eq!(judge(agent, kind, expected, state), Vec::<Rule>::new());
        assert_eq!(judge(agent, kind, other, state), [rule]);
    }

    #[test]
    fn a_mapped_page_lets_everybody_pass_and_a_donated_one_nobody() {
        for agent in [Agent::Cpu, Agent::Device(8)] {
            must(agent, AccessKind::Write, Outcome::Passed, &clean());
            must(agent, AccessKind::Read, Outcome::Refused, &donated());
        }
    }

    #[test]
    fn without_pages_for_tables_a_page_may_stay_unmapped() {
        let mut state = clean();
        set(host_mut(&mut state), PAGE, None);
        for (free, found) in [(2, vec![]), (3, vec![Rule::AccessRefused])] {
            let (span, pages, counted, broken) = (Span::default(), Vec::new().into(), free, None);
            let pool = crate::pool_state::PoolState { span, pages, counted, free, broken, only_tables: true };
            state.pools = Some([pool].into());
            assert_eq!(judge(Agent::Cpu, AccessKind::Read, Outcome::Refused, &state), found);
        }
    }

    #[test]
    fn nothing_is_said_of_what_reaches_an_emulated_device_in_part() {
        let mut state = donated();
        state.layout.smmu = PAGE.cast();
        let judge = |base, emulated| {
            let span = Span::new(Ipa::new(base), 8);
            let access = Access { agent: Agent::Cpu, kind: AccessKind::Read, span, outcome: Outcome::Passed };
            check_access(&access, &state, &state, &Context { emulated, ..context() }).len()
        };
        assert_eq!([PAGE.base - 8, PAGE.base - 4, PAGE.base].map(|base| judge(base, false)), [0, 1, 1]);
        assert_eq!([PAGE.base - 8, PAGE.base - 4, PAGE.base].map(|base| judge(base, true)), [0, 0, 0]);
    }

    #[test]
    fn an_smmu_of_the_hosts_lets_devices_reach_what_is_not_the_hosts() {
        let context = Context { smmu: SmmuMode::Off, ..context() };
        let judge = |outcome, state: &Snapshot| {
            let span = Span::new(Ipa::new(PAGE.base + 8), 8);
            let access = Access { agent: Agent::Device(8), kind: AccessKind::Read, span, outcome };
            let found = check_access(&access, state, state, &context);
            found.into_iter().map(|finding| finding.to_string()).collect::<Vec<_>>()
        };
        let mut taken = donated();
        assert_eq!(judge(Outcome::Passed, &clean()), [""; 0]);
        assert_eq!(judge(Outcome::Refused, &taken), [""; 0]);
        let found = judge(Outcome::Passed, &taken);
        assert!(matches!(&found[..], [one] if one.starts_with("access/unheld smmu")), "{found:?}");
        smmu_of(&mut taken).control.enabled = false;
        assert!(judge(Outcome::Passed, &taken)[0].contains("the SMMU is off"));
        taken.smmu = None;
        assert_eq!(judge(Outcome::Passed, &taken), [""; 0]);
    }

    #[test]
    fn permissions_decide() {
        let mut state = clean();
        let read_only = S2Leaf { write: false, xn: 0b10, ..MEMORY };
        set(host_mut(&mut state), PAGE, Some(S2Entry::Mapped(read_only)));
        set(smmu_entries(&mut state), PAGE, Some(S2Entry::Mapped(read_only)));
        for agent in [Agent::Cpu, Agent::Device(8)] {
            must(agent, AccessKind::Read, Outcome::Passed, &state);
            must(agent, AccessKind::Write, Outcome::Refused, &state);
        }
        must(Agent::Cpu, AccessKind::Execute, Outcome::Refused, &state);
    }

    #[test]
    fn a_host_access_to_a_zero_entry_passes_and_a_devices_does_not() {
        let mut state = clean();
        set(host_mut(&mut state), PAGE, None);
        set(smmu_entries(&mut state), PAGE, None);
        must(Agent::Cpu, AccessKind::Write, Outcome::Passed, &state);
        must(Agent::Device(8), AccessKind::Write, Outcome::Refused, &state);
    }

    #[test]
    fn a_stream_without_a_valid_entry_is_refused() {
        must(Agent::Device(0x100), AccessKind::Read, Outcome::Refused, &clean());
        let mut state = clean();
        smmu_of(&mut state).streams.make_mut()[0].value.dwords[0] = ABORT;
        must(Agent::Device(8), AccessKind::Read, Outcome::Refused, &state);
        smmu_of(&mut state).streams.make_mut()[0].value.dwords[0] = BYPASS;
        must(Agent::Device(8), AccessKind::Read, Outcome::Passed, &state);
    }

    #[test]
    fn with_the_smmu_disabled_gbpa_decides() {
        let mut state = clean();
        smmu_of(&mut state).control.enabled = false;
        for outcome in [Outcome::Passed, Outcome::Refused] {
            let found = judge(Agent::Device(8), AccessKind::Read, outcome, &state);
            assert_eq!(found, [], "what GBPA aborts leaves no record");
        }
        smmu_of(&mut state).control.gbpa_abort = false;
        must(Agent::Device(8), AccessKind::Read, Outcome::Passed, &state);
    }

    #[test]
    fn without_an_event_queue_nobody_hears_of_a_refusal() {
        let mut state = donated();
        smmu_of(&mut state).control.evtq_enabled = false;
        for outcome in [Outcome::Passed, Outcome::Refused] {
            assert_eq!(judge(Agent::Device(8), AccessKind::Read, outcome, &state), []);
        }
        let mut state = clean();
        smmu_of(&mut state).control.evtq_enabled = false;
        must(Agent::Device(8), AccessKind::Read, Outcome::Passed, &state);
    }

    #[test]
    fn a_transfer_passes_only_when_every_page_of_it_does() {
        let access = |outcome| Access {
            agent: Agent::Device(8),
            kind: AccessKind::Write,
            span: Span::new(Ipa::new(PAGE.base - 8), 16),
            outcome,
        };
        let state = donated();
        assert!(check_access(&access(Outcome::Refused), &state, &state, &context()).is_empty());
        let findings = check_access(&access(Outcome::Passed), &state, &state, &context());
        assert_eq!(findings[0].subject, "ram+0x7ff000..+0x801000");
    }

    #[test]
    fn a_device_access_beside_a_change_is_not_judged() {
        let access = Access {
            agent: Agent::Device(8),
            kind: AccessKind::Read,
            span: PAGE.cast(),
            outcome: Outcome::Passed,
        };
        assert!(check_access(&access, &clean(), &donated(), &context()).is_empty());
    }

    #[test]
    fn the_last_page_of_all_is_judged_too() {
        let span = Span::new(Ipa::new(u64::MAX - 15), 15);
        let access =
            Access { agent: Agent::Device(8), kind: AccessKind::Read, span, outcome: Outcome::Passed };
        assert_eq!(check_access(&access, &clean(), &clean(), &context()).len(), 1);
    }

    #[test]
    fn an_ipa_beyond_the_input_size_is_refused() {
        let access = Access {
            agent: Agent::Cpu,
            kind: AccessKind::Read,
            span: Span::new(Ipa::new(1 << BITS), 8),
            outcome: Outcome::Refused,
        };
        assert!(check_access(&access, &clean(), &clean(), &context()).is_empty());
    }
}
