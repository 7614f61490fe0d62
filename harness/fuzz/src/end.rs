//! Whose fault it is that a machine came to its end.

use parallax_engine::SessionError;
use parallax_machine::{FailureClass, MachineError};

/// Gives `error` back, which the hypervisor brought about. What it has nothing to do with ends the search: the user cancels, or QEMU
/// was killed.
///
/// # Errors
/// It was not the hypervisor.
pub(crate) fn of_hypervisor(error: SessionError) -> Result<SessionError, MachineError> {
    match error {
        SessionError::Machine(error) => match error.class() {
            FailureClass::Run => Ok(SessionError::Machine(error)),
            FailureClass::Cancelled => Err(MachineError::Cancelled),
            FailureClass::Usage | FailureClass::Setup => Err(error),
        },
        error => Ok(error),
    }
}

/// Who killed QEMU, in a line.
pub(crate) fn killed_by(error: &MachineError) -> String {
    let text = error.to_string();
    text.lines().find(|line| line.contains("killed")).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hypervisor_is_blamed_for_what_it_does_alone() {
        let blamed = |error| of_hypervisor(SessionError::Machine(error)).is_ok();
        let died = || MachineError::QemuDied { status: "signal: 6".to_owned(), report: String::new() };
        assert!(blamed(died()) && blamed(MachineError::SwitchedOff));
        assert!(blamed(MachineError::Boot(Box::new(died()))));
        let killed = || MachineError::QemuKilled { status: "signal: 9".to_owned(), report: String::new() };
        assert!(!blamed(MachineError::Cancelled) && !blamed(killed()));
        let in_boot = MachineError::Boot(Box::new(killed()));
        assert!(killed_by(&in_boot).starts_with("QEMU was killed from outside (signal: 9)"));
        assert!(!blamed(in_boot));
    }
}
