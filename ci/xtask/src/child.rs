//! A program that a task runs. It ends with the task, whatever ends that.
//!
//! For that, util-linux's `setpriv` has the kernel tell it that the task is gone, and `timeout` of coreutils (without a time) is in
//! between: it is the head of a process group of its own and passes the signal on to all of it.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create, statvfs};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::ends::{Failure, SETUP};
use crate::room::{Room, say};

/// How often it is looked whether it is done, at most and at least.
const LOOK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];
/// How long it has to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program with what it is given.
pub(crate) struct Child<'a> {
    room: &'a Room,
    command: Command,
    /// The command line, for people.
    shown: String,
    out: Stdio,
    error: Option<Stdio>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit status; 128 and the signal that ended it.
    pub(crate) status: i32,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) error: String,
}

impl<'a> Child<'a> {
    /// `program`, with a process group of its own where `group` says so.
    pub(crate) fn new(room: &'a Room, program: &OsStr, group: bool) -> Self {
        let words: Vec<&OsStr> = with_us(group).into_iter().map(OsStr::new).chain([program]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(room.root()).stdin(Stdio::null());
        let shown = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        Self { room, command, shown, out: Stdio::inherit(), error: None }
    }

    /// One more argument.
    pub(crate) fn word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{} {}", self.shown, word.as_ref().to_string_lossy());
        self.command.arg(word);
        self
    }

    /// More arguments.
    pub(crate) fn words(self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        words.into_iter().fold(self, Self::word)
    }

    /// In another folder.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// With another variable, or without it.
    pub(crate) fn variable(mut self, name: impl AsRef<OsStr>, value: Option<&OsStr>) -> Self {
        match value {
            Some(value) => self.command.env(name, value),
            None => self.command.env_remove(name),
        };
        self
    }

    /// What it prints goes to standard error.
    pub(crate) fn out_to_error(mut self) -> Self {
        self.out = io::stderr().into();
        self
    }

    /// What it prints goes into `file`.
    pub(crate) fn out_to(mut self, file: &Path) -> Result<Self> {
        self.out = create(file)?.into();
        Ok(self)
    }

    /// What it says on standard error goes into `file`.
    pub(crate) fn error_to(mut self, file: &Path) -> Result<Self> {
        self.error = Some(create(file)?.into());
        Ok(self)
    }

    /// Runs it to its end.
    pub(crate) fn status(self) -> Result<i32> {
        self.start()?.wait()
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) fn good(self) -> Result<()> {
        let (room, shown) = (self.room, self.shown.clone());
        match self.status()? {
            0 => Ok(()),
            status => Err(failed(room, &shown, status)),
        }
    }

    /// Runs it; what it says is kept.
    pub(crate) fn done(mut self) -> Result<Done> {
        // In memory: there may be no room for a file.
        let file = |name| memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
        let (mut out, mut error) = (file("out")?, file("error")?);
        self.out = out.try_clone()?.into();
        self.error = Some(error.try_clone()?.into());
        let status = self.status()?;
        Ok(Done { status, out: said(&mut out)?, error: said(&mut error)? })
    }

    /// What it prints, without the last line's end; its end must be a good one.
    pub(crate) fn text(self) -> Result<String> {
        let (room, shown) = (self.room, self.shown.clone());
        let done = self.done()?;
        if done.status != 0 {
            say(format!("{}{}", done.out, done.error).trim_end());
            return Err(failed(room, &shown, done.status));
        }
        // What it warns of is for people all the same.
        let _ = io::stderr().write_all(done.error.as_bytes());
        Ok(done.out.trim_end().to_owned())
    }

    /// Runs it; what it says is shown only if its end is not a good one.
    pub(crate) fn quiet(self) -> Result<()> {
        let (room, shown) = (self.room, self.shown.clone());
        let done = self.done()?;
        if done.status != 0 {
            say(format!("{}{}", done.out, done.error).trim_end());
            return Err(failed(room, &shown, done.status));
        }
        Ok(())
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Result<Running<'a>> {
        self.room.go_on()?;
        self.command.stdout(self.out);
        if let Some(error) = self.error {
            self.command.stderr(error);
        }
        let child = self.command.spawn().with_context(|| format!("cannot run {}", self.shown))?;
        Ok(Running { room: self.room, child })
    }
}

/// A program that runs.
pub(crate) struct Running<'a> {
    room: &'a Room,
    child: std::process::Child,
}

impl Running<'_> {
    /// Its exit status, once it is done. An error where a signal is to end the task: then it is gone, too.
    pub(crate) fn wait(mut self) -> Result<i32> {
        let mut pause = LOOK[0];
        loop {
            if let Some(status) = self.ended()? {
                self.room.go_on()?;
                return Ok(status);
            }
            self.room.go_on()?;
            thread::sleep(pause);
            pause = LOOK[1].min(pause * 2);
        }
    }

    /// Its exit status, if it is done.
    pub(crate) fn ended(&mut self) -> Result<Option<i32>> {
        let status = self.child.try_wait()?;
        Ok(status.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())))
    }

    /// Kills it, and nothing that it started: its own children must go with it.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Both fail only if it has ended already.
        let pid = Pid::from_child(&self.child);
        let _ = kill_process(pid, Signal::TERM);
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() > PATIENCE {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = self.child.kill();
            }
            thread::sleep(LOOK[1]);
        }
    }
}

/// The words before a program that make it end with this one; with `group`, all that it starts too.
fn with_us(group: bool) -> Vec<&'static str> {
    let mut words = Vec::new();
    if find("setpriv").is_some() {
        words.extend(["setpriv", "--pdeathsig", "TERM", "--"]);
    }
    if group && find("timeout").is_some() {
        words.extend(["timeout", "0"]);
    }
    words
}

/// Where `program` is on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What could not be set up for a child could not be for the task; nor is anything known of what failed where there is no room to write.
fn failed(room: &Room, shown: &str, status: i32) -> anyhow::Error {
    let message = format!("{shown}: exit status {status}");
    let folders = [room.root().to_owned(), env::temp_dir()];
    if let Some(full) = folders.iter().find(|folder| is_full(folder)) {
        return Failure::setup(format!("{message}; no room is left in {}", full.display())).into();
    }
    let setup = status == i32::from(SETUP);
    if setup { Failure::setup(message) } else { Failure::different(message) }.into()
}

/// Whether less than a MiB is left where `folder` is.
fn is_full(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|place| place.f_bavail.saturating_mul(place.f_frsize) < 1 << 20)
}

fn create(file: &Path) -> Result<File> {
    File::create(file).with_context(|| format!("cannot write {}", file.display()))
}

fn said(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
