//! `--require`: what is asked for beyond the architecture.

use clap::ValueEnum;
use parallax_protocol::Requirements;

/// Something that some CPUs need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Require {
    /// TLBI and DSB twice (Cortex-A76 erratum 1286807 and others; Linux' ARM64_WORKAROUND_REPEAT_TLBI)
    RepeatTlbi,
}

/// All that is asked for.
pub(crate) fn requirements(all: &[Require]) -> Requirements {
    Requirements { repeat_tlbi: all.contains(&Require::RepeatTlbi) }
}
