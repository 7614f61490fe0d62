//! The state of a review, apart from any terminal: which result is shown, and what was decided of each.
//!
//! Nothing is written before the end: until then every decision can be taken back.

use crate::item::Item;
use crate::sorted::{Part, sorted};

/// What is to become of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It becomes the golden.
    Accept,
    /// It is removed.
    Reject,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Accept; with findings only if it says so.
    Accept {
        /// Also where findings are in it.
        even_with_findings: bool,
    },
    /// Reject.
    Reject,
    /// Accept all of the group that are not decided of; with findings only if it says so.
    AcceptGroup {
        /// Also where findings are in it.
        even_with_findings: bool,
    },
    /// Reject all of the group that are not decided of.
    RejectGroup,
    /// Go on without a decision.
    Next,
    /// Go on behind the group.
    NextGroup,
    /// Go back.
    Previous,
    /// Take the last decision back.
    Undo,
    /// Down by so many lines, or up.
    Scroll(isize),
    /// To the next operation that differs.
    NextChange,
    /// Show all lines, or only what differs with some around it.
    Whole,
    /// Explain the operation that is on top.
    Explain,
    /// Show the keys.
    Help,
    /// To the summary, and from there: write.
    Finish,
    /// From the summary back to the results.
    Back,
    /// Leave without a change.
    Abandon,
}

/// What is on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Screen {
    /// A result.
    Result,
    /// The keys.
    Help,
    /// An explanation, and how far it is scrolled.
    Explanation(String, usize),
    /// What is going to be written.
    Summary,
}

/// What is to be done outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: draw again.
    None,
    /// Explain the operation in this line of the trace that is shown.
    Explain(usize),
    /// Write what was decided.
    Write,
    /// Leave everything as it is.
    Leave,
}

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// A review.
#[derive(Debug)]
pub(super) struct App {
    /// The results, group by group; never empty.
    pub items: Vec<Item>,
    /// The groups: which of the results, and what changed in them.
    pub groups: Vec<Part>,
    /// What was decided of each.
    pub decisions: Vec<Option<Decision>>,
    /// In which order, to take it back: what each key decided, with what had been decided before.
    history: Vec<Vec<(usize, Option<Decision>)>>,
    /// Which one is shown.
    pub at: usize,
    /// The first line shown.
    pub scroll: usize,
    /// Whether all lines are shown.
    pub whole: bool,
    /// What is on the screen.
    pub screen: Screen,
    /// What to tell the user.
    pub message: String,
}

impl App {
    /// A review of `items`, at least one.
    pub(super) fn new(items: Vec<Item>) -> Self {
        let decisions = vec![None; items.len()];
        let (items, groups) = sorted(items);
        Self {
            items,
            groups,
            decisions,
            history: Vec::new(),
            at: 0,
            scroll: 0,
            whole: false,
            screen: Screen::Result,
            message: String::new(),
        }
    }

    /// The result that is shown.
    pub(super) fn item(&self) -> &Item {
        &self.items[self.at]
    }

    /// The group of the result that is shown, and its number.
    pub(super) fn group(&self) -> (usize, &Part) {
        let is_here = |(_, group): &(usize, &Part)| group.range.contains(&self.at);
        self.groups.iter().enumerate().find(is_here).unwrap_or((0, &self.groups[0]))
    }

    /// The rows to show: all of them, or those near a difference. A gap is `None`.
    pub(super) fn visible(&self) -> Vec<Option<usize>> {
        let rows = &self.item().rows;
        if self.whole {
            return (0..rows.len()).map(Some).collect();
        }
        let mut visible: Vec<Option<usize>> = Vec::new();
        for at in 0..rows.len() {
            let near = at.saturating_sub(CONTEXT)..rows.len().min(at + CONTEXT + 1);
            if rows[near].iter().any(|row| !row.same()) {
                visible.push(Some(at));
            } else if !matches!(visible.last(), Some(None)) {
                visible.push(None);
            }
        }
        visible
    }

    /// How many of the results were accepted and rejected.
    pub(super) fn counts(&self) -> (usize, usize) {
        let count = |wanted| self.decisions.iter().filter(|decision| **decision == Some(wanted)).count();
        (count(Decision::Accept), count(Decision::Reject))
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action) -> Effect {
        self.message.clear();
        if let Screen::Explanation(text, top) = &mut self.screen {
            match action {
                Action::Scroll(lines) => {
                    let last = text.lines().count().saturating_sub(1);
                    *top = top.saturating_add_signed(lines).min(last);
                }
                Action::Abandon => return Effect::Leave,
                _ => self.screen = Screen::Result,
            }
            return Effect::None;
        }
        match (&self.screen, action) {
            (_, Action::Abandon) => return Effect::Leave,
            (Screen::Summary, Action::Finish) => return Effect::Write,
            (Screen::Summary, Action::Undo) => self.undo(),
            (Screen::Summary | Screen::Help, _) => self.screen = Screen::Result,
            (_, Action::Accept { even_with_findings }) => self.accept(even_with_findings),
            (_, Action::Reject) => self.decide(Decision::Reject),
            (_, Action::AcceptGroup { even_with_findings }) => self.accept_group(even_with_findings),
            (_, Action::RejectGroup) => {
                let members = self.undecided();
                self.decide_all(members, Decision::Reject);
                self.forward_to(self.group().1.range.end);
            }
            (_, Action::Next) => self.forward(),
            (_, Action::NextGroup) => self.forward_to(self.group().1.range.end),
            (_, Action::Previous) => self.go(self.at.saturating_sub(1)),
            (_, Action::Undo) => self.undo(),
            (_, Action::Scroll(lines)) => self.scroll_by(lines),
            (_, Action::NextChange) => self.next_change(),
            (_, Action::Whole) => {
                self.whole = !self.whole;
                self.scroll = 0;
            }
            (_, Action::Explain) => return self.explain(),
            (_, Action::Help) => self.screen = Screen::Help,
            (_, Action::Finish) => self.screen = Screen::Summary,
            (_, Action::Back) => (),
        }
        Effect::None
    }

    fn accept(&mut self, even_with_findings: bool) {
        let objections = &self.item().objections;
        if let Some(objection) = objections.iter().find(|objection| !objection.can_be_overruled()) {
            self.message = format!("cannot be accepted: {objection}; r rejects it");
        } else if let (Some(objection), false) = (objections.first(), even_with_findings) {
            self.message = format!("it holds {objection}: A accepts it even so");
        } else {
            self.decide(Decision::Accept);
        }
    }

    /// Those of the group of which nothing is decided yet.
    fn undecided(&self) -> Vec<usize> {
        self.group().1.range.clone().filter(|at| self.decisions[*at].is_none()).collect()
    }

    /// What cannot be accepted is left, and is shown.
    fn accept_group(&mut self, even_with_findings: bool) {
        let end = self.group().1.range.end;
        let objects = |at: &usize| {
            let mut objections = self.items[*at].objections.iter();
            objections.any(|objection| !(even_with_findings && objection.can_be_overruled()))
        };
        let (left, taken): (Vec<usize>, Vec<usize>) = self.undecided().into_iter().partition(objects);
        let count = taken.len();
        self.decide_all(taken, Decision::Accept);
        match left.first() {
            None => self.forward_to(end),
            Some(first) => {
                self.go(*first);
                let objection = self.item().objections.first().map(ToString::to_string).unwrap_or_default();
                self.message = format!("{count} accepted, {} left: this one: {objection}", left.len());
            }
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.decide_all(vec![self.at], decision);
        self.forward();
    }

    fn decide_all(&mut self, members: Vec<usize>, decision: Decision) {
        if members.is_empty() {
            return;
        }
        let before = members.iter().map(|at| (*at, self.decisions[*at])).collect();
        self.history.push(before);
        members.into_iter().for_each(|at| self.decisions[at] = Some(decision));
    }

    fn undo(&mut self) {
        match self.history.pop() {
            None => "nothing to take back".clone_into(&mut self.message),
            Some(before) => {
                before.iter().for_each(|(at, decision)| self.decisions[*at] = *decision);
                self.go(before.first().map_or(self.at, |(at, _)| *at));
                self.screen = Screen::Result;
                "taken back".clone_into(&mut self.message);
            }
        }
    }

    fn forward(&mut self) {
        self.forward_to(self.at + 1);
    }

    fn forward_to(&mut self, at: usize) {
        if at < self.items.len() {
            self.go(at);
        } else {
            self.screen = Screen::Summary;
        }
    }

    fn go(&mut self, at: usize) {
        self.at = at;
        self.scroll = 0;
    }

    fn scroll_by(&mut self, lines: isize) {
        let last = self.visible().len().saturating_sub(1);
        self.scroll = self.scroll.saturating_add_signed(lines).min(last);
    }

    fn next_change(&mut self) {
        let visible = self.visible();
        let differs = |row: &Option<usize>| row.is_some_and(|row| !self.item().rows[row].same());
        let rest = visible.iter().enumerate().skip(self.scroll);
        let after = rest.skip_while(|(_, row)| differs(row)).find(|(_, row)| differs(row)).map(|(at, _)| at);
        match after {
            Some(at) => self.scroll = at,
            None => "no difference further down".clone_into(&mut self.message),
        }
    }

    fn explain(&mut self) -> Effect {
        let rows = self.visible();
        let shown = rows.iter().skip(self.scroll).flatten();
        let differs = shown.copied().find(|row| !self.item().rows[*row].same());
        match differs.and_then(|row| self.item().operation(row)) {
            Some(line) => Effect::Explain(line),
            None => {
                "no operation differs from here on".clone_into(&mut self.message);
                Effect::None
            }
        }
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
pub(super) mod tests;
