//! Files that are written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use parallax_machine::place::{draft_beside, led_to};

/// Puts `bytes` into the file at `path`, in one step. What is there and is no file, such as a pipe, is written to: it
/// cannot be replaced. A link stays one: the file that it leads to is replaced, or made where there is none.
///
/// # Errors
/// The file system refused; what was at `path` is still there then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let path = led_to(path);
    let mut file = draft_beside(&path, ".part")?;
    file.as_file_mut().write_all(bytes)?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = UnixListener::bind(&path).unwrap();
        assert!(write(&path, b"x").is_err());
        assert!(!path.is_file());
        write(&folder.path().join("file"), b"x").unwrap();
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"x");
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        // Where it leads to nothing, what it leads to is made, as whoever opens it would do.
        std::fs::remove_file(&file).unwrap();
        write(&link, b"newer").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(file).unwrap(), b"newer");
    }
}
