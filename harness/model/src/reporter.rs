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

    /// Those of `findings`, what was found at one moment, that have not been reported yet. Of one kind it is [`MOST`] at
    /// most: the last of them says how many more there are.
    pub fn fresh(&mut self, findings: Vec<Finding>) -> Vec<Finding> {
        folded(findings.into_iter().filter(|finding| self.is_new(finding)).collect())
    }
}

/// So many findings of one kind (rule, space, message) are told of one moment: one mistake can be wrong in ten thousand
/// places at once.
pub const MOST: usize = 32;

fn folded(findings: Vec<Finding>) -> Vec<Finding> {
    let kind = |finding: &Finding| (finding.rule, finding.space, finding.words());
    let folds = |finding: &Finding| finding.rule.check() != Check::Result;
    let mut left: BTreeMap<_, usize> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| folds(finding)) {
        *left.entry(kind(finding)).or_default() += 1;
    }
    left.retain(|_, count| *count > MOST);
    if left.is_empty() {
        return findings;
    }
    let mut told: BTreeMap<_, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for finding in findings {
        let Some(all) = left.get(&kind(&finding)).copied().filter(|_| folds(&finding)) else {
            kept.push(finding);
            continue;
        };
        let number = told.entry(kind(&finding)).or_default();
        *number += 1;
        match *number {
            MOST => kept.push(finding.and_more(all - MOST)),
            number if number < MOST => kept.push(finding),
            _ => {}
        }
    }
    kept
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
    fn one_mistake_in_many_places_is_told_of_some() {
        let many = |count: u64| (0..count).map(|n| finding(Rule::SyncExtra, n * 0x2000, n * 0x2000 + 0x1000));
        let most = MOST as u64;
        assert_eq!(Reporter::default().fresh(many(most).collect()).len(), MOST);
        let told = Reporter::default().fresh(many(most + 9).collect());
        assert_eq!(told.len(), MOST);
        assert_eq!(told[MOST - 2].message, "wrong");
        assert_eq!(told[MOST - 1].message, "wrong; and at 9 places more");
        let other = finding(Rule::SyncMissing, 0x1000, 0x2000);
        assert_eq!(Reporter::default().fresh(many(most + 1).chain([other]).collect()).len(), MOST + 1);
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
