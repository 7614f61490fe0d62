//! Building the images, safely beside other runs.
//!
//! Cargo writes to one place whatever the features are. So one build at a time holds a lock, and what it made is kept
//! elsewhere ([`super::images`]).

use std::fs::{self, File, TryLockError};
use std::io::{self, IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

use super::images::{at, folder, known, store};
use super::{BuiltImages, PROFILE, TARGET, Toolchain, ToolchainError, Variant, sources};

/// How many lines of a failed build are shown.
const TAIL_LINES: usize = 60;
/// How long a wait goes on before it is looked whether the user cancelled it.
const LOOK: Duration = Duration::from_millis(20);
/// How long a build takes before it is told that there is one, where no terminal shows it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Name of the test host's crate. A bisection also builds revisions that have it under its earlier name.
fn test_host(repo_root: &Path) -> &'static str {
    if repo_root.join("hyp/testhost").is_dir() { "testhost" } else { "payload" }
}

/// What of the tree decides what the images are.
const FOLDERS: [&str; 1] = ["hyp"];

/// How the images are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Making {
    /// As they are meant to be: what goldens, recordings and figures are about.
    #[default]
    Whole,
    /// Quickly: less optimised, and only what changed. What it does is the same, where its instructions are is not.
    Quick,
    /// For a debugger: little optimised, so that variables are where the source has them.
    Debug,
}

impl Making {
    const fn profile(self) -> &'static str {
        match self {
            Self::Whole => PROFILE,
            Self::Quick => "quick",
            Self::Debug => "debugger",
        }
    }
}

/// Builds the hypervisor and the test host of the repository at `repo_root`; what was built of the same sources once is taken
/// from what is kept.
///
/// # Errors
/// No compiler, a build that fails, or an image that cannot be used.
pub fn build(
    repo_root: &Path,
    variant: Variant,
    cancel: &CancellationToken,
) -> Result<BuiltImages, ToolchainError> {
    make(repo_root, variant, Making::Whole, cancel)
}

/// [`build`], made in one way or the other.
///
/// # Errors
/// As [`build`].
pub fn make(
    repo_root: &Path,
    variant: Variant,
    making: Making,
    cancel: &CancellationToken,
) -> Result<BuiltImages, ToolchainError> {
    let toolchain = Toolchain::find(repo_root)?;
    let folder = folder(repo_root, variant);
    let notes = folder.with_file_name("sources").join(variant.folder());
    let words = [making.profile(), variant.folder(), toolchain.rustc()];
    let digest = || sources::digest(repo_root, &FOLDERS, toolchain.rustc(), &words);
    let before = digest();
    if let Some(images) = before.as_ref().and_then(|before| known(repo_root, variant, &notes, before)) {
        return Ok(images);
    }
    let _lock = lock(&folder, cancel)?;
    let mut command = toolchain.cargo_with("build", repo_root, making.profile())?;
    let test_host = test_host(repo_root);
    command.args(["-p", "hyp", "-p", test_host]).args(variant.features());
    run(command, "the hypervisor", cancel)?;
    let built = repo_root.join("target/hyp").join(TARGET).join(making.profile());
    let images = store(repo_root, &folder, &built.join("hyp"), &built.join(test_host))?;
    // Of sources that changed meanwhile nobody knows which ones were built.
    if let Some(before) = before.filter(|before| digest().as_ref() == Some(before)) {
        sources::note(&notes, &before, &images.id);
    }
    Ok(images)
}

/// Runs clippy on the hypervisor and the test host; warnings are errors.
///
/// # Errors
/// No compiler, or clippy found something.
pub fn clippy(repo_root: &Path, variant: Variant, cancel: &CancellationToken) -> Result<(), ToolchainError> {
    let toolchain = Toolchain::find(repo_root)?;
    let _lock = lock(&folder(repo_root, variant), cancel)?;
    let mut command = toolchain.cargo("clippy", repo_root)?;
    command.args(["-p", "hyp", "-p", test_host(repo_root)]);
    command.args(variant.features()).args(["--", "-D", "warnings"]);
    run(command, "the hypervisor", cancel)
}

/// Waits until no other process builds. The lock ends with the file.
pub(super) fn lock(folder: &Path, cancel: &CancellationToken) -> Result<File, ToolchainError> {
    let path = folder.with_file_name("build.lock");
    fs::create_dir_all(folder).map_err(at(folder))?;
    let file = File::options().create(true).append(true).open(&path).map_err(at(&path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return Err(ToolchainError::Cancelled),
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            Err(TryLockError::Error(source)) => return Err(at(&path)(source)),
        }
    }
}

/// Runs `command`, which builds `what`.
pub(super) fn run(
    mut command: Command,
    what: &str,
    cancel: &CancellationToken,
) -> Result<(), ToolchainError> {
    let (program, shown) = (command.get_program().to_string_lossy().into_owned(), shown(&command));
    // In a group of its own, so that what it started ends with it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let output = command.spawn().and_then(|child| ended(child, what, cancel));
    let output = output.map_err(|source| ToolchainError::Run { program, source })?;
    if cancel.is_cancelled() {
        return Err(ToolchainError::Cancelled);
    }
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Err(ToolchainError::Failed { command: shown, status: output.status.to_string(), tail })
}

/// Waits for the end of `child`, which builds `what` and which the user may cancel: then its whole group is told to end.
fn ended(mut child: Child, what: &str, cancel: &CancellationToken) -> io::Result<Output> {
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut text)).map(|_| text)
    });
    let mut waits = (Instant::now(), !io::stderr().is_terminal());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // A terminal shows that something goes on.
        if waits.1 && waits.0.elapsed() > PATIENCE {
            waits.1 = false;
            eprintln!("building {what}");
        }
        if cancel.is_cancelled() {
            kill_process_group(Pid::from_child(&child), Signal::TERM)?;
            break child.wait()?;
        }
        thread::sleep(LOOK);
    };
    let stderr = reader.join().unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(Output { status, stdout: Vec::new(), stderr })
}

/// `command` as a person would type it to see a failure again: without the settings about paths, which are of no matter
/// to that.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    let mut args = command.get_args();
    while let Some(arg) = args.next() {
        if arg == "--config" {
            args.next();
        } else {
            words.push(arg.to_string_lossy());
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_shown_with_its_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100 >&2; exit 3"]);
        let error = run(command, "nothing", &CancellationToken::new()).unwrap_err();
        let ToolchainError::Failed { tail, status, .. } = &error else { panic!("{error}") };
        assert!(tail.starts_with("41\n") && tail.ends_with("100"), "{tail}");
        assert!(status.contains('3'));
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.args(["build", "--config", "target.x.rustflags=[\"a\"]", "-p", "hyp"]);
        assert_eq!(shown(&command), "cargo build -p hyp");
    }

    #[test]
    fn a_cancelled_build_is_no_failed_build() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert!(matches!(run(Command::new("false"), "nothing", &cancel), Err(ToolchainError::Cancelled)));
        let error = run(Command::new("no-such-program"), "nothing", &CancellationToken::new()).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }

    #[test]
    fn who_waits_for_a_build_can_cancel_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("normal");
        let cancelled_soon = || {
            let cancel = CancellationToken::new();
            let later = cancel.clone();
            thread::spawn(move || {
                thread::sleep(10 * LOOK);
                later.cancel();
            });
            cancel
        };
        let begin = std::time::Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60; true"]);
        assert!(matches!(run(command, "nothing", &cancelled_soon()), Err(ToolchainError::Cancelled)));
        let _held = lock(&place, &CancellationToken::new()).unwrap();
        assert!(matches!(lock(&place, &cancelled_soon()), Err(ToolchainError::Cancelled)));
        assert!(begin.elapsed() < Duration::from_secs(30), "neither the command nor the lock was waited for");
    }
}
