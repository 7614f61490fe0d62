//! Goldens that no trace refers to: what they agree on is checked by nobody.

use std::path::{Path, PathBuf};

use super::{GoldenError, Place};
use crate::walk;

/// Every golden or pending golden, in the folders that mirror `folders` of traces, whose trace is not there; in order of name.
///
/// # Errors
/// A folder cannot be read.
pub fn orphans(folders: &[PathBuf]) -> Result<Vec<PathBuf>, GoldenError> {
    let mut found = Vec::new();
    for folder in folders {
        let mirrored = Place::of(&folder.join("any.trace")).golden;
        if let Some(goldens) = mirrored.parent().filter(|goldens| goldens.is_dir()) {
            descend(goldens, folder, &mut found)?;
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The same of the folders among `traces`, as seen from the project's `root`.
///
/// # Errors
/// A folder cannot be read.
pub fn orphan_names(traces: &[PathBuf], root: &Path) -> Result<Vec<String>, GoldenError> {
    let folders: Vec<PathBuf> = traces.iter().filter(|path| path.is_dir()).cloned().collect();
    let orphans = orphans(&folders)?;
    Ok(orphans.iter().map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect())
}

/// Those among `goldens`, the folder that mirrors `traces`.
fn descend(goldens: &Path, traces: &Path, found: &mut Vec<PathBuf>) -> Result<(), GoldenError> {
    found.extend(walk::files(goldens, |path| {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return false };
        let stem = name.strip_suffix(".snap").or_else(|| name.strip_suffix(".snap.new"));
        let folder = path.parent().and_then(|folder| folder.strip_prefix(goldens).ok());
        let (Some(stem), Some(folder)) = (stem, folder) else { return false };
        !traces.join(folder).join(format!("{stem}.trace")).is_file()
    })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn a_golden_without_its_trace_is_found_wherever_it_is() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &["traces/good/a.trace", "golden/good/a.snap", "golden/good/a.snap.new"]);
        let traces = root.path().join("traces");
        assert!(orphans(std::slice::from_ref(&traces)).unwrap().is_empty());
        put(root.path(), &["golden/good/b.snap", "golden/bad/c.snap.new", "golden/traces.rs"]);
        let names = |folders: &[PathBuf]| -> Vec<String> {
            let strip = |path: &PathBuf| path.strip_prefix(root.path()).unwrap().display().to_string();
            orphans(folders).unwrap().iter().map(strip).collect()
        };
        assert_eq!(names(std::slice::from_ref(&traces)), ["golden/bad/c.snap.new", "golden/good/b.snap"]);
        assert_eq!(names(&[traces.join("good"), traces.join("good")]), ["golden/good/b.snap"]);
    }

    #[test]
    fn traces_without_a_folder_of_goldens_have_no_orphans() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &["traces/a.trace"]);
        assert!(orphans(&[root.path().join("traces")]).unwrap().is_empty());
    }
}
