//! Building the images, safely beside other runs.
//!
//! Cargo writes to one place whatever the features are. So one build at a time holds a lock, and what it made is
//! copied to a folder named after its contents, which never changes afterwards.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use parallax_trace::spec::MachineSpec;
use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{PROFILE, Sources, TARGET, Toolchain, ToolchainError, flatten, paths, sources};

/// How many lines of a failed build are shown.
const TAIL_LINES: usize = 60;
/// How long a wait goes on before it is looked whether the user cancelled it.
const LOOK: Duration = Duration::from_millis(20);
/// How many earlier builds of each variant are kept.
const KEPT: usize = 32;
/// Offset and value of the magic number in an arm64 Image header.
const IMAGE_MAGIC: (usize, &[u8]) = (0x38, b"ARM\x64");

/// Which build of the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The one that is meant to be used.
    Normal,
    /// The one that contains the switchable faults.
    Faults,
}

impl Variant {
    /// The one that `config` asks for.
    #[must_use]
    pub const fn of(config: &MachineSpec) -> Self {
        if config.faults_build { Self::Faults } else { Self::Normal }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Faults => "faults",
        }
    }

    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Normal => &[],
            Self::Faults => &["--features", "hyp/faults"],
        }
    }
}

/// What a machine boots from. The files do not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltImages {
    /// The root of the repository that it was built from.
    pub repo_root: PathBuf,
    /// What tells them from all others: the SHA-256 of the two ELF files, one behind the other.
    pub id: String,
    /// The hypervisor's ELF file.
    pub hyp_elf: PathBuf,
    /// The test host's ELF file.
    pub payload_elf: PathBuf,
    /// The hypervisor's flat image.
    pub hyp_img: PathBuf,
    /// The test host's flat image.
    pub payload_img: PathBuf,
}

impl BuiltImages {
    /// Where the sources are whose paths the ELF files tell, for a debugger.
    #[must_use]
    pub fn sources(&self) -> Vec<Sources> {
        let toolchain = Toolchain::find(&self.repo_root).unwrap_or(Toolchain::Library);
        toolchain.sources(&self.repo_root)
    }

    /// Those in four files: the ELF files of the hypervisor and of the test host, and their flat images.
    ///
    /// # Errors
    /// An ELF file cannot be read.
    pub fn of_files(repo_root: &Path, files: [PathBuf; 4]) -> io::Result<Self> {
        let id = id_of(&fs::read(&files[0])?, &fs::read(&files[1])?);
        Ok(Self::named(repo_root, id, files))
    }

    fn named(repo_root: &Path, id: String, files: [PathBuf; 4]) -> Self {
        let [hyp_elf, payload_elf, hyp_img, payload_img] = files;
        Self { repo_root: repo_root.to_owned(), id, hyp_elf, payload_elf, hyp_img, payload_img }
    }
}

/// The four files of images in `dir`.
fn files_in(dir: &Path) -> [PathBuf; 4] {
    ["hyp.elf", "testhost.elf", "hyp.img", "testhost.img"].map(|name| dir.join(name))
}

/// [`BuiltImages::id`] of images with these ELF files.
fn id_of(hyp_elf: &[u8], payload_elf: &[u8]) -> String {
    let digest = Sha256::new().chain_update(hyp_elf).chain_update(payload_elf).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The images called `id`, where the tree at `repo_root` built them once and they are still kept.
#[must_use]
pub fn kept(repo_root: &Path, variant: Variant, id: &str) -> Option<BuiltImages> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let dir = folder(repo_root, variant).join(id);
    BuiltImages::of_files(repo_root, files_in(&dir)).ok().filter(|images| images.id == id)
}

/// Where the tree at `repo_root` keeps what it built.
fn folder(repo_root: &Path, variant: Variant) -> PathBuf {
    repo_root.join("target/parallax").join(variant.folder())
}

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
}

impl Making {
    const fn profile(self) -> &'static str {
        match self {
            Self::Whole => PROFILE,
            Self::Quick => "quick",
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
    run(command, cancel)?;
    let built = repo_root.join("target/hyp").join(TARGET).join(making.profile());
    let images = store(repo_root, &folder, &built.join("hyp"), &built.join(test_host))?;
    // Of sources that changed meanwhile nobody knows which ones were built.
    if let Some(before) = before.filter(|before| digest().as_ref() == Some(before)) {
        sources::note(&notes, &before, &images.id);
    }
    Ok(images)
}

/// The images of the sources with `digest`, where they were built once and are still kept.
fn known(repo_root: &Path, variant: Variant, notes: &Path, digest: &str) -> Option<BuiltImages> {
    let images = kept(repo_root, variant, &sources::known(notes, digest)?)?;
    [&images.hyp_img, &images.payload_img].iter().all(|path| path.is_file()).then_some(images)
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
    run(command, cancel)
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

pub(super) fn run(mut command: Command, cancel: &CancellationToken) -> Result<(), ToolchainError> {
    let (program, shown) = (command.get_program().to_string_lossy().into_owned(), shown(&command));
    // In a group of its own, so that what it started ends with it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let output = command.spawn().and_then(|child| ended(child, cancel));
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

/// Waits for the end of `child`, which the user may cancel: then its whole group is told to end.
fn ended(mut child: Child, cancel: &CancellationToken) -> io::Result<Output> {
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut text)).map(|_| text)
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
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

/// Puts the two ELF files and their images into a folder named after their contents.
fn store(repo_root: &Path, folder: &Path, hyp: &Path, payload: &Path) -> Result<BuiltImages, ToolchainError> {
    let hyp_elf = fs::read(hyp).map_err(at(hyp))?;
    let payload_elf = fs::read(payload).map_err(at(payload))?;
    for (path, elf) in [(hyp, &hyp_elf), (payload, &payload_elf)] {
        if !paths::are_in(elf) {
            let folder = repo_root.join("target/hyp");
            return Err(ToolchainError::Paths { elf: path.to_owned(), folder });
        }
    }
    let id = id_of(&hyp_elf, &payload_elf);
    let dir = folder.join(&id);
    let images = BuiltImages::named(repo_root, id, files_in(&dir));
    if dir.is_dir() {
        return Ok(images);
    }
    let image = |path: &Path, elf: &[u8]| {
        flatten(elf).map_err(|source| ToolchainError::Flatten { path: path.to_owned(), source })
    };
    let hyp_img = image(hyp, &hyp_elf)?;
    if !hyp_img.get(IMAGE_MAGIC.0..).is_some_and(|rest| rest.starts_with(IMAGE_MAGIC.1)) {
        return Err(ToolchainError::NoImageHeader(hyp.to_owned()));
    }
    let payload_img = image(payload, &payload_elf)?;
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(folder).map_err(at(folder))?;
    for (path, bytes) in files_in(new.path()).iter().zip([&hyp_elf, &payload_elf, &hyp_img, &payload_img]) {
        fs::write(path, bytes).map_err(at(path))?;
    }
    fs::rename(new.keep(), &dir).map_err(at(&dir))?;
    prune(folder, &dir).map_err(at(folder))?;
    Ok(images)
}

/// Removes all but the newest [`KEPT`] builds.
fn prune(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut builds: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path() != newest && entry.file_type()?.is_dir() {
            builds.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    builds.sort();
    let excess = builds.len().saturating_sub(KEPT - 1);
    builds.iter().take(excess).try_for_each(|(_, dir)| fs::remove_dir_all(dir))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ToolchainError {
    let path = path.to_owned();
    move |source| ToolchainError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_shown_with_its_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100 >&2; exit 3"]);
        let error = run(command, &CancellationToken::new()).unwrap_err();
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
        assert!(matches!(run(Command::new("false"), &cancel), Err(ToolchainError::Cancelled)));
        let error = run(Command::new("no-such-program"), &CancellationToken::new()).unwrap_err();
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
        assert!(matches!(run(command, &cancelled_soon()), Err(ToolchainError::Cancelled)));
        let _held = lock(&place, &CancellationToken::new()).unwrap();
        assert!(matches!(lock(&place, &cancelled_soon()), Err(ToolchainError::Cancelled)));
        assert!(begin.elapsed() < Duration::from_secs(30), "neither the command nor the lock was waited for");
    }

    #[test]
    fn kept_images_are_found_by_what_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        let id = id_of(b"hyp", b"host");
        let dir = folder(root.path(), Variant::Normal).join(&id);
        fs::create_dir_all(&dir).unwrap();
        for (file, bytes) in files_in(&dir).iter().zip(["hyp", "host", "", ""]) {
            fs::write(file, bytes).unwrap();
        }
        let found = |id: &str| kept(root.path(), Variant::Normal, id).map(|images| images.id);
        assert_eq!(found(&id), Some(id.clone()));
        assert_eq!(kept(root.path(), Variant::Faults, &id), None);
        assert_eq!((found(""), found(".."), found(&id[1..])), (None, None, None));
        fs::write(&files_in(&dir)[0], "another").unwrap();
        assert_eq!(found(&id), None, "what is there is not what it is called after");
    }

    #[test]
    fn what_was_built_of_the_same_sources_is_taken_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let id = id_of(b"hyp", b"host");
        let dir = folder(root.path(), Variant::Normal).join(&id);
        fs::create_dir_all(&dir).unwrap();
        for (file, bytes) in files_in(&dir).iter().zip(["hyp", "host", "", ""]) {
            fs::write(file, bytes).unwrap();
        }
        let notes = root.path().join("notes");
        let found =
            |digest: &str| known(root.path(), Variant::Normal, &notes, digest).map(|images| images.id);
        assert_eq!(found("sources"), None);
        sources::note(&notes, "sources", &id).unwrap();
        assert_eq!(found("sources"), Some(id));
        assert_eq!(found("others"), None);
        fs::remove_file(&files_in(&dir)[2]).unwrap();
        assert_eq!(found("sources"), None, "a file of it is gone");
    }

    #[test]
    fn old_builds_are_removed_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..KEPT + 3 {
            fs::create_dir(folder.path().join(index.to_string())).unwrap();
        }
        let newest = folder.path().join("0");
        prune(folder.path(), &newest).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
        assert!(newest.is_dir());
    }
}
