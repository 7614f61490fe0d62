//! The judges of a session.

mod access;
mod data;
mod evidence;
mod exception;
mod expected;
mod host_tree;
mod image;
mod invariants;
mod protocol;
mod results;
mod sentinel;
mod spec;
mod stay;
mod told;
mod unseen;

use parallax_addr::PhysAddr;
use parallax_machine::Target;
use parallax_machine::symbols::Symbols;
use parallax_model::Span;

pub(crate) use host_tree::Tree;
pub use host_tree::host_tree;
pub use protocol::Protocol;
pub use sentinel::Sentinel;
pub(crate) use spec::Spec;
pub(crate) use unseen::Unseen;

use crate::judge::Judge;

/// Those that need nothing but the machine `target`, in the order in which their findings are reported. `ram` is its
/// memory, `symbols` those of its images.
pub(crate) fn all(ram: Span<PhysAddr>, target: &Target, symbols: Option<&Symbols>) -> Vec<Box<dyn Judge>> {
    vec![
        Box::new(expected::Expected),
        Box::new(access::Access),
        Box::new(exception::Exceptions),
        Box::new(results::Results::new(target)),
        Box::new(data::Data::new(ram)),
        Box::new(evidence::Evidence::new(ram)),
        Box::new(invariants::Invariants::default()),
        Box::new(image::Image::new(target, symbols)),
        Box::new(told::Told::default()),
        Box::new(stay::Stay::default()),
    ]
}
