//! What a check found wrong.
//!
//! A check makes a [`Violation`]: a rule, and where it is broken. With the views of both sides there it becomes a
//! [`Finding`], which therefore always knows its page (or says what else it is about) and what both sides say.

use std::fmt;

use parallax_addr::{HypVa, PhysAddr, Span};

use crate::canonical;
use crate::check::Space;
use crate::context::Context;
use crate::rule::Rule;
use crate::snapshot::Snapshot;
use crate::views::{Side, Views};

/// A rule that is broken at one place, before anybody has looked at both sides there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Which address space [`Self::span`] is in.
    pub space: Space,
    /// The addresses concerned; empty for [`Space::Regs`].
    pub span: Span,
    /// The same in names; empty where the space says it all.
    pub subject: String,
    /// What is wrong, in words, without addresses; may be empty where there is a function.
    pub message: String,
    /// The function whose instruction broke the rule, where one did.
    pub function: Option<String>,
}

impl Violation {
    /// The finding that this is in the state `snapshot`.
    #[must_use]
    pub fn in_state(self, snapshot: &Snapshot, context: &Context) -> Finding {
        let page = self.page(snapshot, context);
        let views = Views::of(snapshot, context, (self.space, self.span.base), page.map(|page| page.base));
        Finding { violation: self, page, views }
    }

    /// The finding that this is, of which `page` and `views` are known from elsewhere than a state.
    #[must_use]
    pub const fn with_views(self, page: Option<Span<PhysAddr>>, views: Views) -> Finding {
        Finding { violation: self, page, views }
    }

    /// What is wrong, in words, with the function.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.function {
            None => self.message.clone(),
            Some(function) if self.message.is_empty() => format!("in {function}"),
            Some(function) => format!("{}, in {function}", self.message),
        }
    }

    /// The pages concerned, as the host and devices address them.
    fn page(&self, snapshot: &Snapshot, context: &Context) -> Option<Span<PhysAddr>> {
        match self.space {
            Space::Cpu | Space::Smmu | Space::Page => self.span.cast().whole_pages(),
            Space::El2 => {
                let at = canonical::el2_output(snapshot, context, HypVa::new(self.span.base))?;
                Span::new(at, self.span.size).whole_pages()
            }
            Space::Ste | Space::Regs => None,
        }
    }
}

/// One thing that is wrong, with what both sides say where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    violation: Violation,
    page: Option<Span<PhysAddr>>,
    views: Views,
}

impl std::ops::Deref for Finding {
    type Target = Violation;

    fn deref(&self) -> &Violation {
        &self.violation
    }
}

impl Finding {
    /// The pages that it is about, as the host and devices address them; none where it is about no page.
    #[must_use]
    pub const fn page(&self) -> Option<Span<PhysAddr>> {
        self.page
    }

    /// What each side says there, of several pages at the first one.
    #[must_use]
    pub const fn views(&self) -> &Views {
        &self.views
    }

    /// The same, with what is known beside both sides before them: the device that wanted something, say.
    #[must_use]
    pub fn with(mut self, side: Side, view: String) -> Self {
        self.views = self.views.with(side, view);
        self
    }

    /// The same, which stands for `more` places beside its own.
    pub(crate) fn and_more(mut self, more: usize) -> Self {
        let message = &mut self.violation.message;
        *message = format!("{message}; and at {more} places more");
        self
    }

    /// It without what each side says there, which is shown and not compared: the same after the same operation is the same
    /// finding.
    #[must_use]
    pub fn identity(&self) -> String {
        let gap = if self.subject.is_empty() { "" } else { " " };
        format!("{} {}{gap}{}: {}", self.rule, self.space.name(), self.subject, self.words())
    }

    /// What it is about, in a few words: its pages by number, or what else it is.
    #[must_use]
    pub fn about(&self) -> String {
        match (self.page, self.space) {
            (Some(page), _) => format!("page {:#x}..{:#x}", page.base, page.end()),
            (None, Space::Ste) => {
                format!("no page: stream table entry of StreamID {}", canonical::stream_ids(self.span))
            }
            (None, Space::El2) => {
                format!("no page: EL2's virtual address {:#x}, which maps nothing", self.span.base)
            }
            (None, _) => "no page: registers of CPU and SMMU".to_owned(),
        }
    }

    /// Takes `more` in, if it is the same behind this one: how it is called then is `subject`'s to say.
    pub(crate) fn join(&mut self, more: &Self, subject: impl FnOnce(Span) -> String) -> bool {
        let (last, next) = (&mut self.violation, &more.violation);
        let what = |of: &Violation| (of.rule, of.space, of.words());
        let same = what(last) == what(next)
            && self.views == more.views
            && last.span.end() == next.span.base
            && !next.span.is_empty();
        if same {
            last.span.size += next.span.size;
            last.subject = subject(last.span);
            self.page = match (self.page, more.page) {
                (Some(page), Some(more)) => Some(Span::between(page.base, more.end())),
                (page, more) => page.or(more),
            };
        }
        same
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.identity(), self.views)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn finding(rule: Rule, base: u64, end: u64) -> Finding {
        let violation = Violation {
            rule,
            space: Space::Smmu,
            span: Span::between(base, end),
            subject: format!("{base:#x}"),
            message: "wrong".into(),
            function: None,
        };
        violation.with_views(Span::between(base, end).cast().whole_pages(), Views::new("a", "b"))
    }

    #[test]
    fn a_finding_reads_as_one_line() {
        assert_eq!(
            finding(Rule::SyncExtra, 0x1000, 0x2000).to_string(),
            "sync/extra smmu 0x1000: wrong [cpu: a; smmu: b]"
        );
    }

    #[test]
    fn the_function_stands_behind_the_message() {
        let with = |message: &str| {
            let function = Some("f".to_owned());
            let message = message.to_owned();
            Violation { message, function, ..finding(Rule::SyncExtra, 0, 0).violation }.words()
        };
        assert_eq!((with("level 3"), with("")), ("level 3, in f".to_owned(), "in f".to_owned()));
    }

    #[test]
    fn what_it_is_about_is_said_with_or_without_a_page() {
        assert_eq!(finding(Rule::SyncExtra, 0x1000, 0x2008).about(), "page 0x1000..0x3000");
        let of = |space, span| {
            let violation = Violation { space, span, ..finding(Rule::SyncExtra, 0, 0).violation };
            violation.with_views(None, Views::new("", "")).about()
        };
        assert_eq!(of(Space::Ste, Span::new(8, 1)), "no page: stream table entry of StreamID 0x8");
        assert_eq!(of(Space::Regs, Span::default()), "no page: registers of CPU and SMMU");
        assert!(of(Space::El2, Span::new(0x10, 1)).ends_with("0x10, which maps nothing"));
    }
}
