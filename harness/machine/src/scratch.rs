//! Folders for files that nobody needs afterwards: sockets of QEMU, an initramfs, a recording that is read once.
//!
//! A process that is killed leaves its folders. Each is locked while it is in use, so the next process finds those that are
//! nobody's, and removes them.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// How their names begin, in the folder of `TMPDIR`.
const PREFIX: &str = "parallax-run-";
/// What tells such a folder from one that a user has called so: a file in it, empty.
const MARK: &str = ".parallax-scratch";
/// One that is this young may be about to be locked.
const YOUNG: Duration = Duration::from_secs(60);

/// A new folder, which goes with this.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one that is the user's alone, whatever the umask. The first one of a process sweeps those that are nobody's.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        let places = std::env::temp_dir();
        SWEPT.call_once(|| sweep(&places, YOUNG));
        Self::in_folder(&places).map_err(|error| {
            let what = "a folder for files that are needed for a moment; set TMPDIR to one that takes files";
            io::Error::new(error.kind(), format!("{}: {error}: {what}", places.display()))
        })
    }

    fn in_folder(places: &Path) -> io::Result<Self> {
        let only_mine = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(PREFIX).permissions(only_mine).tempdir_in(places)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        File::create(folder.path().join(MARK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what is nobody's and at least as old as `young`. What cannot be removed stays: that is no error of whoever comes by.
fn sweep(places: &Path, young: Duration) {
    let Ok(user) = fs::metadata("/proc/self").map(|own| own.uid()) else { return };
    for entry in fs::read_dir(places).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let old = |data: &Metadata| data.modified().is_ok_and(|at| age(at) >= young);
        let ours = |data: &Metadata| data.is_dir() && data.uid() == user && data.mode() & 0o777 == 0o700;
        let is_one = name.to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|data| ours(&data) && old(&data))
            && fs::symlink_metadata(path.join(MARK)).is_ok_and(|mark| mark.is_file() && mark.len() == 0);
        if is_one && File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn age(at: SystemTime) -> Duration {
    at.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nobodys_is_swept_and_what_is_somebodys_is_not() {
        let places = tempfile::tempdir().unwrap();
        let mine = Scratch::in_folder(places.path()).unwrap();
        assert_eq!(mine.path().metadata().unwrap().mode() & 0o777, 0o700);
        let made = |name: &str| {
            let path = places.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            fs::write(path.join("file"), "x").unwrap();
            path
        };
        let (left, foreign) = (made("parallax-run-left"), made("parallax-results"));
        let users = made("parallax-run-results");
        [&left, &foreign].iter().for_each(|folder| fs::write(folder.join(MARK), "").unwrap());
        std::os::unix::fs::symlink(&foreign, places.path().join("parallax-run-link")).unwrap();
        sweep(places.path(), YOUNG);
        assert!(left.exists(), "it may be about to be locked");
        sweep(places.path(), Duration::ZERO);
        assert!(!left.exists() && mine.path().exists());
        assert!(foreign.join("file").exists() && users.join("file").exists(), "those are a user's");
        let path = mine.path().to_owned();
        drop(mine);
        assert!(!path.exists());
    }
}
