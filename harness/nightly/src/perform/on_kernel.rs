//! Traces on an unmodified kernel: what is known of it, must be found, and nothing else may be.

use std::path::{Path, PathBuf};

use parallax_report::report::{Entry, FindingForm};

use super::named;
use crate::error::NightError;
use crate::plan::{Kernel, Known};

/// The traces that run on it, by their names in the source tree at `root`.
pub(super) fn traces(root: &Path, kernel: &Kernel) -> Result<Vec<String>, NightError> {
    let folders: Vec<PathBuf> = kernel.traces.iter().map(|folder| root.join(folder)).collect();
    let all = named(root, &folders)?;
    Ok(all.into_iter().filter(|trace| kernel.left_out.iter().all(|(out, _)| out != trace)).collect())
}

/// Whether all that is found in a trace is known.
pub(super) fn in_order(entry: &Entry, kernel: &Kernel) -> bool {
    let is_known = |found: &FindingForm| kernel.known.iter().any(|known| is(known, found));
    entry.verdict == "found" && entry.findings.iter().all(is_known)
}

/// What is known of it and stands in none of `entries`: it is to be taken out of the list, or a judge has gone blind.
pub(super) fn not_found<'k>(entries: &[Entry], kernel: &'k Kernel) -> Vec<&'k Known> {
    let is_found = |known: &&Known| {
        let mut findings = entries.iter().flat_map(|entry| &entry.findings);
        findings.any(|found| is(known, found))
    };
    kernel.known.iter().filter(|known| !is_found(known)).collect()
}

/// Whether `found` is what `known` says.
fn is(known: &Known, found: &FindingForm) -> bool {
    known.rule.split_once('/') == Some((&*found.check, &*found.rule)) && (!known.at_boot || found.line == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Kernel = Kernel {
        series: "1.0",
        traces: &["traces/pkvm"],
        known: &[
            Known { rule: "ownership/el2-mapped", at_boot: true, why: "stacks" },
            Known { rule: "result/expected", at_boot: false, why: "another error" },
        ],
        left_out: &[("traces/pkvm/lpa2.trace", "it does not boot")],
    };

    fn entry(verdict: &str, findings: &[(usize, &str)]) -> Entry {
        let finding = |(line, name): &(usize, &str)| {
            let (check, rule) = name.split_once('/').unwrap();
            serde_json::json!({
                "line": line, "operation": "boot", "text": name, "check": check, "rule": rule, "space": "pa",
                "span": {"from": "0x0", "to": "0x0"}, "subject": "", "page": null, "about": "", "message": "",
                "function": null, "views": [], "detail": [], "reproduce": "parallax run"
            })
        };
        let findings: Vec<_> = findings.iter().map(finding).collect();
        serde_json::from_value(serde_json::json!({
            "trace": "traces/pkvm/share.trace", "bad": false, "verdict": verdict, "operations": 1,
            "reproduce": "parallax run", "findings": findings
        }))
        .unwrap()
    }

    #[test]
    fn what_is_known_is_in_order_where_it_is_known() {
        let boot = (0, "ownership/el2-mapped");
        let error = (4, "result/expected");
        assert!(in_order(&entry("found", &[boot, error]), &KERNEL));
        assert!(!in_order(&entry("found", &[boot, (4, "spec/result")]), &KERNEL));
        assert!(!in_order(&entry("found", &[(4, boot.1)]), &KERNEL), "it is known of the boot alone");
        assert!(!in_order(&entry("found", &[(0, "ownership/el2-mapped-twice")]), &KERNEL));
        assert!(!in_order(&entry("failed", &[boot]), &KERNEL));
    }

    #[test]
    fn what_is_known_and_not_found_is_named() {
        let entries = [entry("found", &[(0, "ownership/el2-mapped")]), entry("same", &[])];
        let gone: Vec<&str> = not_found(&entries, &KERNEL).iter().map(|known| known.rule).collect();
        assert_eq!(gone, ["result/expected"]);
    }

    #[test]
    fn traces_that_are_left_out_do_not_run() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let all = traces(&root, &KERNEL).unwrap();
        assert!(all.len() > 30 && all.contains(&"traces/pkvm/share.trace".to_owned()));
        assert!(!all.contains(&"traces/pkvm/lpa2.trace".to_owned()));
    }
}
