//! What a machine is like before the hypervisor runs, and what becomes of its hardware afterwards: none of it is the
//! hypervisor's doing.

use serde::{Deserialize, Serialize};

use crate::tree::{Tree, TreeError};

/// What whoever ran before the hypervisor leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// Memory that is zero where nothing was loaded, and an SMMU as after reset.
    #[default]
    Clean,
    /// Memory full of garbage, an SMMU that is on: its streams bypass, and its MSIs go to the hypervisor's memory; and a GIC whose
    /// LPIs and ITS are on.
    Dirty,
}

impl Firmware {
    /// Every value, with its name in traces.
    pub(super) const NAMES: &[(Self, &'static str)] = &[(Self::Clean, "clean"), (Self::Dirty, "dirty")];
}

/// What the SMMU does with commands once the hypervisor has booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmmuFails {
    /// It performs them.
    #[default]
    Never,
    /// It refuses the first one as illegal: CERROR_ILL, and the queue stops.
    Refuses,
    /// It consumes none.
    Silent,
}

impl SmmuFails {
    /// Every value, with its name in traces.
    pub(super) const NAMES: &[(Self, &'static str)] =
        &[(Self::Never, "never"), (Self::Refuses, "refuses"), (Self::Silent, "silent")];
}

/// A device tree in a file beside a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeFile {
    /// The file, from the trace's folder on.
    pub name: String,
    /// Its text; empty until somebody has read it.
    pub source: String,
}

impl TreeFile {
    /// The tree.
    ///
    /// # Errors
    /// The source is malformed, or was not read.
    pub fn tree(&self) -> Result<Tree, TreeError> {
        Tree::parse(&self.source)
    }
}
