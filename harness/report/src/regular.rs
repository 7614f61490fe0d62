//! Files that may be anything, such as a pipe or a device without an end: they are read only where they are files, and
//! of a size that such a file has.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Refuses what `path` leads to, if it is no file of at most `most` bytes.
///
/// # Errors
/// What it is, or why that cannot be known.
pub fn check(path: &Path, most: u64) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let refuse = |what: String| Err(io::Error::new(ErrorKind::InvalidInput, what));
    match kind(metadata.file_type()) {
        Some(kind) => refuse(kind.to_owned()),
        None if metadata.len() > most => refuse(too_large(most)),
        None => Ok(()),
    }
}

/// What `path` leads to, which is at most `most` bytes.
///
/// # Errors
/// As [`check`].
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    check(path, most)?;
    read_any(path, most)
}

/// What `path` leads to, be it a file or not, if it ends within `most` bytes.
///
/// # Errors
/// It is longer, or cannot be read.
pub fn read_any(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::InvalidInput, too_large(most)));
    }
    Ok(bytes)
}

fn too_large(most: u64) -> String {
    format!("larger than {} MiB", most >> 20)
}

/// What is no file; none for a file.
fn kind(kind: FileType) -> Option<&'static str> {
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_file_of_its_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::write(at("file"), vec![b'x'; 1 << 20]).unwrap();
        File::create(at("large")).unwrap().set_len(3 << 30).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        let said = |path: &Path| read(path, 1 << 20).map_err(|error| error.to_string());
        assert_eq!(said(&at("file")).unwrap().len(), 1 << 20);
        assert_eq!(said(&at("link")).unwrap().len(), 1 << 20);
        for (path, what) in [
            (at("socket"), "a socket"),
            (at("large"), "larger than 1 MiB"),
            (folder.path().to_owned(), "a folder"),
            ("/dev/zero".into(), "a device"),
        ] {
            assert_eq!(said(&path).unwrap_err(), what);
        }
        assert_eq!(read_any(Path::new("/dev/zero"), 1 << 20).unwrap_err().to_string(), "larger than 1 MiB");
    }
}
