//! What is taken from the documents that steps print. Their types are those of who prints them.

use std::collections::BTreeSet;

use parallax_bench::document::Benched;
use parallax_fuzz::document::{Attacked, Explored, Fuzzed};
use parallax_report::bench_targets::Benched as BenchedTargets;
use parallax_suite::coverage::document::Covered;
use serde::de::DeserializeOwned;

use crate::plan::Reads;

/// Who looks at a machine that the others are compared with.
const BARE: &str = "bare";

/// What came of a step, beside its exit status.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    /// Operations that were performed.
    pub operations: u64,
    /// Measures, by name.
    pub measures: Vec<(String, f64)>,
}

/// What `text` says; nothing if it is not that document.
pub(super) fn read(reads: &Reads, text: &str) -> Option<Taken> {
    let operations = |operations| Taken { operations, measures: Vec::new() };
    match reads {
        Reads::Nothing => Some(Taken::default()),
        Reads::Attack => document::<Attacked>(text).map(|attacked| operations(attacked.operations)),
        Reads::Fuzz => {
            let fuzzed: Fuzzed = document(text)?;
            let states = ("fuzz: abstract states".to_owned(), fuzzed.states as f64);
            Some(Taken { operations: fuzzed.operations, measures: vec![states] })
        }
        Reads::Explore(what) => {
            let explored: Explored = document(text)?;
            let measures = vec![
                (format!("explored states, {what}"), explored.states as f64),
                (format!("explored transitions, {what}"), explored.performed as f64),
            ];
            Some(Taken { operations: explored.operations, measures })
        }
        Reads::Coverage => {
            let covered: Covered = document(text)?;
            let percent = 100.0 * covered.reached as f64 / covered.lines.max(1) as f64;
            let measures = vec![
                ("lines of the hypervisor".to_owned(), covered.lines as f64),
                ("lines reached, percent".to_owned(), percent),
            ];
            Some(Taken { operations: 0, measures })
        }
        Reads::Bench => {
            let benched: Benched = document(text)?;
            let measures = benched
                .instructions
                .iter()
                .filter_map(|one| Some((format!("instructions of {}", one.operation), one.count? as f64)));
            // The bare machine is 1 of itself.
            let rates = benched.rates.iter().filter(|rate| rate.how != BARE);
            let of_bare = rates.map(|rate| {
                (format!("operations a second, of bare: {}, {}", rate.operation, rate.how), rate.of_bare)
            });
            Some(Taken { operations: 0, measures: measures.chain(of_bare).collect() })
        }
        Reads::BenchTargets => {
            let (benched, mut names): (BenchedTargets, _) = (document(text)?, BTreeSet::new());
            let mut measures = Vec::new();
            for target in &benched.targets {
                for one in &target.operations {
                    let Some(count) = one.instructions else { continue };
                    let name = |again: &str| {
                        format!(
                            "instructions of {} => {}{again}, on {}",
                            one.operation, one.result, target.target
                        )
                    };
                    // The same operation may end in the same way a second time, and cost something else.
                    let name = if names.contains(&name("")) { name(", again") } else { name("") };
                    names.insert(name.clone());
                    measures.push((name, count as f64));
                }
            }
            Some(Taken { operations: 0, measures })
        }
    }
}

fn document<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use parallax_report::bench_targets::{BenchedOperation, BenchedPages, BenchedTarget};

    use super::*;

    #[test]
    fn instructions_are_called_by_their_target_and_each_has_a_name() {
        let operation = |instructions| BenchedOperation {
            operation: "nop".to_owned(),
            result: "ok".to_owned(),
            instructions,
        };
        let target = |name: &str, operations| BenchedTarget {
            target: name.to_owned(),
            operations,
            pages_at_boot: BenchedPages::default(),
            pages_at_end: BenchedPages::default(),
            performed_ns: 1,
            judged_ns: 2,
        };
        let two = vec![operation(Some(3)), operation(Some(0)), operation(None)];
        let benched =
            BenchedTargets::of(vec![target("hyp", two), target("pkvm:7.3", vec![operation(Some(4))])]);
        let taken = read(&Reads::BenchTargets, &serde_json::to_string(&benched).unwrap()).unwrap();
        let names: Vec<&str> = taken.measures.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "instructions of nop => ok, on hyp",
            "instructions of nop => ok, again, on hyp",
            "instructions of nop => ok, on pkvm:7.3",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_another_document_says_nothing() {
        for reads in [
            Reads::Attack,
            Reads::Fuzz,
            Reads::Explore("x"),
            Reads::Coverage,
            Reads::Bench,
            Reads::BenchTargets,
        ] {
            assert_eq!(read(&reads, "seed 1, 5000 operations"), None);
        }
        assert_eq!(read(&Reads::Nothing, "anything"), Some(Taken::default()));
    }
}
