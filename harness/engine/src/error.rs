//! Why a trace could not be taken to its end.

use parallax_addr::UnknownPlace;
use parallax_machine::MachineError;
use parallax_vmsa::MemError;

use crate::status::{Failure, Status};

/// A trace could not be taken to its end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The trace names a place that this machine does not have.
    #[error(transparent)]
    Place(#[from] UnknownPlace),
    /// A request without a response.
    #[error("the machine gave no response")]
    NoResponse,
    /// A batch before [`Session::stream`].
    #[error("operations can only be streamed with the plugin")]
    NoStream,
    /// Operations at once, of a machine that is not ours to stop.
    #[error("this machine cannot perform operations at once")]
    NotAtOnce,
    /// Something happened that is not in the plugin's journal.
    #[error("the plugin's journal is not all that happened: {0}")]
    Unseen(String),
}

impl From<MemError> for SessionError {
    fn from(error: MemError) -> Self {
        Self::Machine(error.into())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Machine(error) => error.into(),
            SessionError::Place(_) | SessionError::NotAtOnce => Self::usage(error),
            SessionError::NoResponse | SessionError::NoStream | SessionError::Unseen(_) => {
                Self { status: Status::Diverged, message: error.to_string() }
            }
        }
    }
}
