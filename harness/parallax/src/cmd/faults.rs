//! `parallax faults`: which faults can be switched on, and which trace catches each.
//!
//! ```text
//! smmu_no_tlbi  traces/bad/smmu_no_tlbi.trace  An unmap in the SMMU's table is not followed by any TLBI command.
//! ```

mod score;

use anyhow::Result;
use comfy_table::Table;
use parallax_abi::fault::Fault;
use parallax_engine::status::{Failure, Status};
use parallax_suite::cases::{self, Case, SuiteError};

use super::output::print;
use crate::cli::Faults;

/// Runs it.
pub(super) fn faults(args: &Faults) -> Result<Status> {
    let cases = cases::load(&args.traces).map_err(|error| match &error {
        SuiteError::Missing { path, .. }
            if path.to_str().is_some_and(|name| Fault::from_name(name).is_some()) =>
        {
            let name = path.display();
            Failure::usage(format!("{name} is a fault and no trace: --score --fault {name} tries it alone"))
        }
        _ => error.into(),
    })?;
    if args.score {
        return score::score(args, &cases);
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["fault", "caught by", "what it breaks"]);
    for fault in Fault::ALL {
        let traces = traces_with(&cases, *fault).join("\n");
        let traces = if traces.is_empty() { "nothing".to_owned() } else { traces };
        table.add_row([fault.name().to_owned(), traces, fault.summary().to_owned()]);
    }
    let open = Fault::ALL.iter().filter(|fault| traces_with(&cases, **fault).is_empty()).count();
    print(&format!("{}\n\n{} faults, {open} without a trace\n", table.trim_fmt(), Fault::ALL.len()))?;
    Ok(if open == 0 { Status::Same } else { Status::Diverged })
}

fn traces_with(cases: &[Case], fault: Fault) -> Vec<&str> {
    let with = cases.iter().filter(|case| case.trace.fault == Some(fault));
    with.map(|case| case.place.label.as_str()).collect()
}
