//! A folder of a task, which goes away with it. What a task left that was killed goes with the next one of its kind.
//!
//! A task holds a lock on its folder as long as it lives; the kernel takes it away with the process, whatever ends that. A folder
//! without such a lock is nobody's.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A file in each of them, which says that a task may remove it.
const MARK: &str = ".of-a-task";

/// A folder in use.
pub(crate) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// A new one in `place`, whose name begins with `name`, once those of killed tasks are swept there.
    pub(crate) fn new(place: &Path, name: &str) -> Result<Self> {
        Self::make(place, name).with_context(|| format!("no folder can be made in {}", place.display()))
    }

    fn make(place: &Path, name: &str) -> Result<Self> {
        let prefix = format!("{name}.");
        for entry in fs::read_dir(place)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                sweep(&entry.path());
            }
        }
        loop {
            let private = Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new().prefix(&prefix).permissions(private).tempdir_in(place)?;
            let lock = File::open(folder.path())?;
            lock.lock()?;
            fs::write(folder.path().join(MARK), "")?;
            // Another task may have swept it before this one had the lock.
            let inode = lock.metadata()?.ino();
            if fs::metadata(folder.path()).is_ok_and(|now| now.ino() == inode) {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folder at `path` if a task made it and none has it. One that is another user's stays.
fn sweep(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
        && fs::symlink_metadata(path.join(MARK)).is_ok_and(|mark| mark.is_file())
        && let Ok(folder) = File::open(path)
        && folder.try_lock().is_ok()
    {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nobodys_is_swept_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("moved.old/deep")).unwrap();
        fs::write(at("moved.old").join(MARK), "").unwrap();
        fs::create_dir_all(at("moved.mine/deep")).unwrap();
        fs::create_dir(at("moved")).unwrap();
        fs::create_dir(at("other.old")).unwrap();
        std::os::unix::fs::symlink(at("other.old"), at("moved.link")).unwrap();
        let used = Folder::new(place.path(), "moved").unwrap();
        assert!(!at("moved.old").exists() && at("moved.mine/deep").exists());
        let path = used.path().to_owned();
        let second = Folder::new(place.path(), "moved").unwrap();
        assert!(
            path.is_dir() && at("moved").is_dir() && at("other.old").is_dir() && at("moved.link").exists()
        );
        drop((used, second));
        assert!(!path.exists());
    }
}
