//! Where a task works: the source tree, the programs that it runs there, and the signal that may end it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::child::Child;
use crate::ends::Failure;
use crate::surroundings;

/// The file by which a source tree is known.
const MARK: &str = "ci/xtask/Cargo.toml";

/// Where a task works.
pub(crate) struct Room {
    root: PathBuf,
    signal: Arc<AtomicUsize>,
    /// Variables that children do not get as they are here.
    variables: Vec<(OsString, Option<OsString>)>,
}

impl Room {
    /// The source tree around the current folder. From here on a signal is noted, and ends the task where it waits.
    pub(crate) fn enter() -> Result<Self> {
        let here = env::current_dir()?;
        let root = here.ancestors().find(|folder| folder.join(MARK).is_file());
        let root = root.ok_or_else(|| {
            Failure::usage(format!(
                "{} is in no source tree of Parallax: go to one (there is no {MARK})",
                here.display()
            ))
        })?;
        let room = Self::at(root);
        // A terminal that is gone is told as an end that somebody asked for.
        for (number, value) in [(SIGINT, 2), (SIGTERM, 15), (SIGHUP, 15)] {
            signal_hook::flag::register_usize(number, Arc::clone(&room.signal), value)?;
        }
        Ok(room)
    }

    /// The source tree at `root`, without an ear for signals.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            signal: Arc::default(),
            variables: surroundings::changes(env::vars_os()),
        }
    }

    /// The root of the source tree.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `program` with what it is to be given, in the source tree's root.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>) -> Child<'_> {
        self.with_variables(Child::new(self, program.as_ref(), true))
    }

    /// The same in this process's group: it alone is told to end, and sees to what it started.
    pub(crate) fn run_alone(&self, program: impl AsRef<OsStr>) -> Child<'_> {
        self.with_variables(Child::new(self, program.as_ref(), false))
    }

    fn with_variables<'a>(&self, mut child: Child<'a>) -> Child<'a> {
        for (name, value) in &self.variables {
            child = child.variable(name, value.as_deref());
        }
        child
    }

    /// The command as it is built.
    pub(crate) fn parallax(&self) -> Result<PathBuf> {
        let program = self.root.join("target/release/parallax");
        if !program.is_file() {
            let message = format!("no {}: cargo build --release -p parallax", program.display());
            return Err(Failure::setup(message).into());
        }
        Ok(program)
    }

    /// Builds the command, which tells all that it says on standard error.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        let cargo = self.run("cargo").words(["build", "--release", "-p", "parallax"]);
        if cargo.out_to_error().status()? != 0 {
            return Err(Failure::setup("the command does not build").into());
        }
        self.parallax()
    }

    /// An error, if a signal is to end the task.
    pub(crate) fn go_on(&self) -> Result<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            number => Err(Failure::signal(u8::try_from(number).unwrap_or(15)).into()),
        }
    }
}

/// A line on standard output.
pub(crate) fn print(line: impl AsRef<str>) -> Result<()> {
    let mut out = io::stdout().lock();
    Ok(writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush())?)
}

/// A line on standard error, for who waits. Where nobody reads it, the task goes on.
pub(crate) fn say(line: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", line.as_ref());
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ends::status_of;

    /// Whether a process with such a command line is there.
    fn there(line: &str) -> bool {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.any(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end() == line)
    }

    #[test]
    fn a_signal_ends_what_runs_and_what_that_started() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::at(folder.path());
        let signal = Arc::clone(&room.signal);
        // A number that no other process has.
        let sleep = format!("sleep 61.{}", std::process::id());
        let script = format!("{sleep} & echo begun >begun; wait");
        let begun = folder.path().join("begun");
        let teller = thread::spawn(move || {
            while !begun.is_file() {
                thread::sleep(Duration::from_millis(5));
            }
            signal.store(15, Ordering::Relaxed);
            Instant::now()
        });
        let error = room.run("sh").words(["-c", &script]).status().unwrap_err();
        let told = teller.join().unwrap();
        // It was told, and not killed after a while.
        assert!(told.elapsed() < Duration::from_secs(15));
        assert_eq!(status_of(&error), 143);
        let end = Instant::now() + Duration::from_secs(10);
        while there(&sleep) {
            assert!(Instant::now() < end, "{sleep} is still there");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(status_of(&room.run("true").status().unwrap_err()), 143);
    }

    #[test]
    fn what_goes_wrong_names_the_command_line_and_how_grave_it_is() {
        let room = Room::at(Path::new("."));
        let end = |status: &str| {
            let error = room.run("sh").words(["-c", &format!("exit {status}")]).quiet().unwrap_err();
            (error.to_string(), status_of(&error))
        };
        assert_eq!(end("3"), ("sh -c exit 3: exit status 3".to_owned(), 1));
        assert_eq!(end("125"), ("sh -c exit 125: exit status 125".to_owned(), 125));
        assert_eq!(room.run("sh").words(["-c", "echo a; echo b >&2"]).text().unwrap(), "a");
    }
}
