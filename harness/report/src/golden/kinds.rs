//! What kinds of lines differ between two goldens: what a reviewer wants to know before anything else.

use std::collections::BTreeSet;
use std::fmt;

use parallax_model::GoldenLine;

use super::operations::Operations;

/// A kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Operations have other line numbers, and nothing else is another one.
    Moved,
    /// Operations of one side alone.
    Operations,
    /// Results of operations.
    Results,
    /// The host's stage 2: lane `cpu`.
    Cpu,
    /// EL2's stage 1: lane `el2`.
    El2,
    /// Page states: lane `page`.
    Pages,
    /// The SMMU: lanes `smmu`, `ste`, `regs`.
    Smmu,
    /// Findings about the order of events.
    Events,
    /// Any other finding.
    Findings,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Moved => "line numbers",
            Self::Operations => "operations",
            Self::Results => "results",
            Self::Cpu => "CPU",
            Self::El2 => "EL2",
            Self::Pages => "page states",
            Self::Smmu => "SMMU",
            Self::Events => "events",
            Self::Findings => "findings",
        }
    }

    /// The kind of a golden's line.
    pub(super) fn of(line: &str) -> Self {
        match GoldenLine::of(line) {
            GoldenLine::Boot | GoldenLine::Operation(_) => Self::Results,
            GoldenLine::Together(_) => Self::Operations,
            GoldenLine::Finding(finding) if super::compare::is_of_events(finding) => Self::Events,
            GoldenLine::Finding(_) => Self::Findings,
            GoldenLine::Change(change) => match change.split_whitespace().next() {
                Some("smmu" | "ste" | "regs") => Self::Smmu,
                Some("el2") => Self::El2,
                Some("page") => Self::Pages,
                _ => Self::Cpu,
            },
        }
    }
}

/// The kinds that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(BTreeSet<Kind>);

impl Kinds {
    /// Those of the `-` and `+` lines of a unified difference.
    #[must_use]
    pub fn of_diff(diff: &str) -> Self {
        let changed = diff.lines().filter_map(|line| line.strip_prefix(['-', '+']));
        let others = changed.filter(|line| !matches!(GoldenLine::of(line), GoldenLine::Operation(_)));
        let mut kinds: BTreeSet<Kind> = others.filter(|line| !line.is_empty()).map(Kind::of).collect();
        let Operations { moved, results, gone, new } = Operations::of_diff(diff);
        if !results.is_empty() {
            kinds.insert(Kind::Results);
        }
        if !gone.is_empty() || !new.is_empty() {
            kinds.insert(Kind::Operations);
        }
        if kinds.is_empty() && moved {
            kinds.insert(Kind::Moved);
        }
        Self(kinds)
    }

    /// Those of either.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }
}

/// `only SMMU changed`, or `CPU, SMMU changed`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|kind| kind.name()).collect();
        match names.as_slice() {
            [] => f.write_str("nothing changed"),
            [name] => write!(f, "only {name} changed"),
            names => write!(f, "{} changed", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(diff: &str) -> String {
        Kinds::of_diff(diff).to_string()
    }

    #[test]
    fn a_change_of_one_kind_is_said_to_be_only_that() {
        assert_eq!(said(" 2: x\n-3: y -> ok\n+3: y -> EPERM\n"), "only results changed");
        assert_eq!(said("@@ -1 +1 @@\n 2: x\n-   cpu  a\n"), "only CPU changed");
        assert_eq!(said("+   el2  a\n-   el2  b\n"), "only EL2 changed");
        assert_eq!(said("+   page a\n"), "only page states changed");
        assert_eq!(said("+   smmu a\n-   ste  b\n"), "only SMMU changed");
        assert_eq!(said("+   ! protocol/missing_dsb cpu a: …\n"), "only events changed");
        assert_eq!(said("+   ! sync/extra smmu a: …\n"), "only findings changed");
    }

    #[test]
    fn an_operation_that_only_moved_is_no_other_result() {
        assert_eq!(said("-3: y -> ok\n+4: y -> ok\n"), "only line numbers changed");
        let added = "-3: y -> ok\n+3: x -> ok\n+   page a\n+4: y -> ok\n-4: z -> EPERM\n+5: z -> EPERM\n";
        assert_eq!(said(added), "operations, page states changed");
        assert_eq!(said("-3: y -> ok\n+4: y -> EPERM\n"), "only results changed");
    }

    #[test]
    fn several_kinds_are_all_named() {
        assert_eq!(
            said("-   cpu  a\n-   smmu a\n+   page b\n+   el2  c\n"),
            "CPU, EL2, page states, SMMU changed"
        );
        let both = Kinds::of_diff("-   cpu  a\n").and(&Kinds::of_diff("-3: x\n"));
        assert_eq!(both.to_string(), "operations, CPU changed");
        assert_eq!(said(" 2: x\n"), "nothing changed");
    }
}
