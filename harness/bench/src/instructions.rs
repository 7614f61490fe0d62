//! Instructions at EL2 for each operation, by single steps, with the SMMU and without it.

use std::fmt::Write;

use parallax_abi::hypercall::{
    HOST_DONATE_HYP, HOST_SHARE_HYP, HOST_UNSHARE_HYP, HYP_DONATE_HOST, HYP_PIN_SHARED_MEM,
    HYP_UNPIN_SHARED_MEM,
};
use parallax_abi::mailbox::Request;
use parallax_engine::status::Failure;
use parallax_machine::step;
use parallax_trace::spec::{MachineSpec, SmmuMode};

use crate::document::Instructions;
use crate::setup::{PFN, Setup, hypercall, table};

/// Counts them.
///
/// # Errors
/// A machine does not boot or perform them.
pub fn of_operations(setup: &Setup) -> Result<Vec<Instructions>, Failure> {
    let operations: [(&str, Request); 8] = [
        ("host_share_hyp", hypercall(HOST_SHARE_HYP, &[PFN])),
        ("host_unshare_hyp", hypercall(HOST_UNSHARE_HYP, &[PFN])),
        ("host_donate_hyp, 1 page", hypercall(HOST_DONATE_HYP, &[PFN, 1])),
        ("hyp_donate_host, 1 page", hypercall(HYP_DONATE_HOST, &[PFN, 1])),
        ("host_share_hyp, again", hypercall(HOST_SHARE_HYP, &[PFN])),
        ("hyp_pin_shared_mem, 1 page", hypercall(HYP_PIN_SHARED_MEM, &[PFN, 1])),
        ("hyp_unpin_shared_mem, 1 page", hypercall(HYP_UNPIN_SHARED_MEM, &[PFN, 1])),
        ("an unknown hypercall", hypercall(0, &[])),
    ];
    let shadow = counts(setup, SmmuMode::Shadow, &operations)?;
    let off = counts(setup, SmmuMode::Off, &operations)?;
    let all = operations.iter().zip(shadow.iter().zip(&off));
    let counted = all.map(|((name, _), (with, without))| Instructions {
        target: "hyp".to_owned(),
        operation: (*name).to_owned(),
        count: Some(*with as u64),
        without_smmu: Some(*without as u64),
    });
    Ok(counted.collect())
}

/// Counts, and renders what was counted.
pub(crate) fn measure(setup: &Setup) -> Result<String, Failure> {
    let rows: Vec<[String; 4]> = of_operations(setup)?
        .into_iter()
        .map(|one| {
            let [with, without] = [one.count, one.without_smmu].map(Option::unwrap_or_default);
            let share = with.saturating_sub(without);
            [one.operation, with.to_string(), without.to_string(), share.to_string()]
        })
        .collect();
    let header = ["instructions at EL2", "smmu=shadow", "smmu=off", "for the SMMU"];
    let mut text = String::new();
    let _ = writeln!(text, "from the hvc (not counted) to the instruction after it, tables already split");
    let _ = writeln!(text, "{}", table(header, &rows));
    Ok(text)
}

fn counts(setup: &Setup, mode: SmmuMode, operations: &[(&str, Request)]) -> Result<Vec<usize>, Failure> {
    let mut config = MachineSpec::default();
    config.hyp.smmu = mode;
    let mut live = setup.boot(&config)?;
    // The neighbour goes and returns, so that the tables of this block exist in every mode.
    let next = [PFN + 1, 1];
    live.perform_requests(&[hypercall(HOST_DONATE_HYP, &next), hypercall(HYP_DONATE_HOST, &next)])?;
    let mut counts = Vec::new();
    for (_, request) in operations {
        counts.push(step::count(&mut live, *request)?.pcs.len());
    }
    Ok(counts)
}
