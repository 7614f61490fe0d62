//! How a search ends that found nothing: with a fault switched on, that is an error of the search.

use anyhow::Result;
use parallax_abi::fault::Fault;
use parallax_engine::status::Status;

use super::output::print;

/// What is said where nothing was found though there was a fault, as `run` says it of a trace.
const THOUGH: &str = "nothing was found, though a fault is switched on";

/// Says that nothing was found on a hypervisor with `fault`.
pub(super) fn tell(fault: Option<Fault>) -> Result<Status> {
    print(&format!("{}\n", if fault.is_some() { THOUGH } else { "nothing found" }))?;
    Ok(status(fault))
}

/// The same where a program reads the output.
pub(super) fn beside_a_document(fault: Option<Fault>) -> Status {
    if fault.is_some() {
        parallax_engine::note!("{THOUGH}");
    }
    status(fault)
}

const fn status(fault: Option<Fault>) -> Status {
    if fault.is_some() { Status::Diverged } else { Status::Same }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_nothing_shows_is_not_in_order() {
        assert_eq!(tell(None).unwrap(), Status::Same);
        assert_eq!(tell(Some(Fault::SmmuNoTlbi)).unwrap(), Status::Diverged);
        assert_eq!(beside_a_document(None), Status::Same);
        assert_eq!(beside_a_document(Some(Fault::SmmuNoTlbi)), Status::Diverged);
    }
}
