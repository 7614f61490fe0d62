//! How fast it is, as ratios within one run.
//!
//! Five questions: how many operations a second with and without looking (and how many when gdb does the looking), what
//! an operation costs in stream mode and whether that depends on how much is mapped, how long one look takes, how
//! many events a second the order of events is judged of, and how many instructions the hypervisor spends on an
//! operation. [`linux`] compares a Linux alone with one under the hypervisor, [`targets`] one hypervisor with another.
#![forbid(unsafe_code)]

mod checker;
mod cpu_time;
pub mod document;
mod dumps;
mod gdb;
pub mod instructions;
pub mod linux;
mod rates;
mod ratio;
mod setup;
pub mod targets;
pub mod volume;

use parallax_engine::status::Failure;

pub use self::setup::Setup;

/// A measurement, which renders what was measured.
pub type Measurement = fn(&Setup) -> Result<String, Failure>;

/// All measurements of the harness and the hypervisor, in the order in which they are told.
pub const MEASUREMENTS: [Measurement; 5] =
    [rates::measure, volume::measure, dumps::measure, checker::measure, instructions::measure];
