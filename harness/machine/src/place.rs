//! Where a file goes that is written to a name, and what it is written to before it is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// So many links the system follows, one after the other.
const MOST_LINKS: usize = 40;

/// The name that `path` leads to: where it is a link, that of what it leads to, whether that is there or not.
#[must_use]
pub fn led_to(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or_else(|| Path::new("")).join(target);
    }
    path
}

/// The folder of `path`.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A file beside `path` that takes its place once it is whole; its name ends in `suffix`. Errors do not name it: nobody asked for it.
///
/// # Errors
/// The file system refused.
pub fn draft_beside(path: &Path, suffix: &str) -> io::Result<NamedTempFile> {
    let open = |name: &Path| -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(name)
    };
    tempfile::Builder::new().prefix(".parallax-").suffix(suffix).make_in(folder_of(path), open)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).unwrap();
        symlink(at("c"), at("b")).unwrap();
        assert_eq!(led_to(&at("a")), at("c"));
        std::fs::write(at("c"), "x").unwrap();
        assert_eq!(led_to(&at("a")), at("c"));
        assert_eq!(led_to(&at("d")), at("d"));
        // A circle leads nowhere, and is not followed for good.
        symlink("y", at("x")).unwrap();
        symlink("x", at("y")).unwrap();
        assert!(led_to(&at("x")).starts_with(folder.path()));
    }

    #[test]
    fn an_error_names_no_file_that_nobody_asked_for() {
        let error = draft_beside(Path::new("/proc/nowhere"), ".part").unwrap_err();
        assert!(!error.to_string().contains("parallax"), "{error}");
        assert_eq!(folder_of(Path::new("a")), Path::new("."));
    }
}
