//! Traces that are made for one target: a file [`MARK`] in their folder names it. They stand under `traces/` with all others, and a run on
//! another target leaves them out unless it is told of that very folder.

use std::path::Path;

use parallax_report::regular;

/// The file.
pub const MARK: &str = ".target";
/// The longest name that it can hold, in bytes.
const MOST: u64 = 256;

/// The target that the traces of `folder` are made for; none if they are for any.
#[must_use]
pub fn target_of(folder: &Path) -> Option<String> {
    let bytes = regular::read(&folder.join(MARK), MOST).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|name| !name.is_empty())
}

/// Whether a run on `target` that was told of folder `named` takes the trace at `path`.
pub(crate) fn is_taken(path: &Path, named: &Path, target: &str) -> bool {
    let folder = path.parent().unwrap_or(named);
    folder == named || target_of(folder).is_none_or(|made_for| made_for == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_target_is_left_out_unless_it_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("other");
        std::fs::create_dir(&folder).unwrap();
        let trace = folder.join("a.trace");
        assert!(is_taken(&trace, root.path(), "hyp"));
        std::fs::write(folder.join(MARK), "xen\n").unwrap();
        assert_eq!(target_of(&folder).as_deref(), Some("xen"));
        assert!(!is_taken(&trace, root.path(), "hyp") && is_taken(&trace, root.path(), "xen"));
        assert!(is_taken(&trace, &folder, "hyp"));
    }
}
