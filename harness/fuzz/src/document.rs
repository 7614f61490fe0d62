//! What came of `attack`, `fuzz` and `explore`, for programs: the same for the same results, so without times.

use std::borrow::Cow;

use parallax_engine::status::Status;
use parallax_engine::{ReportedFinding, Reproducer};
use parallax_model::Finding;
use parallax_report::report::FindingForm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::{Exploration, Found, Performed};
use crate::fuzz;
use crate::plan::{Plan, Report};
use crate::round::Trouble;

/// Version of these forms; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 2;
/// Version of what `parallax fuzz` prints.
pub const FUZZED: u32 = 3;
/// Version of what `parallax explore` prints.
pub const EXPLORED: u32 = 2;

/// What came of `parallax attack`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax attack --format json")]
pub struct Attacked {
    /// Which document this is.
    #[schemars(extend("const" = "attack"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The exit status: 0 nothing was found, 1 something was, 130 interrupted before all was performed.
    #[schemars(extend("enum" = [0, 1, 130]))]
    pub status: u8,
    /// What decided the operations.
    pub seed: u64,
    /// How many operations were performed.
    pub operations: u64,
    /// On how many machines.
    pub machines: u64,
    /// Stands for every operation, result and final state.
    #[schemars(length(min = 1))]
    pub digest: String,
    /// What was found; null where nothing was.
    pub found: Option<Seen>,
}

/// What came of `parallax fuzz`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax fuzz --format json")]
pub struct Fuzzed {
    /// Which document this is.
    #[schemars(extend("const" = "fuzz"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = FUZZED))]
    pub schema: u32,
    /// The exit status: 0 nothing was found, 1 something was, 130 interrupted before all was performed, or before what was found was as short as it gets.
    #[schemars(extend("enum" = [0, 1, 130]))]
    pub status: u8,
    /// What decided the operations.
    pub seed: u64,
    /// How many operations were performed.
    pub operations: u64,
    /// On how many machines.
    pub machines: u64,
    /// Instructions of the hypervisor that ran, each counted once.
    pub instructions: u64,
    /// Branches that it took, each counted once.
    pub branches: u64,
    /// Abstract states that came up.
    pub states: u64,
    /// Machines that were added to the corpus.
    pub kept: u64,
    /// Stands for every operation, result and final state.
    #[schemars(length(min = 1))]
    pub digest: String,
    /// What was found; null where nothing was.
    pub found: Option<Seen>,
}

/// What came of `parallax explore`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax explore --format json")]
pub struct Explored {
    /// Which document this is.
    #[schemars(extend("const" = "explore"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = EXPLORED))]
    pub schema: u32,
    /// The exit status: 0 nothing was found, 1 something was, 130 interrupted before all was performed, or before what was found was as short as it gets.
    #[schemars(extend("enum" = [0, 1, 130]))]
    pub status: u8,
    /// The pages, devices and pins that states are made of.
    #[schemars(length(min = 1))]
    pub scope: String,
    /// How many states there are.
    pub states: usize,
    /// How many transitions.
    pub transitions: usize,
    /// How many of them were performed.
    pub performed: usize,
    /// In how many operations.
    pub operations: u64,
    /// Transitions that were performed once more, on pages that nobody had touched.
    pub untouched: u64,
    /// The transitions that were performed, by operation.
    pub table: Vec<Taken>,
    /// What was found; null where nothing was.
    pub found: Option<Wrong>,
}

/// How many transitions of an operation were performed, by what the pages are that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// The operation.
    #[schemars(length(min = 1))]
    pub operation: String,
    /// The host's own pages.
    pub host: u64,
    /// Pages that the host lends.
    pub lent: u64,
    /// Such pages that are pinned.
    pub pinned: u64,
    /// Pages that the host gave away.
    pub given: u64,
    /// MMIO, or no page.
    pub mmio: u64,
    /// Pages of several kinds.
    pub several: u64,
}

/// What was found in a state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Wrong {
    /// The state.
    #[schemars(length(min = 1))]
    pub state: String,
    /// The findings, in a line each; none where the machine came to its end.
    pub findings: Vec<String>,
    /// How the machine came to its end; null where it did not.
    pub end: Option<String>,
    /// The shortest way to it, as a trace.
    #[schemars(length(min = 1))]
    pub trace: String,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// After how many operations.
    pub after: u64,
    /// It in one line.
    #[schemars(length(min = 1))]
    pub what: String,
    /// The findings; none where the machine came to its end.
    pub findings: Vec<FindingForm>,
    /// How the machine came to its end; null where it did not.
    pub end: Option<String>,
    /// The command that shows it again, for a shell.
    #[schemars(length(min = 1))]
    pub reproduce: String,
}

impl Seen {
    /// `trouble`, which `reproducer` shows again.
    fn trouble(trouble: &Trouble, reproducer: &Reproducer) -> Self {
        let line = usize::try_from(trouble.at).unwrap_or(usize::MAX);
        let form = |finding: &Finding| {
            FindingForm::from(&ReportedFinding::new(line, &trouble.op, finding.clone(), reproducer))
        };
        Self {
            after: trouble.at,
            what: trouble.key.clone(),
            findings: trouble.findings.iter().map(form).collect(),
            end: trouble.end.clone(),
            reproduce: reproducer.to_string(),
        }
    }
}

const fn status<T>(found: Option<&T>, interrupted: bool) -> u8 {
    let status = match (found, interrupted) {
        (_, true) => Status::Interrupted,
        (Some(_), false) => Status::Diverged,
        (None, false) => Status::Same,
    };
    status.code()
}

impl Attacked {
    /// What came of `plan`.
    #[must_use]
    pub fn new(plan: &Plan, report: &Report) -> Self {
        Self {
            document: "attack".into(),
            schema: SCHEMA,
            status: status(report.trouble.as_ref(), report.interrupted),
            seed: plan.seed,
            operations: report.counts.ops(),
            machines: report.machines as u64,
            digest: report.digest.clone(),
            found: report
                .trouble
                .as_ref()
                .map(|trouble| Seen::trouble(trouble, &plan.reproducer(trouble.at))),
        }
    }
}

impl Fuzzed {
    /// What came of `plan`.
    #[must_use]
    pub fn new(plan: &fuzz::Plan, report: &fuzz::Report) -> Self {
        Self {
            document: "fuzz".into(),
            schema: FUZZED,
            status: status(report.trouble.as_ref(), report.interrupted),
            seed: plan.seed,
            operations: report.counts.ops(),
            machines: report.machines,
            instructions: report.instructions,
            branches: report.branches,
            states: report.states,
            kept: report.kept,
            digest: report.digest.clone(),
            found: report
                .trouble
                .as_ref()
                .map(|trouble| Seen::trouble(trouble, &plan.reproducer(trouble.at))),
        }
    }
}

impl Explored {
    /// What was `performed` of `exploration`, and what was found there, with the trace that shows it.
    #[must_use]
    pub fn new(exploration: &Exploration, performed: &Performed, found: Option<(&Found, String)>) -> Self {
        let graph = &exploration.graph;
        Self {
            document: "explore".into(),
            schema: EXPLORED,
            status: status(found.as_ref(), performed.interrupted),
            scope: exploration.scope(),
            states: graph.states.len(),
            transitions: graph.transitions(),
            performed: performed.transitions(),
            operations: performed.operations,
            untouched: performed.untouched,
            table: performed.counts(exploration).into_iter().map(Taken::of).collect(),
            found: found.map(|(found, trace)| Wrong {
                state: exploration.label(found.state).to_owned(),
                findings: found.findings.iter().map(ToString::to_string).collect(),
                end: found.end.as_ref().map(|end| end.text.clone()),
                trace,
            }),
        }
    }
}

impl Taken {
    fn of((operation, [host, lent, pinned, given, mmio, several]): (&str, [u64; 6])) -> Self {
        Self { operation: operation.to_owned(), host, lent, pinned, given, mmio, several }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{PAGES, Shard, summary};

    #[test]
    fn an_interruption_hides_what_was_found_as_everywhere() {
        assert_eq!((status(Some(&()), true), status::<()>(None, true)), (130, 130));
        assert_eq!((status(Some(&()), false), status::<()>(None, false)), (1, 0));
    }

    #[test]
    fn a_program_reads_the_table_that_a_person_does() {
        let exploration = Exploration::new(&PAGES, 2, None).unwrap();
        let mut performed = Performed::of(&exploration);
        let done = performed.done();
        performed.count_before(&exploration, Shard { index: 1, count: 3 }, done);
        let explored = Explored::new(&exploration, &performed, None);
        let sum = |row: &Taken| row.host + row.lent + row.pinned + row.given + row.mmio + row.several;
        assert_eq!(explored.table.iter().map(sum).sum::<u64>(), explored.performed as u64);
        let text = summary(&exploration, &performed);
        for row in &explored.table {
            let numbers = [row.host, row.lent, row.pinned, row.given, row.mmio, row.several];
            let words = numbers.iter().fold(row.operation.clone(), |line, number| format!("{line} {number}"));
            let same = |line: &str| line.split_whitespace().eq(words.split_whitespace());
            assert!(text.lines().any(same), "{words}: {text}");
        }
        assert!(explored.table.len() > 8);
    }
}
