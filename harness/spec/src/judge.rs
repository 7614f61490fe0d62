//! A step of a real machine, held against the specification.

use parallax_addr::{Ipa, PhysAddr, Span};
use parallax_model::{
    Context, Finding, Freedoms, Rule, SmmuMode, SmmuState, Snapshot, Space, Violation, run,
};
use parallax_ops::{Operation, Outcome};

use crate::call::specified;
use crate::compared::{Around, Comparison, differences, disjoint};
use crate::holding::At;
use crate::step::{Board, Wrong, next};
use crate::tables::Free;
use crate::vgic::Vgic;
use crate::view::{After, Effect, Held, Observed, Unsure, View};
use crate::viommu::{Features, Viommu};

/// Holds the steps of a machine, from its boot on, against the specification.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    held: Held,
    /// Pages of which it is not known how many of their pins are for devices.
    unsure: Unsure,
    viommu: Option<Viommu>,
    /// What was wrong with a stream when it was last looked at.
    stream: Option<String>,
    vgic: Option<Vgic>,
    /// Others change the state between two looks, too: pages are judged that an operation names, and no others.
    beside: bool,
}

impl Judge {
    /// Of a machine that does more than it is asked for. Nobody else uses the pages that operations name.
    #[must_use]
    pub fn beside() -> Self {
        Self { beside: true, ..Self::default() }
    }

    /// What is wrong with `performed`, operations one after the other and how each ended, or with what they left.
    pub fn judge<'a>(
        &mut self,
        around: Around<'_>,
        performed: impl Iterator<Item = (&'a Operation, &'a Outcome)> + Clone,
    ) -> Vec<Finding> {
        let Around { before, context, .. } = around;
        let emulated = || emulated_smmu(before, context).filter(|_| !self.beside);
        let mut viommu = self.viommu.take().or_else(emulated);
        let emulated = || emulated_gic(before, context).filter(|_| !self.beside);
        let mut vgic = self.vgic.take().or_else(emulated);
        let devices = (viommu.as_mut(), vgic.as_mut());
        let (mut findings, effects, lends) = self.perform(around, devices, performed.clone());
        findings.extend(vgic.as_ref().and_then(|vgic| of_its(vgic, around)));
        let one = performed.clone().nth(1).is_none();
        let stream = viommu.as_ref().and_then(|viommu| viommu.streams(around.after.smmu.as_ref()?));
        let told = stream.clone().filter(|_| self.stream != stream);
        let command = viommu.as_ref().filter(|_| one).and_then(|viommu| {
            viommu.commands((around.before.smmu.as_ref()?, around.after.smmu.as_ref()?), around.memory)
        });
        findings.extend(of_smmu(command, told, around));
        self.stream = stream;
        (self.viommu, self.vgic) = (viommu, vgic);
        let mut spans: Vec<Span<PhysAddr>> = effects.iter().map(|effect| effect.span).collect();
        if self.beside {
            let named = performed.filter_map(|(operation, _)| operation.footprint().pages);
            spans.extend(named.map(Span::cast));
        } else {
            spans.extend(differences(around));
        }
        let spans = disjoint(spans);
        let held = self.held.after(&effects);
        let observed = Observed { snapshot: before, context, held: &self.held };
        let expected = After { before: &observed, effects: &effects };
        let mut comparison = Comparison::new(around, &held, lends, &self.unsure);
        spans.into_iter().for_each(|span| comparison.compare(span, &expected));
        let (found, lent) = comparison.end();
        findings.extend(found);
        self.held = held;
        for (page, pins) in lent {
            self.held.set(page, pins);
            self.unsure.add(page);
        }
        self.unsure.keep(&Observed { snapshot: around.after, context, held: &self.held });
        findings
    }

    /// What is wrong with how `performed` ended, what they should have done to pages, and whether emulated devices may have lent
    /// and returned others.
    fn perform<'a>(
        &self,
        around: Around<'_>,
        (mut viommu, mut vgic): (Option<&mut Viommu>, Option<&mut Vgic>),
        performed: impl Iterator<Item = (&'a Operation, &'a Outcome)> + Clone,
    ) -> (Vec<Finding>, Vec<Effect>, bool) {
        let Around { before, after, context, memory } = around;
        let observed = Observed { snapshot: before, context, held: &self.held };
        // A device behind an SMMU that is off and closed is not told that it was refused.
        let closed = |smmu: &SmmuState| !smmu.control.enabled && smmu.control.gbpa_abort;
        let is_on = |state: &Snapshot| !state.smmu.as_ref().is_some_and(closed);
        let on = is_on(before) && is_on(after);
        let judged = !context.emulated && context.smmu != SmmuMode::Off && on;
        let streams = judged.then(|| 1 << context.sid_bits.min(32));
        // Between operations without a look there may have been less.
        let free = Free::of(after).filter(|_| performed.clone().nth(1).is_none());
        let mut board = Board { emulated: &context.lpis, streams, lent: false, free };
        let (mut findings, mut effects) = (Vec::new(), Vec::new());
        let few = Free::of(after).is_some_and(Free::may_fail_to_pin);
        let observed_after = Observed { snapshot: after, ..observed };
        let alone = performed.clone().nth(1).is_none().then_some(&observed_after as &dyn View);
        if let Some(viommu) = &mut viommu {
            viommu.begin(performed.clone().map(|(operation, _)| operation));
            if !on {
                viommu.lose();
            }
        }
        if let Some(vgic) = &mut vgic {
            vgic.begin(performed.clone().map(|(operation, _)| operation));
        }
        for (operation, outcome) in performed.filter(|(operation, outcome)| is_an_answer(operation, outcome))
        {
            let view = After { before: &observed, effects: &effects };
            let at = At { view: &view, memory, after: alone, unsure: board.lent || few };
            let here = board.emulates(operation);
            let of_gic = vgic.as_mut().and_then(|vgic| vgic.perform(operation, outcome, here, at));
            let of_smmu = viommu.as_mut().and_then(|viommu| viommu.perform(operation, outcome, at));
            let pages = operation.footprint().pages.filter(|_| !self.unsure.is_empty());
            let here = pages.is_some_and(|pages| self.unsure.has_any(pages.cast()));
            // What is not mapped may stay so; what says whose a page is needs no table.
            let free = free.filter(|_| !pages_of(operation).is_some_and(|pages| is_annotated(after, pages)));
            let of_pages = Board { lent: board.lent || here, free, ..board };
            let next = of_smmu.or(of_gic).unwrap_or_else(|| next(operation, outcome, &view, of_pages));
            if let Some(wrong) = next.wrong.filter(|wrong| {
                !is_another_error(wrong, outcome, context.freedoms, is_far(operation, &observed))
            }) {
                findings.push(result(operation, outcome, &wrong, around));
            }
            effects.extend(next.effects);
            board.lent |= next.lends;
            if viommu.as_mut().is_some_and(|viommu| viommu.is_found_again()) {
                let view = After { before: &observed, effects: &effects };
                let others = vgic.as_ref().map_or_else(Vec::new, |vgic| vgic.spans());
                effects.extend(self.held.returned(&view, &self.unsure, &others));
            }
        }
        (findings, effects, board.lent)
    }
}

/// The pages that the access `operation` names.
fn pages_of(operation: &Operation) -> Option<Span<Ipa>> {
    operation.footprint().pages.filter(|_| operation.call().is_none())
}

/// Whether the host's stage 2 has an annotation for any of `pages`.
fn is_annotated(state: &Snapshot, pages: Span<Ipa>) -> bool {
    run::within(state.host(), pages).any(|(_, entry)| entry.annotation().is_some())
}

/// The SMMU that the host sees, as it is at boot.
fn emulated_smmu(state: &Snapshot, context: &Context) -> Option<Viommu> {
    let smmu = state.smmu.as_ref().filter(|_| context.emulated)?;
    let output_bits = u32::from(smmu.control.output_bits).min(48);
    let features = Features { stage1: context.smmu_stage1, output_bits, ranges: smmu.control.ranges };
    Some(Viommu::new(state.layout.smmu, context.sid_bits, features))
}

/// The ITS and the redistributors that the host sees, as they are at boot.
fn emulated_gic(state: &Snapshot, context: &Context) -> Option<Vgic> {
    let gic = state.gic.as_ref()?;
    let its = gic.its.as_ref().map(|its| its.frame).filter(|its| is_annotated(state, its.cast()))?;
    let redistributors: Vec<_> = gic.redistributors.iter().map(|one| one.frame.base).collect();
    let elsewhere = context.emulated || context.smmu == SmmuMode::Off;
    Some(Vgic::new(its.base, &redistributors, context.sid_bits, elsewhere))
}

/// The finding that the ITS was given other commands than the host's.
fn of_its(vgic: &Vgic, around: Around<'_>) -> Option<Finding> {
    let Around { before, after, context, memory } = around;
    let message = vgic.commands(before.gic.as_ref()?, after.gic.as_ref()?, memory)?;
    Some(of_device(Rule::SpecCommand, "its", message).in_state(after, context))
}

/// The findings that the SMMU was given another `command` than the host's, and that a `stream` is not as the host's table says.
fn of_smmu(
    command: Option<String>,
    stream: Option<String>,
    around: Around<'_>,
) -> impl Iterator<Item = Finding> {
    let command = command.filter(|_| !around.context.smmu_fails).map(|message| (Rule::SpecCommand, message));
    let both = command.into_iter().chain(stream.map(|message| (Rule::SpecStream, message)));
    both.map(move |(rule, message)| of_device(rule, "smmu", message).in_state(around.after, around.context))
}

fn of_device(rule: Rule, device: &str, message: String) -> Violation {
    let (space, span) = (Space::Regs, Span::default());
    Violation { rule, space, span, subject: device.to_owned(), message, function: None }
}

/// Whether `outcome` is what the hypervisor said of `operation`, and not that nobody asked it.
const fn is_an_answer(operation: &Operation, outcome: &Outcome) -> bool {
    let call = matches!(operation, Operation::Hypercall(_) | Operation::AnyHypercall { .. });
    !call || !matches!(outcome, Outcome::Timeout | Outcome::Unknown(_))
}

/// Whether `operation` is a call that names page frames beyond the host's address space.
fn is_far(operation: &Operation, view: &dyn View) -> bool {
    let named = operation.call().and_then(specified).map(|(_, named)| named);
    named.is_some_and(|named| named.pfn.saturating_add(named.nr) > view.frames())
}

/// Whether it was refused as it should be, only with another error that its hypervisor may give.
fn is_another_error(wrong: &Wrong, outcome: &Outcome, freedoms: Freedoms, far: bool) -> bool {
    let (Outcome::Error(ours), Outcome::Error(got)) = (&wrong.expected, outcome) else { return false };
    freedoms.of_error(*ours, *got, far).is_some()
}

/// The finding that `operation` should have ended otherwise.
fn result(operation: &Operation, outcome: &Outcome, wrong: &Wrong, around: Around<'_>) -> Finding {
    let Wrong { rule, says, expected } = wrong;
    let got = match expected {
        Outcome::Ok { value: Some(_) } => outcome.clone(),
        _ => outcome.clone().without_value(),
    };
    let message = format!("expected {expected}, got {got} ({rule}: {says})");
    let pages = operation.footprint().pages;
    let (space, span) = pages.map_or((Space::Regs, Span::default()), |pages| (Space::Page, pages.cast()));
    let subject = pages.map_or_else(String::new, |pages| around.context.symbols.span(pages));
    let rule = Rule::SpecResult;
    Violation { rule, space, span, subject, message, function: None }.in_state(around.after, around.context)
}

#[cfg(test)]
mod tests {
    use parallax_abi::errno::{EBUSY, EINVAL, EPERM};
    use parallax_model::{ERANGE, Freedom};

    use super::*;

    #[test]
    fn an_error_that_no_freedom_names_stays_a_finding() {
        let wrong = |error| Wrong { rule: String::new(), says: "", expected: Outcome::Error(error) };
        let all = Freedoms::new(Freedom::ALL);
        let allowed = |ours, got, far| is_another_error(&wrong(ours), &Outcome::Error(got), all, far);
        assert!(allowed(EPERM, ERANGE, true) && allowed(EINVAL, ERANGE, true));
        assert!(
            !allowed(EPERM, ERANGE, false)
                && !allowed(EPERM, EINVAL, false)
                && !allowed(EINVAL, EPERM, true)
                && !allowed(EBUSY, ERANGE, true)
        );
        assert!(!is_another_error(&wrong(EPERM), &Outcome::Ok { value: None }, all, true));
        assert!(!is_another_error(&wrong(EPERM), &Outcome::Error(ERANGE), Freedoms::default(), true));
    }
}
