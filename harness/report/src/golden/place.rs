//! Where the golden of a trace is.

use std::path::{Component, Path, PathBuf};

use super::GoldenError;
use crate::walk;

/// Name of the folder that holds traces; its sibling [`GOLDEN`] holds their goldens.
const TRACES: &str = "traces";
/// Name of the folder that holds goldens.
const GOLDEN: &str = "golden";

/// The golden of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace's name in its project: `traces/good/share.trace`.
    pub label: String,
    /// The golden.
    pub golden: PathBuf,
}

impl Place {
    /// The place for the trace at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let components: Vec<Component<'_>> = absolute.components().collect();
        let folders = &components[..components.len().saturating_sub(1)];
        let Some(at) = folders.iter().rposition(|component| component.as_os_str() == TRACES) else {
            let label = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Self { label, golden: absolute.with_extension("snap") };
        };
        let root: PathBuf = components[..at].iter().collect();
        let inside: PathBuf = components[at + 1..].iter().collect();
        let label = Path::new(TRACES).join(&inside).to_string_lossy().into_owned();
        Self { label, golden: root.join(GOLDEN).join(inside).with_extension("snap") }
    }

    /// The result that waits for a review.
    #[must_use]
    pub fn pending(&self) -> PathBuf {
        self.golden.with_extension("snap.new")
    }
}

/// The trace that the golden at `golden` is of, whether it is there or not: the other way round than [`Place::of`].
#[must_use]
pub fn trace_of(golden: &Path) -> PathBuf {
    let beside = golden.with_extension("trace");
    if beside.is_file() {
        return beside;
    }
    let components: Vec<Component<'_>> = beside.components().collect();
    let folders = &components[..components.len().saturating_sub(1)];
    match folders.iter().rposition(|component| component.as_os_str() == GOLDEN) {
        Some(at) => {
            let root: PathBuf = components[..at].iter().collect();
            root.join(TRACES).join(components[at + 1..].iter().collect::<PathBuf>())
        }
        None => beside,
    }
}

/// Every `*.snap.new` under `folder` (or `folder` itself, if it is one), in order of name.
///
/// # Errors
/// A folder cannot be read.
pub fn pending_under(folder: &Path) -> Result<Vec<PathBuf>, GoldenError> {
    let is_pending = |path: &Path| path.to_string_lossy().ends_with(".snap.new");
    if folder.is_file() {
        return Ok(if is_pending(folder) { vec![folder.to_owned()] } else { Vec::new() });
    }
    Ok(walk::files(folder, is_pending)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goldens_mirror_the_tree_of_traces() {
        let place = Place::of(Path::new("/p/traces/good/share.trace"));
        assert_eq!(place.golden, Path::new("/p/golden/good/share.snap"));
        assert_eq!(place.pending(), Path::new("/p/golden/good/share.snap.new"));
        assert_eq!(place.label, "traces/good/share.trace");
    }

    #[test]
    fn the_innermost_traces_folder_counts() {
        let place = Place::of(Path::new("/traces/p/traces/x.trace"));
        assert_eq!(place.golden, Path::new("/traces/p/golden/x.snap"));
    }

    #[test]
    fn a_golden_leads_back_to_its_trace() {
        for (golden, trace) in [
            ("/p/golden/good/a.snap", "/p/traces/good/a.trace"),
            ("/golden/p/golden/a.snap", "/golden/p/traces/a.trace"),
            ("golden/bad/a.snap", "traces/bad/a.trace"),
            ("/q/a.snap", "/q/a.trace"),
        ] {
            assert_eq!(trace_of(Path::new(golden)), Path::new(trace));
        }
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("golden/x.trace");
        std::fs::create_dir_all(beside.parent().unwrap()).unwrap();
        std::fs::write(&beside, "nop").unwrap();
        assert_eq!(trace_of(&beside.with_extension("snap")), beside);
    }

    #[test]
    fn a_trace_elsewhere_has_its_golden_beside_it() {
        let place = Place::of(Path::new("/p/x.trace"));
        assert_eq!((place.label.as_str(), place.golden.as_path()), ("x.trace", Path::new("/p/x.snap")));
    }
}
