//! The name of a fault as an argument: shells complete it, and a misspelt one is guessed. There are too many for a help
//! text to list them.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};
use parallax_abi::fault::Fault;

use parallax_trace::similar;

/// Parses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultName;

impl TypedValueParser for FaultName {
    type Value = Fault;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Fault, Error> {
        named.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Fault::ALL.iter().map(|fault| PossibleValue::new(fault.name()))))
    }
}

fn named(name: &str) -> Result<Fault, String> {
    Fault::from_name(name).ok_or_else(|| match similar(name, Fault::ALL.iter().map(|fault| fault.name())) {
        Some(meant) => format!("no such fault: did you mean `{meant}`?"),
        None => "no such fault (`parallax faults` lists them)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cmd::Cli;

    #[test]
    fn a_misspelt_fault_is_guessed_and_the_help_does_not_list_them_all() {
        let error = Cli::command().try_get_matches_from(["parallax", "attack", "--fault", "smmu_no_tbli"]);
        let said = error.unwrap_err().to_string();
        assert!(said.contains("'smmu_no_tbli' for '--fault <NAME>'"), "{said}");
        assert!(said.contains("no such fault: did you mean `smmu_no_tlbi`?"), "{said}");
        let error = Cli::command().try_get_matches_from(["parallax", "fuzz", "--fault", "nosuch"]);
        assert!(error.unwrap_err().to_string().contains("no such fault (`parallax faults` lists them)"));
        let help =
            Cli::command().try_get_matches_from(["parallax", "attack", "--help"]).unwrap_err().to_string();
        assert!(!help.contains("smmu_no_tlbi"), "{help}");
    }
}
