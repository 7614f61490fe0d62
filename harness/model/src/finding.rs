//! What a check found wrong.
//!
//! A check makes a [`Claim`]: a rule, and where it is broken. Only what has been looked at there becomes a [`Finding`],
//! which therefore always knows its page (or says what else it is about) and both sides' view.

use std::fmt;

use crate::canonical;
use crate::context::Context;
use crate::snapshot::Snapshot;
use crate::views::Views;
use parallax_addr::Span;

/// The checks of the architecture (spec is others' business).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// The CPU's and the SMMU's tables agree.
    Sync,
    /// The hypervisor is out of the host's reach.
    Isolation,
    /// Every page has one owner, and all records of it agree.
    Ownership,
    /// Every mapping is of the kind that its address must have.
    Sanity,
    /// An access ended as the tables say it must.
    Access,
    /// An operation's result is the expected one.
    Result,
    /// What happened, happened in the right order (see `parallax-protocol`).
    Protocol,
}

impl Check {
    /// Its name in goldens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Isolation => "isolation",
            Self::Ownership => "ownership",
            Self::Sanity => "sanity",
            Self::Access => "access",
            Self::Result => "result",
            Self::Protocol => "protocol",
        }
    }
}

/// Which address space a finding's span is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// IPAs of the host's stage 2.
    Cpu,
    /// IPAs of the SMMU's stage 2.
    Smmu,
    /// Virtual addresses at EL2.
    El2,
    /// Physical addresses.
    Page,
    /// StreamIDs.
    Ste,
    /// Registers; the span is empty.
    Regs,
}

impl Space {
    /// Its name in goldens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Smmu => "smmu",
            Self::El2 => "el2",
            Self::Page => "page",
            Self::Ste => "ste",
            Self::Regs => "regs",
        }
    }
}

/// What a check says is wrong, before anybody has looked at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The check.
    pub check: Check,
    /// The rule within the check, a short name that does not change.
    pub rule: &'static str,
    /// Which address space [`Self::span`] is in.
    pub space: Space,
    /// The addresses concerned; empty for [`Space::Regs`].
    pub span: Span,
    /// The same in names; empty where the space says it all.
    pub subject: String,
    /// What is wrong, in words, without addresses.
    pub message: String,
}

impl Claim {
    /// The finding that this is in the state `snapshot`.
    #[must_use]
    pub fn seen(self, snapshot: &Snapshot, context: &Context) -> Finding {
        let page = self.page(snapshot, context);
        let views = Views::of(snapshot, context, (self.space, self.span.base), page.map(|page| page.base));
        Finding { claim: self, page, views }
    }

    /// The finding that this is where no state is at hand: what is known of its `page` and of both sides.
    #[must_use]
    pub const fn told(self, page: Option<Span>, views: Views) -> Finding {
        Finding { claim: self, page, views }
    }

    /// The pages concerned, as the host and devices address them.
    fn page(&self, snapshot: &Snapshot, context: &Context) -> Option<Span> {
        match self.space {
            Space::Cpu | Space::Smmu | Space::Page => whole_pages(self.span),
            Space::El2 => {
                let at = canonical::el2_output(snapshot, context, self.span.base)?;
                whole_pages(Span::new(at, self.span.size))
            }
            Space::Ste | Space::Regs => None,
        }
    }
}

/// The pages that `span` touches; none for an empty one.
fn whole_pages(span: Span) -> Option<Span> {
    const PAGE: u64 = 0x1000;
    let end = span.end().checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    (!span.is_empty()).then(|| Span::between(span.base & !(PAGE - 1), end))
}

/// One thing that is wrong, with what both sides say where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    claim: Claim,
    page: Option<Span>,
    views: Views,
}

impl std::ops::Deref for Finding {
    type Target = Claim;

    fn deref(&self) -> &Claim {
        &self.claim
    }
}

impl Finding {
    /// The pages that it is about, as the host and devices address them; none where it is about no page.
    #[must_use]
    pub const fn page(&self) -> Option<Span> {
        self.page
    }

    /// What each side says there, of several pages at the first one.
    #[must_use]
    pub const fn views(&self) -> &Views {
        &self.views
    }

    /// The same, with what is known beside both sides before them: the device that wanted something, say.
    #[must_use]
    pub fn with(mut self, side: &'static str, view: String) -> Self {
        self.views = self.views.with(side, view);
        self
    }

    /// What it is about, in a few words: its pages by number, or what else it is.
    #[must_use]
    pub fn about(&self) -> String {
        match (self.page, self.claim.space) {
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
        let (last, next) = (&mut self.claim, &more.claim);
        let same = (last.rule, last.space, &last.message) == (next.rule, next.space, &next.message)
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
        write!(f, "{}/{} {}", self.check.name(), self.rule, self.space.name())?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        write!(f, ": {} [{}]", self.message, self.views)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn finding(rule: &'static str, base: u64, end: u64) -> Finding {
        let claim = Claim {
            check: Check::Sync,
            rule,
            space: Space::Smmu,
            span: Span::between(base, end),
            subject: format!("{base:#x}"),
            message: "wrong".into(),
        };
        claim.told(whole_pages(Span::between(base, end)), Views::new("a", "b"))
    }

    #[test]
    fn a_finding_reads_as_one_line() {
        assert_eq!(
            finding("extra", 0x1000, 0x2000).to_string(),
            "sync/extra smmu 0x1000: wrong [cpu: a; smmu: b]"
        );
    }

    #[test]
    fn what_it_is_about_is_said_with_or_without_a_page() {
        assert_eq!(finding("extra", 0x1000, 0x2008).about(), "page 0x1000..0x3000");
        let of = |space, span| {
            let claim = Claim { space, span, ..finding("x", 0, 0).claim };
            claim.told(None, Views::new("", "")).about()
        };
        assert_eq!(of(Space::Ste, Span::new(8, 1)), "no page: stream table entry of StreamID 0x8");
        assert_eq!(of(Space::Regs, Span::default()), "no page: registers of CPU and SMMU");
        assert!(of(Space::El2, Span::new(0x10, 1)).ends_with("0x10, which maps nothing"));
    }
}
