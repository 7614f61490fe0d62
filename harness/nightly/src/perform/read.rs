//! What is taken from the documents that steps print. Their types are those of who prints them.

use parallax_bench::document::Benched;
use parallax_fuzz::document::{Attacked, Explored, Fuzzed};
use parallax_suite::coverage::document::Covered;
use serde::de::DeserializeOwned;

use crate::plan::Reads;

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
            let several = benched.instructions.iter().any(|one| one.target != "hyp");
            let measures = benched.instructions.iter().filter_map(|one| {
                let on = if several { format!(", on {}", one.target) } else { String::new() };
                Some((format!("instructions of {}{on}", one.operation), one.count? as f64))
            });
            Some(Taken { operations: 0, measures: measures.collect() })
        }
    }
}

fn document<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use parallax_bench::document::Instructions;

    use super::*;

    #[test]
    fn instructions_are_called_by_their_target_where_there_are_several() {
        let one = |target: &str, count| Instructions {
            target: target.to_owned(),
            operation: "nop".to_owned(),
            count,
            without_smmu: None,
        };
        let names = |all: Vec<Instructions>| {
            let text = serde_json::to_string(&Benched::new(all)).unwrap();
            let taken = read(&Reads::Bench, &text).unwrap();
            taken.measures.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(vec![one("hyp", Some(3))]), ["instructions of nop"]);
        let both = vec![one("hyp", Some(3)), one("pkvm:7.3", Some(4)), one("pkvm:7.3", None)];
        assert_eq!(names(both), ["instructions of nop, on hyp", "instructions of nop, on pkvm:7.3"]);
    }

    #[test]
    fn what_is_another_document_says_nothing() {
        for reads in [Reads::Attack, Reads::Fuzz, Reads::Explore("x"), Reads::Coverage, Reads::Bench] {
            assert_eq!(read(&reads, "seed 1, 5000 operations"), None);
        }
        assert_eq!(read(&Reads::Nothing, "anything"), Some(Taken::default()));
    }
}
