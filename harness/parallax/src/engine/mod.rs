//! Performs traces and judges what comes of them.
//!
//! A [`Session`] takes a machine from operation to operation: perform, snapshot, difference, checks. [`run_trace`]
//! does so for a whole trace and gives its golden text and findings. [`crate::jobs`] runs many side by side.

mod access;
mod burst;
mod data;
mod expected;
#[cfg(test)]
pub(crate) mod fake;
mod observer;
mod run;
mod session;
mod stream;

pub use burst::Burst;
pub use observer::Observer;
pub use run::{Keep, TraceRun, run_trace};
pub use session::{Begun, Session, SessionError, Step};
pub use stream::{batches, touches_data};
