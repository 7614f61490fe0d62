//! Any other check, by its exit status.

use std::path::Path;

use parallax_machine::programs::find_program;
use rustix::process::geteuid;

use super::cell::variables;
use super::read::{Taken, read};
use super::{AtWork, tail};
use crate::error::NightError;
use crate::history::Problem;
use crate::plan::{Needs, Program, Reads, Step};

/// What is not in order is run once more, if it took no longer than this many seconds.
const AGAIN_SECONDS: f64 = 600.0;
/// `cargo xtask` as it is built.
const XTASK: &str = "target/release/xtask";
/// As much of its output is kept.
const TEXT: usize = 1500;

impl AtWork<'_> {
    /// Runs it. One that says that it cannot be done is no error.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), NightError> {
        let name = &step.name;
        let root = &self.runner.root;
        let not_built = || xtask_missing(&step.program, root);
        if let Some(why) = missing(step.needs.clone(), root, &here()).or_else(not_built) {
            (self.tell)(&format!("NOT RUN: {name}: {why}"));
            return Ok(());
        }
        (self.tell)(name);
        let run = || {
            let mut words = step.words.clone();
            if step.reads != Reads::Nothing {
                words.extend(["--format", "json"].map(str::to_owned));
            }
            let variables = [variables(step.qemu.as_ref()), step.variables.clone()].concat();
            let run = |program: &Path| self.runner.run(program, &words, &variables, &self.log(name));
            match &step.program {
                Program::Parallax => self.parallax(name, &words, &variables),
                Program::Xtask => run(Path::new(XTASK)),
                Program::Other(program) => run(program),
            }
        };
        let done = run()?;
        if step.cannot == Some(done.status) {
            (self.tell)(&format!("NOT RUN: {name}: {}", done.last_line()));
            return Ok(());
        }
        let mut taken = read(&step.reads, &done.out);
        let unread = taken.is_none();
        if done.status != step.expect || unread {
            let wrong = if unread && done.status == step.expect {
                "what it printed is not its document".to_owned()
            } else {
                format!("exit status {}, not {}", done.status, step.expect)
            };
            let said = tail(&format!("{}{}", done.out, done.error), TEXT);
            let mut flaky = false;
            if done.seconds < AGAIN_SECONDS {
                let again = run()?;
                let second = read(&step.reads, &again.out);
                flaky = again.status == step.expect && second.is_some();
                taken = taken.or(second);
            }
            let name = match &step.program {
                Program::Parallax => "parallax".into(),
                Program::Xtask => "cargo xtask".into(),
                Program::Other(program) => program.file_name().unwrap_or_default().to_string_lossy(),
            };
            self.problem(&Problem {
                cell: step.name.clone(),
                trace: format!("{name} {}", step.words.join(" ")).trim().to_owned(),
                text: format!("{wrong}\n{said}"),
                flaky,
                ..Problem::default()
            })?;
        }
        let Taken { operations, measures } = taken.unwrap_or_default();
        measures.into_iter().try_for_each(|(name, value)| self.measure(name, value))?;
        self.done(name, [0, operations], done.seconds, done.status)
    }
}

/// Why a step cannot be done whose program has to be built first, if it was not.
fn xtask_missing(program: &Program, root: &Path) -> Option<String> {
    (*program == Program::Xtask && !root.join(XTASK).is_file())
        .then(|| format!("{XTASK} is not there; `cargo build --release -p xtask` builds it"))
}

/// What this machine has.
pub(super) struct Here {
    root: bool,
    debootstrap: bool,
}

pub(super) fn here() -> Here {
    Here { root: geteuid().is_root(), debootstrap: find_program("debootstrap").is_some() }
}

/// Why a step with `needs` cannot be done in the source tree at `root`, if it cannot.
pub(super) fn missing(needs: Needs, root: &Path, here: &Here) -> Option<String> {
    match needs {
        Needs::Nothing => None,
        Needs::Kernel(series) => {
            let there = root.join("target/linux").join(series).join("version").is_file();
            (!there).then(|| {
                format!("Linux {series} is not there; `ci/fetch-linux --series {series}` fetches it")
            })
        }
        Needs::BareMachines if !here.root => Some("only root can make them".to_owned()),
        Needs::BareMachines if !here.debootstrap => Some("there is no debootstrap".to_owned()),
        Needs::BareMachines => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use super::*;
    use crate::child::Runner;
    use crate::history::{History, Night};

    #[test]
    fn bare_machines_are_tried_where_they_can_be_made() {
        let why = |root, debootstrap| {
            missing(Needs::BareMachines, Path::new("."), &Here { root, debootstrap }).unwrap_or_default()
        };
        assert_eq!(why(false, true), "only root can make them");
        assert_eq!(why(true, false), "there is no debootstrap");
        assert_eq!(why(true, true), "");
    }

    #[test]
    fn a_step_that_cannot_be_done_is_no_error_and_no_cell() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::write(&folder.path().join("results")).unwrap();
        let night = history.begin(&Night::begun(0, "r", "full", "1/1")).unwrap();
        let runner =
            Runner { root: folder.path().to_owned(), parallax: "parallax".into(), signal: Arc::default() };
        let said = RefCell::new(Vec::new());
        let tell = |text: &str| said.borrow_mut().push(text.to_owned());
        let logs = folder.path().to_owned();
        let mut at_work = AtWork { history: &history, runner: &runner, tell: &tell, night, logs, bad: false };
        let mut ends = |status: i32| {
            let words = format!("echo bare: the; echo bare: last line; exit {status}");
            let step = Step {
                name: "bare".to_owned(),
                program: Program::Other("sh".into()),
                words: vec!["-c".to_owned(), words],
                variables: Vec::new(),
                qemu: None,
                expect: 0,
                cannot: Some(125),
                reads: Reads::Nothing,
                needs: Needs::Nothing,
            };
            at_work.step(&step).unwrap();
            let statuses = history.night(night).unwrap().cells.iter().map(|cell| cell.status).collect();
            (statuses, at_work.bad)
        };
        assert_eq!(ends(125), (vec![], false));
        assert_eq!(said.borrow().last().unwrap(), "NOT RUN: bare: bare: last line");
        assert_eq!(ends(0), (vec![0], false));
        assert_eq!(ends(1), (vec![0, 1], true));
        assert!(said.borrow().last().unwrap().starts_with("NOT IN ORDER: bare: sh -c"));
    }

    #[test]
    fn tasks_are_done_where_they_are_built() {
        let folder = tempfile::tempdir().unwrap();
        let why = |program| xtask_missing(&program, folder.path()).unwrap_or_default();
        let remedy = "target/release/xtask is not there; `cargo build --release -p xtask` builds it";
        assert_eq!(why(Program::Xtask), remedy);
        assert_eq!(why(Program::Other("sh".into())), "");
        std::fs::create_dir_all(folder.path().join("target/release")).unwrap();
        std::fs::write(folder.path().join(XTASK), "").unwrap();
        assert_eq!(why(Program::Xtask), "");
    }

    #[test]
    fn a_kernel_that_could_not_be_had_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        let there = || missing(Needs::Kernel("7.3"), folder.path(), &here()).is_none();
        assert!(!there());
        std::fs::create_dir_all(folder.path().join("target/linux/7.3")).unwrap();
        std::fs::write(folder.path().join("target/linux/7.3/version"), "7.3").unwrap();
        assert!(there());
    }
}
