//! The name of a fault as an argument: shells complete it, and a misspelt one is guessed. There are too many for a help
//! text to list them.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};
use parallax_abi::fault::Fault;

use parallax_trace::similar;

/// Parses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultName;

impl TypedValueParser for FaultName {
    type Value = Fault;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Fault, Error> {
        let name = value.to_string_lossy();
        Fault::from_name(&name).ok_or_else(|| unknown(command, arg, &name))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Fault::ALL.iter().map(|fault| PossibleValue::new(fault.name()))))
    }
}

fn unknown(command: &Command, arg: Option<&Arg>, name: &str) -> Error {
    let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(command);
    let arg = arg.map_or_else(|| "--fault".to_owned(), ToString::to_string);
    error.insert(ContextKind::InvalidArg, ContextValue::String(arg));
    error.insert(ContextKind::InvalidValue, ContextValue::String(name.to_owned()));
    if let Some(meant) = similar(name, Fault::ALL.iter().map(|fault| fault.name())) {
        error.insert(ContextKind::SuggestedValue, ContextValue::String(meant.to_owned()));
    }
    let listed = "`parallax faults` lists all faults".into();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![listed]));
    error
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
        assert!(said.contains("a similar value exists: 'smmu_no_tlbi'"), "{said}");
        let help =
            Cli::command().try_get_matches_from(["parallax", "attack", "--help"]).unwrap_err().to_string();
        assert!(!help.contains("smmu_no_tlbi"), "{help}");
    }
}
