//! What `parallax bench --target` measured, for programs.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the JSON form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 1;

/// What was measured of several hypervisors.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax bench --target TARGETS --format json")]
pub struct Benched {
    /// Which document this is.
    #[schemars(extend("const" = "bench-targets"))]
    pub document: Cow<'static, str>,
    /// Version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Each hypervisor, in the order in which they were named.
    pub targets: Vec<BenchedTarget>,
}

/// What was measured of one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BenchedTarget {
    /// What it is called, as `--target` has it.
    pub target: String,
    /// The operations in their order; the same ones for all.
    pub operations: Vec<BenchedOperation>,
    /// Pages of tables at the end of the boot.
    pub pages_at_boot: BenchedPages,
    /// Pages of tables after the last operation.
    pub pages_at_end: BenchedPages,
    /// Wall time of lending or taking back a page, in nanoseconds, on the machine that measured.
    pub performed_ns: u64,
    /// The same with a look and all judges.
    pub judged_ns: u64,
}

/// An operation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BenchedOperation {
    /// Its text.
    pub operation: String,
    /// How it ended.
    pub result: String,
    /// Instructions at EL2; absent where they could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
}

/// Pages of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BenchedPages {
    /// Of the host's stage 2.
    pub host_stage2: usize,
    /// Of EL2's stage 1.
    pub el2_stage1: usize,
}

impl Benched {
    /// What was measured of `targets`.
    #[must_use]
    pub fn of(targets: Vec<BenchedTarget>) -> Self {
        Self { document: "bench-targets".into(), schema: SCHEMA, targets }
    }
}
