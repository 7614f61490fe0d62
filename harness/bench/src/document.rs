//! What `bench` measured that is the same each time, for programs: instructions. Times are for people.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 1;

/// Instructions of operations at EL2.
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
    pub fn new(instructions: Vec<Instructions>) -> Self {
        Self { document: "bench".into(), schema: SCHEMA, instructions }
    }
}
