//! A night, as the history and its JSON Lines have it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 2;

/// A night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a line of parallax nightly history --format json")]
pub struct Night {
    /// Which document this is.
    #[schemars(extend("const" = "night"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Its number in the history.
    pub night: i64,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// The source tree's revision, as git describes it.
    pub revision: String,
    /// How much of everything there was: `full` or `short`.
    #[schemars(extend("enum" = ["full", "short"]))]
    pub form: String,
    /// Which part of it, such as `2/4`; `1/1` is a whole night, and one of parts that were put together.
    #[schemars(length(min = 3))]
    pub part: String,
    /// The parts that it was put together of.
    pub parts: Vec<Part>,
    /// How long it took, of parts the longest; null where it did not get to its end.
    pub seconds: Option<f64>,
    /// 0 in order, 1 not; null where it did not get to its end.
    #[schemars(extend("enum" = [0, 1, null]))]
    pub status: Option<u8>,
    /// The QEMUs that it found.
    pub qemus: Vec<Qemu>,
    /// What it ran.
    pub cells: Vec<Cell>,
    /// What was not in order.
    pub problems: Vec<Problem>,
    /// The faults that it switched on.
    pub faults: Vec<Fault>,
    /// What it measured.
    pub measures: Vec<Measure>,
}

/// A part that was put together with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which, such as `2/4`.
    pub part: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
}

/// A QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// Its version.
    pub version: String,
    /// Where it was found.
    pub program: String,
}

/// Something that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What.
    pub name: String,
    /// How many traces.
    pub traces: i64,
    /// How many operations.
    pub operations: i64,
    /// How long it took.
    pub seconds: f64,
    /// The exit status.
    pub status: i64,
}

/// Something that was not in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// In what was run.
    pub cell: String,
    /// The trace, or the command.
    pub trace: String,
    /// What happened.
    pub text: String,
    /// It came out in order when it was run again.
    pub flaky: bool,
    /// What changed, without addresses: the same of traces in which the same changed.
    pub change: String,
    /// The arguments of `parallax bisect`, beside the two revisions, that finds the commit that did it; empty where none can.
    #[serde(default)]
    pub bisect: String,
}

/// A fault that was switched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// All runs of its trace found it.
    pub caught: bool,
}

/// A number that is followed from night to night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
}

impl Night {
    /// A night that begins, without anything in it.
    #[must_use]
    pub fn begun(started: i64, revision: &str, form: &str, part: &str) -> Self {
        Self {
            document: "night".into(),
            schema: SCHEMA,
            night: 0,
            started,
            revision: revision.to_owned(),
            form: form.to_owned(),
            part: part.to_owned(),
            parts: Vec::new(),
            seconds: None,
            status: None,
            qemus: Vec::new(),
            cells: Vec::new(),
            problems: Vec::new(),
            faults: Vec::new(),
            measures: Vec::new(),
        }
    }

    /// The measure of this name.
    #[must_use]
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.measures.iter().find(|measure| measure.name == name).map(|measure| measure.value)
    }

    /// The problem of `trace` in what is called `cell`.
    #[must_use]
    pub fn problem(&self, cell: &str, trace: &str) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.cell == cell && problem.trace == trace)
    }

    /// Measures that are sums over the night.
    #[must_use]
    pub fn totals(&self) -> Vec<Measure> {
        let of_traces = self.cells.iter().filter(|cell| cell.traces > 0 && cell.operations > 0);
        let (operations, seconds) = of_traces.fold((0, 0.0), |(operations, seconds), cell| {
            (cell.operations.saturating_add(operations), seconds + cell.seconds)
        });
        let caught = self.faults.iter().filter(|fault| fault.caught).count();
        let tried = self.faults.len();
        let sums = [
            ("operations a second", (operations > 0 && seconds > 0.0).then(|| operations as f64 / seconds)),
            ("faults caught", (tried > 0).then_some(caught as f64)),
            ("faults tried", (tried > 0).then_some(tried as f64)),
        ];
        let sums = sums.into_iter().filter_map(|(name, value)| Some((name, value?)));
        sums.map(|(name, value)| Measure { name: name.to_owned(), value }).collect()
    }
}
