//! The folder of a server's files: where it is does not change from one start to the next, so that an editor's settings can
//! name it, and what a server left that was killed goes away with the next start.
//!
//! All servers of a user have a folder each in one that is the user's own. A server holds a lock on its folder as long as it
//! lives; the kernel takes it away with the process, whatever ends that. A folder without such a lock is nobody's.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Who may do what in the folder: its user alone, since gdb runs what is in it.
const PRIVATE: u32 = 0o700;
/// Bits of a folder's mode that let others write.
const OTHERS_WRITE: u32 = 0o022;

/// A folder, which goes away with this.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked as long as the folder is in use.
    _lock: File,
}

impl Folder {
    /// The folder `name` among those of this user in `temporary`; sweeps what is nobody's there.
    ///
    /// # Errors
    /// The user's folder is not theirs alone, `name` is in use, or a folder cannot be made.
    pub(super) fn new(temporary: &Path, name: &str) -> io::Result<Self> {
        let user = fs::metadata("/proc/self")?.uid();
        let all = temporary.join(format!("parallax-gdb-{user}"));
        let _all = own(&all, user)?;
        for entry in fs::read_dir(&all)? {
            let path = entry?.path();
            let Ok(folder) = File::open(&path) else { continue };
            match folder.try_lock() {
                Ok(()) => {
                    // Its server may have removed it itself in the meantime.
                    there(fs::remove_dir_all(&path))?;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let path = all.join(name);
        DirBuilder::new().mode(PRIVATE).create(&path)?;
        let lock = File::open(&path)?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next start. The user's own folder goes with the last one in it, and not
        // while another server is about to make its own.
        let Some(all) = self.path.parent() else { return };
        let lock = File::open(all).and_then(|folder| folder.lock().map(|()| folder));
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_dir(all);
        drop(lock);
    }
}

/// Makes or takes the folder at `path`, which must be the user's own, and locks it.
fn own(path: &Path, user: u32) -> io::Result<File> {
    loop {
        match DirBuilder::new().mode(PRIVATE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let Some(found) = there(fs::symlink_metadata(path))? else { continue };
        if !found.is_dir() || found.uid() != user || found.mode() & OTHERS_WRITE != 0 {
            let text = format!("{} is there and is not a folder that is yours alone", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let Some(folder) = there(File::open(path))? else { continue };
        folder.lock()?;
        // Another server may have removed it before this one had the lock.
        if fs::metadata(path).is_ok_and(|now| now.ino() == found.ino()) {
            return Ok(folder);
        }
    }
}

/// What is there, if it is.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_nobody_holds_is_swept_and_what_is_in_use_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let first = Folder::new(temporary.path(), "1").unwrap();
        let all = first.path().parent().unwrap().to_owned();
        fs::create_dir_all(all.join("2")).unwrap();
        fs::write(all.join("2/gdbinit"), "left by a server that was killed").unwrap();
        let second = Folder::new(temporary.path(), "2").unwrap();
        assert!(first.path().exists());
        assert_eq!(fs::read_dir(second.path()).unwrap().count(), 0);
        assert!(Folder::new(temporary.path(), "1").is_err(), "two servers in one folder");
        drop(first);
        assert!(all.exists());
        drop(second);
        assert!(!all.exists());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let temporary = tempfile::tempdir().unwrap();
        let all = Folder::new(temporary.path(), "1").unwrap().path().parent().unwrap().to_owned();
        fs::create_dir(&all).unwrap();
        fs::set_permissions(&all, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Folder::new(temporary.path(), "1").unwrap_err();
        assert!(error.to_string().contains("yours alone"), "{error}");
        fs::remove_dir(&all).unwrap();
        std::os::unix::fs::symlink(temporary.path(), &all).unwrap();
        assert!(Folder::new(temporary.path(), "1").is_err(), "a link");
    }
}
