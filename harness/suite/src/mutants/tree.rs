//! A copy of the source tree, in which one file at a time is changed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax_engine::status::{Failure, Status};

use super::list::Mutant;
use crate::cases::Case;

/// The copy: what git knows of the tree, as it is now, under `target/parallax/mutants/tree`. What is built there is in
/// `target/parallax/mutants/target`, and stays for the next time.
pub struct Tree {
    /// Its root.
    pub root: PathBuf,
    _lock: File,
}

/// A mutant in the copy; dropped, it is out of it again.
#[derive(Debug)]
pub struct Planted {
    path: PathBuf,
    text: String,
}

impl Tree {
    /// Copies the source tree at `from`.
    ///
    /// # Errors
    /// Another one is at work there, git does not know the tree, or the file system refuses.
    pub fn copy(from: &Path) -> Result<Self, Failure> {
        let folder = from.join("target/parallax/mutants");
        let (root, target) = (folder.join("tree"), folder.join("target"));
        fs::create_dir_all(&target).map_err(at(&target))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let message = "mutants are tried in this source tree already: wait for that".to_owned();
                return Err(Failure { status: Status::Setup, message });
            }
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        if root.exists() {
            fs::remove_dir_all(&root).map_err(at(&root))?;
        }
        for name in names(from)? {
            let (old, new) = (from.join(&name), root.join(&name));
            // One that is deleted and not committed is none.
            if !old.is_file() {
                continue;
            }
            let parent = new.parent().unwrap_or(&root);
            fs::create_dir_all(parent).map_err(at(parent))?;
            fs::copy(&old, &new).map_err(at(&new))?;
        }
        let link = root.join("target");
        std::os::unix::fs::symlink(&target, &link).map_err(at(&link))?;
        Ok(Self { root, _lock: lock })
    }

    /// Copies the goldens of `cases`, which have those from now on: what a mutant does is left for no review.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn take_goldens(&self, cases: &mut [Case]) -> Result<(), Failure> {
        let folder = self.root.with_file_name("golden");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(at(&folder))?;
        }
        fs::create_dir(&folder).map_err(at(&folder))?;
        for (index, case) in cases.iter_mut().enumerate() {
            let golden = folder.join(format!("{index}.snap"));
            if case.place.golden.is_file() {
                fs::copy(&case.place.golden, &golden).map_err(at(&golden))?;
            }
            case.place.golden = golden;
        }
        Ok(())
    }

    /// Makes the change of `mutant`.
    ///
    /// # Errors
    /// The file is not there, or not as it was when the mutant was listed.
    pub fn plant(&self, mutant: &Mutant) -> Result<Planted, Failure> {
        let path = self.root.join(&mutant.file);
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        let Some(changed) = mutant.applied(&text) else {
            return Err(Failure::usage(format!("{}: that place is not in the file", mutant.name())));
        };
        let planted = Planted { path, text };
        fs::write(&planted.path, changed).map_err(at(&planted.path))?;
        Ok(planted)
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // The next one that is planted in this file would fail where this did.
        _ = fs::write(&self.path, &self.text);
    }
}

/// The files that git knows, and those that it would take.
fn names(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    use std::os::unix::ffi::OsStrExt;
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let setup = |message: String| Failure { status: Status::Setup, message };
    let output = git.output().map_err(|error| setup(format!("cannot run git: {error}")))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(setup(format!("`git ls-files` failed: {}", error.trim())));
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name))).collect())
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |error| Failure { status: Status::Setup, message: format!("{}: {error}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::super::list::{Position, Span};
    use super::*;

    #[test]
    fn a_mutant_is_in_the_copy_only_and_only_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path();
        fs::create_dir(from.join("hyp")).unwrap();
        fs::write(from.join("hyp/a.rs"), "a + b\n").unwrap();
        fs::write(from.join(".gitignore"), "target\n").unwrap();
        assert!(Tree::copy(from).is_err(), "git knows nothing of it");
        assert!(Command::new("git").args(["init", "--quiet"]).arg(from).status().unwrap().success());
        let tree = Tree::copy(from).unwrap();
        assert!(Tree::copy(from).is_err_and(|failure| failure.message.contains("already")));
        let at = |column| Position { line: 1, column };
        let span = Span { start: at(3), end: at(4) };
        let (file, what, replacement) = ("hyp/a.rs".to_owned(), String::new(), "-".to_owned());
        let mutant = Mutant { file, what, source: String::new(), span, replacement };
        let read = |root: &Path| fs::read_to_string(root.join("hyp/a.rs")).unwrap();
        let planted = tree.plant(&mutant).unwrap();
        assert_eq!((read(&tree.root), read(from)), ("a - b\n".to_owned(), "a + b\n".to_owned()));
        drop(planted);
        assert_eq!(read(&tree.root), "a + b\n");
    }
}
