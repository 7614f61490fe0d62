//! Files that two processes share and that no folder has: nothing is left of them however their owners end.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file without a name in any folder. QEMU opens it through this process's open files (`/proc/PID/fd`), while this process lives.
#[derive(Debug)]
pub struct UnlinkedFile {
    file: File,
    path: PathBuf,
}

impl UnlinkedFile {
    /// A file of `len` bytes in memory if there is a file system for it, else where `dir` is.
    ///
    /// # Errors
    /// There is room for it nowhere.
    pub fn create(dir: &Path, len: u64) -> io::Result<Self> {
        let file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile_in(dir))?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(len)?;
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        Ok(Self { file, path })
    }

    /// It, opened.
    #[must_use]
    pub const fn as_file(&self) -> &File {
        &self.file
    }

    /// What another process of the same user opens it by, as long as this one holds it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_opens_it_and_no_folder_has_it() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let shared = UnlinkedFile::create(dir.path(), 1 << 30).unwrap();
        let data = shared.as_file().metadata().unwrap();
        assert_eq!((data.nlink(), data.mode() & 0o777), (0, 0o600));
        assert_eq!((data.len(), data.blocks()), (1 << 30, 0), "it is sparse");
        let seen =
            std::process::Command::new("stat").args(["-L", "-c", "%i"]).arg(shared.path()).output().unwrap();
        assert_eq!(String::from_utf8(seen.stdout).unwrap().trim(), data.ino().to_string());
    }
}
