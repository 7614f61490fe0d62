//! A night at work: its pieces, one after the other, and how each comes into the history.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`cell`] | traces on a machine |
//! | [`on_kernel`] | traces on an unmodified kernel |
//! | [`step`] | any other check |
//! | [`read`] | what is taken from the documents that steps print |
//! | [`casemate`] | the checker whose format we write |
//! | [`mutants`] | small changes of the hypervisor |

mod casemate;
mod cell;
mod mutants;
mod on_kernel;
mod read;
mod step;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parallax_engine::project;

use crate::child::{Done, Runner};
use crate::error::NightError;
use crate::history::{Cell, History, Measure, Night, Problem, Qemu};
use crate::plan::{Form, Partition, Work, plan};
use crate::qemus;

/// Nights whose logs are kept.
const LOGS: usize = 60;

/// A night at work.
struct AtWork<'a> {
    history: &'a History,
    runner: &'a Runner,
    tell: &'a dyn Fn(&str),
    night: i64,
    logs: PathBuf,
    bad: bool,
}

/// Does all pieces of `partition`; gives the night's number.
///
/// # Errors
/// The history cannot be written, or a signal ended it. What was done is in the history then.
pub fn perform(
    history: &History,
    runner: &Runner,
    form: Form,
    partition: Partition,
    tell: &dyn Fn(&str),
) -> Result<i64, NightError> {
    let begin = Instant::now();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let revision = project::revision(&runner.root);
    let begun = Night::begun(started.cast_signed(), &revision, form.name(), &partition.to_string());
    let night = history.begin(&begun)?;
    let logs = history.logs(night);
    forget_logs(history)?;
    fs::create_dir_all(&logs).map_err(NightError::io(&logs))?;
    let mut at_work = AtWork { history, runner, tell, night, logs, bad: false };
    let qemus = qemus::find(&runner.root);
    for qemu in &qemus {
        let program = qemu.program.display().to_string();
        history.add_qemu(night, &Qemu { version: qemu.version.clone(), program })?;
    }
    let pieces = plan(form, &qemus);
    for (_, piece) in pieces.iter().enumerate().filter(|(index, _)| partition.has(*index)) {
        piece.0.iter().try_for_each(|work| at_work.work(work))?;
    }
    for total in history.night(night)?.totals() {
        history.add_measure(night, &total)?;
    }
    history.end(night, begin.elapsed().as_secs_f64(), u8::from(at_work.bad))?;
    Ok(night)
}

/// Removes the logs of all nights but the last ones.
fn forget_logs(history: &History) -> Result<(), NightError> {
    for night in history.nights()?.iter().rev().skip(LOGS) {
        // A folder that somebody else removed is gone as well.
        let _ = fs::remove_dir_all(history.logs(night.night));
    }
    Ok(())
}

impl AtWork<'_> {
    fn work(&mut self, work: &Work) -> Result<(), NightError> {
        match work {
            Work::Cell(cell) => self.cell(cell),
            Work::Step(step) => self.step(step),
            Work::Casemate { every } => self.casemate(*every),
            Work::Mutants => self.mutants(),
        }
    }

    /// Runs the command itself; `log` is of what is called `name`.
    fn parallax(
        &self,
        name: &str,
        words: &[String],
        variables: &[(String, String)],
    ) -> Result<Done, NightError> {
        self.runner.parallax(words, variables, &self.log(name))
    }

    /// Where the output of what is called `name` goes.
    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(log_name(name))
    }

    /// What was run is in the history once all is there that is not in order of it.
    fn done(&self, name: &str, counts: [u64; 2], seconds: f64, status: i32) -> Result<(), NightError> {
        let [traces, operations] = counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let cell = Cell { name: name.to_owned(), traces, operations, seconds, status: status.into() };
        self.history.add_cell(self.night, &cell)
    }

    fn problem(&mut self, problem: &Problem) -> Result<(), NightError> {
        self.bad |= !problem.flaky;
        let kind = if problem.flaky { "flaky" } else { "NOT IN ORDER" };
        let what = problem.text.lines().next().unwrap_or_default();
        (self.tell)(&format!("{kind}: {}: {}: {what}", problem.cell, problem.trace));
        self.history.add_problem(self.night, problem)
    }

    fn measure(&self, name: String, value: f64) -> Result<(), NightError> {
        self.history.add_measure(self.night, &Measure { name, value })
    }
}

/// A file's name for what is called `name`.
#[must_use]
pub(crate) fn log_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '=' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(100);
    name + ".txt"
}

/// The end of a text, at most this many characters of it.
fn tail(text: &str, most: usize) -> String {
    let text = text.trim();
    text.chars().skip(text.chars().count().saturating_sub(most)).collect()
}

/// The good traces of the source tree at `root`, by their names in it.
fn good(root: &Path) -> Result<Vec<String>, NightError> {
    named(root, &[root.join("traces/good")])
}

/// The traces in `folders` of the source tree at `root`, by their names in it.
fn named(root: &Path, folders: &[PathBuf]) -> Result<Vec<String>, NightError> {
    let found = parallax_suite::cases::find(folders).map_err(|error| NightError::Unfit(error.to_string()))?;
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
    Ok(found.iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_the_name_of_what_it_is_of() {
        let name = log_name("qemu 10.0.2, step, smmu=shadow smmu.map=pages");
        assert_eq!(name, "qemu-10.0.2-step-smmu=shadow-smmu.map=pages.txt");
        assert_eq!(log_name("../x\u{1f600}/y"), "..-x-y.txt");
    }

    #[test]
    fn the_end_of_a_text_is_kept() {
        assert_eq!((tail(" abc ", 2), tail("ab", 5)), ("bc".to_owned(), "ab".to_owned()));
    }
}
