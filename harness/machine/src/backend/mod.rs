//! What can stand behind a [`Machine`](crate::Machine): our hypervisor with its test host, an unmodified Linux as its
//! host, a recording.

pub mod hyp;
pub mod linux;
mod replay;
