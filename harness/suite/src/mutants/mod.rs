//! Mutants: the hypervisor with one small change each, and whether the traces see it.
//!
//! `cargo mutants` names the changes (an operator becomes another one, a function gives a constant or does nothing, a condition
//! is turned around). Each is made in a copy of the source tree, built, and run under the traces until one is not in order.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`list`] | which mutants there are |
//! | [`tree`] | the copy of the source tree, and a mutant in it |
//! | [`trial`] | one mutant: built, run, and what became of it |
//! | [`allowed`] | the agreed list of those that no trace sees |
//! | [`fate`] | what can become of one, and the ways to tell it |

pub mod allowed;
pub mod fate;
pub mod list;
pub mod tree;
pub mod trial;

pub use self::fate::{Fate, Tried};
pub use self::list::Mutant;
