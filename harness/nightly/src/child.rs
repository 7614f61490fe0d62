//! Programs that a night runs.
//!
//! The command itself is one of them: each cell and most steps are a child of their own, which prints its document (`--format
//! json`), whose type the writer and we share. In one process they could share neither a QEMU (the environment names it) nor an
//! end: a child that is killed, runs out of memory or hangs costs a night that one piece, and a killed night leaves nothing.
//!
//! For that, util-linux's `setpriv` has the kernel tell a child that we are gone, and `timeout` of coreutils (without a time) is in
//! between: it is the head of a process group of its own and passes the signal on to all of it, those that a script started too.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parallax_machine::programs::find_program;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::error::NightError;

/// How often it is looked whether a child is done.
const LOOK: Duration = Duration::from_millis(20);
/// How long a child has to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// The exit status of what cannot be started, as a shell's.
const NOT_STARTED: i32 = 127;

/// What runs programs.
#[derive(Clone, Debug)]
pub struct Runner {
    /// The source tree, in which they run.
    pub root: PathBuf,
    /// The command itself.
    pub parallax: PathBuf,
    /// The signal that is to end the night; 0 while there is none.
    pub signal: Arc<AtomicUsize>,
}

/// What came of a program.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Its exit status; 128 and the signal that ended it.
    pub status: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub error: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Done {
    /// The last line that it said, of its errors if it had any.
    pub(crate) fn last_line(&self) -> &str {
        let said = if self.error.trim().is_empty() { &self.out } else { &self.error };
        said.trim().lines().last().unwrap_or_default()
    }
}

impl Runner {
    /// Runs `program` with `words` and `variables`; what it says goes into the file `log` as well.
    ///
    /// # Errors
    /// It cannot be run, the log cannot be written, or a signal is to end the night: then the program was ended, too.
    pub fn run(
        &self,
        program: &Path,
        words: &[String],
        variables: &[(String, String)],
        log: &Path,
    ) -> Result<Done, NightError> {
        let mut log_file =
            OpenOptions::new().create(true).append(true).open(log).map_err(NightError::io(log))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let shown: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let line = format!("$ {}{name} {}\n", shown.concat(), words.join(" "));
        log_file.write_all(line.as_bytes()).map_err(NightError::io(log))?;
        let temporary = || tempfile::tempfile().map_err(NightError::io(log));
        let (mut out, mut error) = (temporary()?, temporary()?);
        let writer = |file: &File| file.try_clone().map(Stdio::from).map_err(NightError::io(log));
        let mut command = self.command(program);
        command.args(words).envs(variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.root).stdin(Stdio::null()).stdout(writer(&out)?).stderr(writer(&error)?);
        let begin = Instant::now();
        let ended = match command.spawn() {
            Ok(child) => self.wait(child),
            // Such as a trace whose name no command line can hold: that is an error of this piece, not of the night.
            Err(cause) => {
                error
                    .write_all(format!("{}: {cause}", program.display()).as_bytes())
                    .map_err(NightError::io(log))?;
                Ok(NOT_STARTED)
            }
        };
        let (out, error) = (said(&mut out), said(&mut error));
        let seconds = begin.elapsed().as_secs_f64();
        let how = match &ended {
            Ok(status) => format!("exit status {status}"),
            Err(_) => "ended with the night".to_owned(),
        };
        let end = format!("{error}{out}\n= {how} after {seconds:.1} s\n\n");
        log_file.write_all(end.as_bytes()).map_err(NightError::io(log))?;
        let status = ended?;
        Ok(Done { status, out, error, seconds })
    }

    /// Runs the command itself.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn parallax(
        &self,
        words: &[String],
        variables: &[(String, String)],
        log: &Path,
    ) -> Result<Done, NightError> {
        self.run(&self.parallax, words, variables, log)
    }

    fn command(&self, program: &Path) -> Command {
        // A script of the source tree, or a program of the search path.
        let program =
            if program.components().count() > 1 { self.root.join(program) } else { program.to_owned() };
        let mut words: Vec<PathBuf> = Vec::new();
        if find_program("setpriv").is_some() {
            words.extend(["setpriv", "--pdeathsig", "TERM", "--"].map(PathBuf::from));
        }
        if find_program("timeout").is_some() {
            words.extend(["timeout", "0"].map(PathBuf::from));
        }
        words.push(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    /// Its exit status; or, where a signal is to end the night, that signal once it is gone.
    fn wait(&self, mut child: Child) -> Result<i32, NightError> {
        let mut told: Option<(i32, Instant)> = None;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return match told {
                    Some((signal, _)) => Err(NightError::Ended(signal)),
                    None => Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())),
                };
            }
            let signal = self.signal.load(Ordering::Relaxed);
            let pid = Pid::from_child(&child);
            match told {
                // What is gone already needs no signal.
                None if signal != 0 => {
                    let _ = kill_process(pid, Signal::TERM);
                    told = Some((i32::try_from(signal).unwrap_or_default(), Instant::now()));
                }
                Some((_, since)) if since.elapsed() > PATIENCE => {
                    let _ = kill_process_group(pid, Signal::KILL);
                    let _ = child.kill();
                }
                _ => (),
            }
            thread::sleep(LOOK);
        }
    }
}

/// What is in a file that a child wrote.
fn said(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("what it said cannot be read: {error}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_done_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let runner = Runner { root, parallax: "true".into(), signal: Arc::default() };
        let log = folder.path().join("log");
        let done = runner.parallax(&["a\0b".to_owned()], &[], &log).unwrap();
        assert_eq!(done.status, NOT_STARTED);
        assert!(done.error.starts_with("true: "), "{}", done.error);
        assert!(std::fs::read_to_string(&log).unwrap().contains("= exit status 127"));
        assert_eq!(runner.parallax(&[], &[], &log).unwrap().status, 0);
    }
}
