//! How a search ends that found nothing: with a fault switched on, that is an error of the search.

use anyhow::Result;
use parallax_abi::fault::Fault;
use parallax_engine::status::Status;

use super::output::print;

/// What is said where nothing was found though there was a fault, as `run` says it of a trace.
const THOUGH: &str = "nothing was found, though a fault is switched on";

/// Says that nothing was found on a hypervisor with `fault`; where the user `interrupted` the search, until then, and how it goes on.
pub(super) fn tell(fault: Option<Fault>, interrupted: Option<&str>) -> Result<Status> {
    let status = status(fault, interrupted);
    let text = told(status, interrupted);
    print(&format!("{text}\n"))?;
    Ok(status)
}

/// The same where a program reads the output.
pub(super) fn beside_a_document(fault: Option<Fault>, interrupted: Option<&str>) -> Status {
    let status = status(fault, interrupted);
    if status != Status::Same {
        parallax_engine::note!("{}", told(status, interrupted));
    }
    status
}

const fn status(fault: Option<Fault>, interrupted: Option<&str>) -> Status {
    match (fault, interrupted) {
        (_, Some(_)) => Status::Interrupted,
        (Some(_), None) => Status::Diverged,
        (None, None) => Status::Same,
    }
}

fn told(status: Status, interrupted: Option<&str>) -> String {
    match interrupted {
        Some(on) => format!("interrupted: nothing found until then; {on}"),
        None if status == Status::Same => "nothing found".to_owned(),
        None => THOUGH.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_nothing_shows_is_not_in_order() {
        assert_eq!(tell(None, None).unwrap(), Status::Same);
        assert_eq!(tell(Some(Fault::SmmuNoTlbi), None).unwrap(), Status::Diverged);
        assert_eq!(tell(Some(Fault::SmmuNoTlbi), Some("again")).unwrap(), Status::Interrupted);
        assert_eq!(beside_a_document(None, None), Status::Same);
        assert_eq!(beside_a_document(Some(Fault::SmmuNoTlbi), None), Status::Diverged);
    }
}
