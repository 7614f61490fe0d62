//! How a machine is driven.

/// How to drive the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Stop after every operation.
    #[default]
    Step,
    /// Stop after many operations; what each did is read from the plugin's journal.
    Stream,
}
