//! Performs traces and judges what comes of them.
//!
//! A [`Session`] takes a machine from operation to operation: perform, snapshot, difference, checks. [`run_trace`]
//! does so for a whole trace and gives its golden text and findings. Nothing here knows a golden, a report or a command
//! line.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`live`] | building what the machines of traces boot |
//! | [`judge`], `judges` | what judges see; the judges |
//! | [`order`], [`event_text`] | the order of events: judged, and as text |
//! | [`recorded`] | what a recording says of its operations |
//! | [`status`] | how it ends, and what the exit status says of it |
//! | [`visible`] | texts that may come from anywhere, as they are shown |
//! | [`note`] | notes beside the output |
//! | [`project`] | the source tree that is worked in |
#![forbid(unsafe_code)]

mod at_once;
mod catching_up;
mod error;
pub mod event_text;
pub mod fake;
mod finding;
pub mod judge;
mod judges;
pub mod live;
mod mode;
pub mod note;
mod observer;
pub mod order;
pub mod project;
pub mod recorded;
mod run;
mod scheduler;
mod session;
pub mod side;
pub mod status;
mod stream;
mod streaming;
pub mod visible;

pub use error::SessionError;
pub use finding::{ReportedFinding, Reproducer};
pub use judge::{Judge, Moment, Performed, StepView};
pub use judges::{Protocol, Sentinel, host_tree};
pub use mode::Mode;
pub use observer::Observer;
pub use run::{RunOptions, TraceRun, run_trace};
pub use scheduler::scheduler;
pub use session::{Beginning, Begun, Session, Step, Together};
pub use stream::{batches, touches_data};
