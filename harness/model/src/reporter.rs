//! How often to say what is wrong.

use std::collections::BTreeMap;

use parallax_addr::Span;

use crate::check::{Check, Space};
use crate::finding::Finding;
use crate::rule::Rule;

/// Remembers what was reported, so that a run reports each site once.
#[derive(Clone, Debug, Default)]
pub struct Reporter {
    seen: BTreeMap<(Rule, Space, String), Vec<Span>>,
}

impl Reporter {
    /// Whether any part of the finding's span is new under its rule and message; from now on all of it counts as seen.
    /// An operation's result is a site of its own.
    fn is_new(&mut self, finding: &Finding) -> bool {
        if finding.rule.check() == Check::Result {
            return true;
        }
        let key = (finding.rule, finding.space, finding.words());
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
    use crate::finding::Violation;
    use crate::finding::tests::finding;

    #[test]
    fn a_site_is_reported_once() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x1000, 0x3000)]).len(), 1);
        assert!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x1000, 0x3000)]).is_empty());
        assert!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x2000, 0x3000)]).is_empty());
        assert_eq!(reporter.fresh(vec![finding(Rule::SyncMissing, 0x1000, 0x3000)]).len(), 1);
    }

    #[test]
    fn a_site_that_grows_is_reported_again() {
        let mut reporter = Reporter::default();
        reporter
            .fresh(vec![finding(Rule::SyncExtra, 0x5000, 0x6000), finding(Rule::SyncExtra, 0x1000, 0x3000)]);
        assert_eq!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x1000, 0x4000)]).len(), 1);
        assert!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x1000, 0x4000)]).is_empty());
        assert_eq!(reporter.fresh(vec![finding(Rule::SyncExtra, 0x1000, 0x6000)]).len(), 1);
    }

    #[test]
    fn findings_about_registers_are_reported_once() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.fresh(vec![finding(Rule::IsolationOpen, 0, 0)]).len(), 1);
        assert!(reporter.fresh(vec![finding(Rule::IsolationOpen, 0, 0)]).is_empty());
        let open = finding(Rule::IsolationOpen, 0, 0);
        let other = Violation { message: "wrong in another way".into(), ..Violation::clone(&open) };
        assert_eq!(reporter.fresh(vec![other.with_views(None, open.views().clone())]).len(), 1);
    }

    #[test]
    fn every_result_that_is_not_the_expected_one_is_reported() {
        let mut reporter = Reporter::default();
        let other = finding(Rule::ResultExpected, 0x1000, 0x2000);
        let result = Violation::clone(&other).with_views(None, other.views().clone());
        assert_eq!(reporter.fresh(vec![result.clone()]).len(), 1);
        assert_eq!(reporter.fresh(vec![result]).len(), 1);
    }
}
