//! The judges of a session.

mod access;
mod data;
mod evidence;
mod exception;
mod expected;
mod invariants;
mod protocol;
mod sentinel;
mod unseen;

use parallax_addr::PhysAddr;
use parallax_model::Span;

pub use protocol::Protocol;
pub use sentinel::Sentinel;
pub(crate) use unseen::Unseen;

use crate::judge::Judge;

/// Those that need nothing but the machine, in the order in which their findings are reported. `ram` is its memory.
pub(crate) fn all(ram: Span<PhysAddr>) -> Vec<Box<dyn Judge>> {
    vec![
        Box::new(expected::Expected),
        Box::new(access::Access),
        Box::new(exception::Exceptions),
        Box::new(data::Data::new(ram)),
        Box::new(evidence::Evidence::new(ram)),
        Box::new(invariants::Invariants),
    ]
}
