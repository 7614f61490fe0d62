//! What a check found wrong, and how often to say so.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::span::Span;

/// The checks of the architecture (spec is others' business).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
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

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The rule within the check, a short name that does not change.
    pub rule: &'static str,
    /// Which address space [`Self::span`] is in.
    pub space: Space,
    /// The addresses concerned.
    pub span: Span,
    /// The same in names.
    pub subject: String,
    /// What is wrong, in words, without addresses.
    pub message: String,
    /// What each side says there, such as `("cpu", "annotated hyp")`, in a fixed order.
    pub views: Vec<(&'static str, String)>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.check.name(), self.rule, self.space.name())?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        write!(f, ": {}", self.message)?;
        for (n, (side, view)) in self.views.iter().enumerate() {
            write!(f, "{}{side}: {view}", if n == 0 { " [" } else { "; " })?;
        }
        if self.views.is_empty() { Ok(()) } else { f.write_str("]") }
    }
}

/// Remembers what was reported, so that a run reports each site once.
#[derive(Clone, Debug, Default)]
pub struct Reporter {
    seen: BTreeMap<(Check, &'static str, Space, String), Vec<Span>>,
}

impl Reporter {
    /// Whether any part of the finding's span is new under its check, rule and message; from now on all of it counts as seen.
    fn is_new(&mut self, finding: &Finding) -> bool {
        let key = (finding.check, finding.rule, finding.space, finding.message.clone());
        let seen = self.seen.entry(key).or_default();
        if finding.span.is_empty() {
            let known = seen.contains(&finding.span);
            seen.push(finding.span);
            return !known;
        }
        let mut at = finding.span.base;
        for old in seen.iter().filter(|old| !old.is_empty()) {
            if old.contains(at) {
                at = old.end();
            }
        }
        if at >= finding.span.end() {
            return false;
        }
        seen.push(finding.span);
        merge(seen);
        true
    }

    /// Those of `findings` that have not been reported yet.
    pub fn fresh(&mut self, findings: Vec<Finding>) -> Vec<Finding> {
        findings.into_iter().filter(|finding| self.is_new(finding)).collect()
    }
}

/// Sorts spans and joins those that touch or overlap.
fn merge(spans: &mut Vec<Span>) {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(last) if !last.is_empty() && !span.is_empty() && span.base <= last.end() => {
                *last = Span::between(last.base, last.end().max(span.end()));
            }
            _ => merged.push(span),
        }
    }
    *spans = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, base: u64, end: u64) -> Finding {
        Finding {
            check: Check::Sync,
            rule,
            space: Space::Smmu,
            span: Span::between(base, end),
            subject: format!("{base:#x}"),
            message: "wrong".into(),
            views: vec![("cpu", "a".into()), ("smmu", "b".into())],
        }
    }

    #[test]
    fn a_site_is_reported_once() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.fresh(vec![finding("extra", 0x1000, 0x3000)]).len(), 1);
        assert!(reporter.fresh(vec![finding("extra", 0x1000, 0x3000)]).is_empty());
        assert!(reporter.fresh(vec![finding("extra", 0x2000, 0x3000)]).is_empty());
        assert_eq!(reporter.fresh(vec![finding("missing", 0x1000, 0x3000)]).len(), 1);
    }

    #[test]
    fn a_site_that_grows_is_reported_again() {
        let mut reporter = Reporter::default();
        reporter.fresh(vec![finding("extra", 0x5000, 0x6000), finding("extra", 0x1000, 0x3000)]);
        assert_eq!(reporter.fresh(vec![finding("extra", 0x1000, 0x4000)]).len(), 1);
        assert!(reporter.fresh(vec![finding("extra", 0x1000, 0x4000)]).is_empty());
        assert_eq!(reporter.fresh(vec![finding("extra", 0x1000, 0x6000)]).len(), 1);
    }

    #[test]
    fn findings_about_registers_are_reported_once() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.fresh(vec![finding("open", 0, 0)]).len(), 1);
        assert!(reporter.fresh(vec![finding("open", 0, 0)]).is_empty());
        let other = Finding { message: "wrong in another way".into(), ..finding("open", 0, 0) };
        assert_eq!(reporter.fresh(vec![other]).len(), 1);
    }

    #[test]
    fn a_finding_reads_as_one_line() {
        assert_eq!(
            finding("extra", 0x1000, 0x2000).to_string(),
            "sync/extra smmu 0x1000: wrong [cpu: a; smmu: b]"
        );
    }
}
