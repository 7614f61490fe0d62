//! Which results wait for somebody to take them.

use std::path::{Path, PathBuf};

use parallax_engine::status::Failure;

use super::{Place, pending_under};

/// What waits under `folder`, which may be missing.
///
/// # Errors
/// The folder cannot be read.
pub fn pending_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if folder.is_dir() { pending_under(folder).map_err(Failure::from) } else { Ok(Vec::new()) }
}

/// What waits for any of `paths`: traces, pending goldens, or folders of either.
///
/// # Errors
/// There is nothing at one of them, nothing waits for a trace, or a folder cannot be read.
pub fn pending_of_all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut pending = Vec::new();
    for path in paths {
        pending.extend(pending_of(path)?);
    }
    // The same one may be meant twice.
    pending.sort();
    pending.dedup();
    Ok(pending)
}

/// What waits for `path`: a trace, a pending golden, or a folder of either.
fn pending_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let known = path.try_exists().unwrap_or(false);
    if !known {
        return Err(Failure::usage(format!("{}: no such file or folder", path.display())));
    }
    if path.extension().is_some_and(|extension| extension == "trace") {
        let pending = Place::of(path).pending();
        let waits = pending.is_file();
        let nothing = || Failure::usage(format!("{}: nothing waits to be taken", path.display()));
        return waits.then(|| vec![pending]).ok_or_else(nothing);
    }
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Goldens of the traces in a folder, and pending ones in the folder itself.
    let mirrored = Place::of(&path.join("any.trace")).golden;
    let mut folders = vec![path.to_owned()];
    folders.extend(mirrored.parent().filter(|folder| folder.is_dir() && *folder != path).map(Path::to_owned));
    let mut pending = Vec::new();
    for folder in folders {
        pending.extend(pending_under(&folder)?);
    }
    pending.sort();
    pending.dedup();
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::super::save;
    use super::*;

    /// The place of a trace that is there.
    fn place(root: &Path, folder: &str, name: &str) -> Place {
        let trace = root.join(format!("traces/{folder}/{name}.trace"));
        std::fs::create_dir_all(trace.parent().unwrap()).unwrap();
        std::fs::write(&trace, "nop").unwrap();
        Place::of(&trace)
    }

    #[test]
    fn a_folder_of_traces_stands_for_its_goldens() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path(), "good", "x");
        assert!(pending_of(&root.path().join("traces/good/x.trace")).is_err());
        save(&place, &place.pending(), "1: nop -> ok").unwrap();
        for path in ["traces", "traces/good", "traces/good/x.trace", "golden", "golden/good/x.snap.new"] {
            assert_eq!(pending_of(&root.path().join(path)).unwrap(), [place.pending()], "{path}");
        }
        assert!(pending_of(&root.path().join("nowhere")).is_err());
    }
}
