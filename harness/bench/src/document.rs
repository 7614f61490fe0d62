//! What `bench` measured, for programs: instructions, which are the same each time; and, where they are asked for, rates.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 2;

/// Instructions of operations at EL2, and rates.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax bench --format json")]
pub struct Benched {
    /// Which document this is.
    #[schemars(extend("const" = "bench"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The operations on each target, in the order in which they were performed.
    pub instructions: Vec<Instructions>,
    /// How many operations a second there are; empty without `--rates`, as no two runs measure the same.
    pub rates: Vec<Rate>,
}

/// How often an operation and its reverse are performed, in turn and without a stop for a batch of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The operation.
    #[schemars(length(min = 1))]
    pub operation: String,
    /// Who looks.
    #[schemars(length(min = 1))]
    pub how: String,
    /// Operations a second, the median of some rounds.
    #[schemars(range(min = 0.0))]
    pub per_second: f64,
    /// The same as a part of what the bare machine does in the same run.
    #[schemars(range(min = 0.0))]
    pub of_bare: f64,
}

/// An operation, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instructions {
    /// The hypervisor: `hyp`, or `pkvm:KERNEL`.
    #[schemars(length(min = 1))]
    pub target: String,
    /// The operation.
    #[schemars(length(min = 1))]
    pub operation: String,
    /// Instructions at EL2; null where they cannot be counted.
    pub count: Option<u64>,
    /// The same on a machine whose SMMU the hypervisor leaves alone; null where that was not measured.
    pub without_smmu: Option<u64>,
}

impl Benched {
    /// These.
    #[must_use]
    pub fn new(instructions: Vec<Instructions>, rates: Vec<Rate>) -> Self {
        Self { document: "bench".into(), schema: SCHEMA, instructions, rates }
    }
}
