//! The lines of a golden, for those who read one: the only place that knows how each begins.

use crate::check::Check;
use crate::rule::Rule;

/// What stands before what belongs to an operation.
pub(crate) const INDENT: &str = "   ";
/// What stands before a finding.
pub(crate) const FINDING: &str = "   ! ";
/// The line of the state after boot.
pub(crate) const BOOT: &str = "boot";

/// What the line before operations that were performed at once begins with.
pub(crate) const TOGETHER: &str = "together";

/// A line of a golden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoldenLine<'a> {
    /// The state after boot: what it has found follows.
    Boot,
    /// The operations that follow were performed at once; their schedule, which may be empty.
    Together(&'a str),
    /// An operation and its result; what it changed and what was found after it follow.
    Operation(&'a str),
    /// Something that changed (or is so, after `snapshot`). It begins with its lane.
    Change(&'a str),
    /// A finding.
    Finding(FindingLine<'a>),
}

/// A finding as a golden shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingLine<'a>(&'a str);

impl<'a> GoldenLine<'a> {
    /// What `line` is.
    #[must_use]
    pub fn of(line: &'a str) -> Self {
        if let Some(finding) = line.strip_prefix(FINDING) {
            Self::Finding(FindingLine(finding))
        } else if let Some(change) = line.strip_prefix(INDENT) {
            Self::Change(change)
        } else if line == BOOT {
            Self::Boot
        } else if let Some(schedule) = line.strip_prefix(TOGETHER) {
            Self::Together(schedule.trim_start())
        } else {
            Self::Operation(line)
        }
    }

    /// What of `line` is compared with another one: of a finding its [identity](FindingLine::identity), else all of it.
    #[must_use]
    pub fn compared(line: &'a str) -> &'a str {
        match Self::of(line) {
            Self::Finding(finding) => &line[..FINDING.len() + finding.identity().len()],
            _ => line,
        }
    }

    /// The findings of a golden's text.
    pub fn findings(text: &'a str) -> impl Iterator<Item = FindingLine<'a>> {
        text.lines().filter_map(|line| match Self::of(line) {
            Self::Finding(finding) => Some(finding),
            _ => None,
        })
    }
}

impl<'a> FindingLine<'a> {
    /// The finding that reads `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Its rule as it stands there, `check/rule`.
    #[must_use]
    pub fn rule_text(self) -> &'a str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// Its check; none if this version has no such check.
    #[must_use]
    pub fn check(self) -> Option<Check> {
        let (name, _) = self.0.split_once('/')?;
        Check::ALL.iter().find(|check| check.name() == name).copied()
    }

    /// Its rule; none if this version has no such rule.
    #[must_use]
    pub fn rule(self) -> Option<Rule> {
        Rule::from_text(self.rule_text())
    }

    /// The finding without what each side says at its place: the same after the same operation is the same finding.
    #[must_use]
    pub fn identity(self) -> &'a str {
        self.0.rsplit_once(" [").map_or(self.0, |(identity, _)| identity)
    }

    /// The whole finding.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_known_by_how_it_begins() {
        let finding = "sync/extra smmu ram+0x0..+0x1000: wrong [cpu: a; smmu: b]";
        let line = format!("   ! {finding}");
        assert_eq!(GoldenLine::of("boot"), GoldenLine::Boot);
        assert_eq!(GoldenLine::of("together"), GoldenLine::Together(""));
        assert_eq!(GoldenLine::of("together 0011"), GoldenLine::Together("0011"));
        assert_eq!(GoldenLine::of("4: nop -> ok"), GoldenLine::Operation("4: nop -> ok"));
        assert_eq!(GoldenLine::of("   cpu  ram - x"), GoldenLine::Change("cpu  ram - x"));
        let GoldenLine::Finding(found) = GoldenLine::of(&line) else { panic!("a finding") };
        assert_eq!((found.rule(), found.text()), (Some(Rule::SyncExtra), finding));
        assert_eq!(found.identity(), "sync/extra smmu ram+0x0..+0x1000: wrong");
        assert_eq!(GoldenLine::compared(&line), "   ! sync/extra smmu ram+0x0..+0x1000: wrong");
        assert_eq!(GoldenLine::compared("   cpu  ram [x"), "   cpu  ram [x");
        let text = format!("boot\n{line}\n4: nop -> ok\n   ! protocol/rule x\n   ! other/rule x\n");
        let rules: Vec<_> = GoldenLine::findings(&text).map(|line| (line.check(), line.rule())).collect();
        assert_eq!(
            rules,
            [(Some(Check::Sync), Some(Rule::SyncExtra)), (Some(Check::Protocol), None), (None, None)]
        );
    }
}
