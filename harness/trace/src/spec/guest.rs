//! A virtual machine of the host's own.

use serde::{Deserialize, Serialize};

/// What virtual machine the host has when the first operation is performed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guest {
    /// None.
    #[default]
    None,
    /// One that is not protected from the host, which has run and used a few pages.
    Ordinary,
}

impl Guest {
    /// Every value, with its name in traces.
    pub(super) const NAMES: &[(Self, &'static str)] = &[(Self::None, "none"), (Self::Ordinary, "ordinary")];
}
