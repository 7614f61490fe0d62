//! Files below a folder, which may be any folder: each folder is looked into once, and not without end.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files and folders that are looked at.
const MOST: usize = 200_000;

/// A folder that cannot be looked through.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct WalkError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub cause: io::Error,
}

/// What is below `folder` and no folder, in order of name, where `wanted` holds for its path. A folder that several
/// links lead to is looked into once.
///
/// # Errors
/// A folder cannot be read, there is too much in it, or it is the root of all.
pub fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, WalkError> {
    files_up_to(MOST, folder, &wanted)
}

fn files_up_to(
    most: usize,
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, WalkError> {
    let fail = |path: &Path, cause| WalkError { path: path.to_owned(), cause };
    let refuse = |what: String| fail(folder, io::Error::new(ErrorKind::InvalidInput, what));
    if fs::canonicalize(folder).is_ok_and(|folder| folder.parent().is_none()) {
        return Err(refuse("the root of all folders: name one further down".to_owned()));
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut count = 0_usize;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let io = |cause| fail(&folder, cause);
        let metadata = fs::metadata(&folder).map_err(io)?;
        if !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            count += 1;
            if count > most {
                return Err(refuse(format!(
                    "more than {most} files and folders in it: name one further down"
                )));
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_lead_back_are_no_way_without_end() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/x"), "").unwrap();
        fs::write(at("a/y"), "").unwrap();
        for link in ["a/one", "a/two", "a/b/three", "a/b/four"] {
            symlink(root.path(), at(link)).unwrap();
        }
        let names = files(root.path(), |_| true).unwrap();
        assert_eq!(names, [at("a/b/x"), at("a/y")]);
        assert_eq!(files(root.path(), |path| path.ends_with("y")).unwrap(), [at("a/y")]);
    }

    #[test]
    fn too_much_is_refused_and_so_is_everything() {
        let root = tempfile::tempdir().unwrap();
        for name in 0..5 {
            fs::write(root.path().join(name.to_string()), "").unwrap();
        }
        assert_eq!(files_up_to(5, root.path(), &|_| true).unwrap().len(), 5);
        let error = files_up_to(4, root.path(), &|_| true).unwrap_err().to_string();
        assert!(error.ends_with(": more than 4 files and folders in it: name one further down"), "{error}");
        let error = files(Path::new("/"), |_| true).unwrap_err().to_string();
        assert_eq!(error, "/: the root of all folders: name one further down");
    }
}
