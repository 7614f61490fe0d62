//! Images of revisions: each built once, in a worktree of its own.
//!
//! Under `target/parallax/bisect` there is the worktree (`source/tree`, gone afterwards, or else moved to `kept/KEY`). It
//! is in the same place for each revision, and one target folder is for all of them: the compiler is told of that
//! place, so the standard library and foreign crates are compiled once. And there are the images
//! (`images/KEY-VARIANT`), which later bisections find there. KEY stands for all that an image is built from
//! ([`Commit::key`]).

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::toolchain::{self, BuiltImages, ToolchainError, Variant, paths};
use parallax_machine::{CancellationToken, MachineError};

use super::history::{Commit, Repository};

/// The four files of an image folder.
const FILES: [&str; 4] = ["hyp.elf", "payload.elf", "hyp.img", "payload.img"];
/// How the folder of images that are not all there yet begins.
const UNFINISHED: &str = ".new-";
/// How many images are kept for later bisections.
const KEPT: usize = 128;

/// Where images come from.
pub struct Images<'a> {
    repository: &'a Repository,
    folder: PathBuf,
    variant: Variant,
    keep: bool,
    cancel: CancellationToken,
    /// How many were built by this process.
    pub built: usize,
    _lock: File,
}

impl<'a> Images<'a> {
    /// Those of `repository`, in `variant`; `keep` leaves the worktrees.
    ///
    /// # Errors
    /// Another bisection is at work in this source tree, or the file system refuses.
    pub fn open(
        repository: &'a Repository,
        variant: Variant,
        keep: bool,
        cancel: &CancellationToken,
    ) -> Result<Self, Failure> {
        let folder = repository.root.join("target/parallax/bisect");
        fs::create_dir_all(folder.join("target")).map_err(at(&folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let message =
                    "a bisection or a diff of revisions is at work in this source tree: wait for it";
                return Err(Failure { status: Status::Setup, message: message.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        let images =
            Self { repository, folder, variant, keep, cancel: cancel.clone(), built: 0, _lock: lock };
        images.tidy()?;
        Ok(images)
    }

    /// Removes what a bisection that was killed has left: its worktree, and images that are not whole.
    fn tidy(&self) -> Result<(), Failure> {
        for entry in fs::read_dir(self.folder.join("source")).into_iter().flatten().flatten() {
            self.remove(&entry.path())?;
        }
        for entry in fs::read_dir(self.folder.join("images")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// The images of `commit`; `Err` of the inner result tells why it cannot be built.
    ///
    /// # Errors
    /// There is no compiler or no room, or the user cancelled.
    pub fn of(&mut self, commit: &Commit) -> Result<Result<BuiltImages, String>, Failure> {
        let variant = if self.variant == Variant::Faults { "faults" } else { "normal" };
        let place = self.folder.join("images").join(format!("{}-{variant}", commit.key));
        let tree = self.tree();
        let root = tree.join(&self.repository.prefix);
        let images = || BuiltImages::of_files(&root, FILES.map(|name| place.join(name))).map_err(at(&place));
        if place.is_dir() {
            if paths::are_in_file(&place.join(FILES[0])) {
                return images().map(Ok);
            }
            // Built by a Parallax whose images had the paths of a folder that is no longer known.
            fs::remove_dir_all(&place).map_err(at(&place))?;
        }
        parallax_engine::note!(
            "{}  building {} (a minute or more; its images are kept for the next time)",
            commit.short(),
            visible::line(&commit.subject)
        );
        self.check_out(commit, &tree)?;
        let result = self.build(&root, &place);
        self.leave(commit, &tree)?;
        match result {
            Ok(()) => images().map(Ok),
            Err(ToolchainError::Failed { command, tail, .. }) => {
                let error = tail.lines().find(|line| line.starts_with("error")).unwrap_or("it failed");
                Ok(Err(format!("does not build: {error} (`{command}`)")))
            }
            Err(error @ (ToolchainError::Flatten { .. } | ToolchainError::NoImageHeader(_))) => {
                Ok(Err(format!("does not build: {error}")))
            }
            Err(error) => Err(MachineError::from(error).into()),
        }
    }

    /// Lends the sources of `commit` to `look`, for what is told of its images: lines of source are read there.
    ///
    /// # Errors
    /// Git refuses.
    pub fn with_sources<T>(&self, commit: &Commit, look: impl FnOnce() -> T) -> Result<T, Failure> {
        let tree = self.tree();
        self.check_out(commit, &tree)?;
        let seen = look();
        self.leave(commit, &tree)?;
        Ok(seen)
    }

    /// Where each worktree is at first.
    fn tree(&self) -> PathBuf {
        self.folder.join("source/tree")
    }

    /// Removes the worktree of `commit`, or puts it where it stays.
    fn leave(&self, commit: &Commit, tree: &Path) -> Result<(), Failure> {
        if !self.keep {
            return self.remove(tree);
        }
        let kept = self.folder.join("kept");
        fs::create_dir_all(&kept).map_err(at(&kept))?;
        let kept = kept.join(&commit.key);
        if kept.exists() {
            self.remove(&kept)?;
        }
        self.repository.git(&["worktree", "move", &tree.to_string_lossy(), &kept.to_string_lossy()])?;
        Ok(())
    }

    fn check_out(&self, commit: &Commit, tree: &Path) -> Result<(), Failure> {
        if tree.exists() {
            self.remove(tree)?;
        }
        let path = tree.to_string_lossy();
        self.repository.git(&["worktree", "add", "--quiet", "--detach", "--force", &path, &commit.id])?;
        let target = tree.join(&self.repository.prefix).join("target");
        std::os::unix::fs::symlink(self.folder.join("target"), &target).map_err(at(&target))
    }

    fn remove(&self, tree: &Path) -> Result<(), Failure> {
        if self
            .repository
            .git(&["worktree", "remove", "--force", "--force", &tree.to_string_lossy()])
            .is_err()
        {
            // What is left of one that was interrupted.
            fs::remove_dir_all(tree).map_err(at(tree))?;
            self.repository.git(&["worktree", "prune"])?;
        }
        Ok(())
    }

    fn build(&mut self, root: &Path, place: &Path) -> Result<(), ToolchainError> {
        self.built += 1;
        let made = toolchain::build(root, self.variant, &self.cancel)?;
        let parent = self.folder.join("images");
        let io = |source| ToolchainError::Io { path: place.to_owned(), source };
        fs::create_dir_all(&parent).map_err(io)?;
        prune(&parent).map_err(io)?;
        let new = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&parent).map_err(io)?;
        let from = [&made.hyp_elf, &made.payload_elf, &made.hyp_img, &made.payload_img];
        for (name, from) in FILES.into_iter().zip(from) {
            fs::copy(from, new.path().join(name)).map_err(io)?;
        }
        fs::rename(new.keep(), place).map_err(io)
    }
}

/// Makes room for one more.
fn prune(folder: &Path) -> std::io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        all.push((entry.metadata()?.modified()?, entry.path()));
    }
    all.sort();
    let excess = all.len().saturating_sub(KEPT - 1);
    all.iter().take(excess).try_for_each(|(_, path)| fs::remove_dir_all(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |error| Failure { status: Status::Setup, message: format!("{}: {error}", path.display()) }
}
