//! A part of all small changes of the hypervisor, another one each night, where `cargo mutants` is installed. One that no trace sees
//! is no error of the night: it is in the file.

use std::fs;
use std::path::Path;

use parallax_suite::mutants::fate::{Fate, Line};

use super::{AtWork, tail};
use crate::error::NightError;
use crate::history::Problem;
use crate::plan::MUTANTS;
use crate::plan::known::MUTANT_PARTS;

/// What became of each, below the source tree.
const FILE: &str = "target/nightly-mutants.jsonl";

impl AtWork<'_> {
    pub(super) fn mutants(&mut self) -> Result<(), NightError> {
        let version = ["mutants", "--version"].map(str::to_owned);
        if self.runner.run(Path::new("cargo"), &version, &[], &self.log(MUTANTS))?.status != 0 {
            (self.tell)(&format!("NOT RUN: {MUTANTS}: there is no `cargo mutants` (docs/mutants.md)"));
            return Ok(());
        }
        let part = format!("{}/{MUTANT_PARTS}", self.night % MUTANT_PARTS + 1);
        (self.tell)(&format!("{MUTANTS}, part {part}"));
        let words = ["mutants", "--shard", &part, "--time", "40m", "--save", FILE].map(str::to_owned);
        let done = self.parallax(MUTANTS, &words, &[])?;
        // 1: no trace sees one of them.
        let tried = matches!(done.status, 0 | 1);
        if !tried {
            let said = tail(&format!("{}{}", done.out, done.error), 1500);
            let (cell, trace) = (MUTANTS.to_owned(), "mutants".to_owned());
            let text = format!("exit status {}\n{said}", done.status);
            self.problem(&Problem { cell, trace, text, ..Problem::default() })?;
        }
        self.done(MUTANTS, [0, 0], done.seconds, if tried { 0 } else { done.status })?;
        let text = fs::read_to_string(self.runner.root.join(FILE)).unwrap_or_default();
        match seen(&text) {
            Some((count, seen)) if tried => {
                self.measure("mutants tried".to_owned(), count)?;
                self.measure("mutants seen, percent".to_owned(), seen)
            }
            _ => Ok(()),
        }
    }
}

/// How many of the mutants in `text` are others than the hypervisor, and how many of a hundred of these a trace sees.
fn seen(text: &str) -> Option<(f64, f64)> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let differ =
        lines.map(|line| line.fate).filter(|fate| !matches!(fate, Fate::Unviable { .. } | Fate::Equal));
    let differ: Vec<Fate> = differ.collect();
    let survived = differ.iter().filter(|fate| **fate == Fate::Survived).count();
    let count = differ.len() as f64;
    (!differ.is_empty()).then(|| (count, 100.0 * (1.0 - survived as f64 / count)))
}

#[cfg(test)]
mod tests {
    use super::seen;

    #[test]
    fn what_is_the_same_or_does_not_build_does_not_count() {
        let line = |fate: &str| format!(r#"{{"file":"a","line":1,"column":2,"mutant":"m",{fate}}}"#);
        let fates = [r#""fate":"equal""#, r#""fate":"survived""#, r#""fate":"unviable","error":"x""#];
        let found = r#""fate":"found","trace":"t","after":1,"rule":"r""#;
        let text =
            fates.iter().chain([&found, &found, &found]).map(|fate| line(fate) + "\n").collect::<String>();
        assert_eq!(seen(&text), Some((4.0, 75.0)));
        assert_eq!(seen(&line(r#""fate":"equal""#)), None);
    }
}
