//! What every page is, as the specification has it: the abstract state that operations are chosen by.

use std::collections::BTreeMap;

use parallax_addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Span};
use parallax_ops::{Operation, Outcome};
use parallax_spec::step::Board;
use parallax_spec::{Effect, Page, View, next};

/// The pages of the host's address space, in runs that are alike: each from its first frame to the next one's.
#[derive(Clone, Debug)]
pub(super) struct Model {
    runs: BTreeMap<u64, Page>,
    frames: u64,
}

/// What the specification says of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Predicted {
    pub(super) effects: Vec<Effect>,
    /// How it is refused, and by the need that decides (`call/need`); none where it succeeds.
    pub(super) refused: Option<(Outcome, String)>,
}

impl Model {
    /// The state that `view` shows.
    pub(super) fn of(view: &dyn View) -> Self {
        let frames = view.frames();
        let mut model = Self { runs: BTreeMap::from([(0, Page::HostMmio)]), frames };
        for (span, page) in view.pages(Span::new(PhysAddr::new(0), frames << PAGE_SHIFT)) {
            model.set(span, page);
        }
        model
    }

    /// What the page with this frame is.
    pub(super) fn page(&self, frame: u64) -> Page {
        self.runs.range(..=frame).next_back().map_or(Page::HostMmio, |(_, page)| *page)
    }

    /// What `operation` does here, if it ends as it must.
    pub(super) fn predict(&self, operation: &Operation) -> Predicted {
        let board = Board { emulated: &[], streams: None, lent: false, free: None };
        let next = next(operation, &Outcome::Ok { value: None }, self, board);
        let refused = next.wrong.map(|wrong| (wrong.expected, wrong.rule));
        Predicted { effects: if refused.is_some() { Vec::new() } else { next.effects }, refused }
    }

    /// As it is after `effects`.
    pub(super) fn apply(&mut self, effects: &[Effect]) {
        effects.iter().for_each(|effect| self.set(effect.span, effect.page));
    }

    fn set(&mut self, span: Span<PhysAddr>, page: Page) {
        let (first, end) = (span.base.pfn().get(), span.end().get().div_ceil(PAGE_SIZE));
        if first >= end {
            return;
        }
        let (before, behind) = (first.checked_sub(1).map(|frame| self.page(frame)), self.page(end));
        let inside: Vec<u64> = self.runs.range(first..end).map(|(frame, _)| *frame).collect();
        inside.iter().for_each(|frame| {
            self.runs.remove(frame);
        });
        if before != Some(page) {
            self.runs.insert(first, page);
        }
        if behind == page {
            self.runs.remove(&end);
        } else {
            self.runs.insert(end, behind);
        }
    }
}

impl View for Model {
    fn frames(&self) -> u64 {
        self.frames
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let (first, end) = (span.base.pfn().get(), span.end().get().div_ceil(PAGE_SIZE));
        let place = |frame: u64| PhysAddr::new(frame << PAGE_SHIFT);
        let mut pieces = Vec::new();
        let mut at = first;
        while at < end {
            let next = self.runs.range(at + 1..).next().map_or(end, |(frame, _)| *frame).min(end);
            pieces.push((Span::between(place(at), place(next)), self.page(at)));
            at = next;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::Pfn;
    use parallax_ops::Call;

    use super::*;

    struct All(Page);

    impl View for All {
        fn frames(&self) -> u64 {
            1 << 36
        }

        fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
            vec![(span, self.0)]
        }
    }

    #[test]
    fn what_is_predicted_is_what_the_specification_says() {
        let mut model = Model::of(&All(Page::Host));
        let donate = |pfn, nr| Operation::Hypercall(Call::HostDonateHyp { pfn: Pfn::new(pfn), nr });
        let predicted = model.predict(&donate(8, 4));
        assert_eq!(predicted.refused, None);
        model.apply(&predicted.effects);
        assert_eq!([7, 8, 11, 12].map(|frame| model.page(frame) == Page::Host), [true, false, false, true]);
        let (outcome, rule) = model.predict(&donate(7, 2)).refused.unwrap();
        assert_eq!(rule, "host_donate_hyp/hosts-alone");
        assert_eq!(outcome.to_string(), "EPERM");
    }

    #[test]
    fn runs_are_split_and_joined() {
        let mut model = Model::of(&All(Page::Host));
        let span = |first: u64, end: u64| Span::between(PhysAddr::new(first << 12), PhysAddr::new(end << 12));
        let given = Page::Given { users: 0 };
        model.set(span(4, 8), given);
        model.set(span(8, 9), given);
        model.set(span(5, 6), Page::Host);
        let pages = model.pages(span(3, 10));
        let shown: Vec<_> =
            pages.iter().map(|(span, page)| (span.base.get() >> 12, *page == Page::Host)).collect();
        assert_eq!(shown, [(3, true), (4, false), (5, true), (6, false), (9, true)]);
        model.set(span(0, 20), Page::Host);
        assert_eq!(model.pages(span(0, 30)).len(), 1);
    }
}
