//! `parallax accept`: take results that differ from their goldens.
//!
//! ```text
//! golden/good/share.snap
//! 1 golden taken
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::print;
use crate::cli::Accept;
use crate::golden::{self, Place};
use crate::project;
use crate::status::{Failure, Status};

/// Runs it.
pub(super) fn accept(args: &Accept) -> Result<Status> {
    let mut pending = Vec::new();
    if args.paths.is_empty() {
        let folder = project::root(&[])?.join("golden");
        if folder.is_dir() {
            pending = golden::pending_under(&folder).map_err(Failure::usage)?;
        }
    }
    for path in &args.paths {
        pending.extend(pending_of(path)?);
    }
    let mut text = String::new();
    for path in &pending {
        let golden = golden::accept(path).map_err(Failure::usage)?;
        writeln!(text, "{}", shown(&golden).display())?;
    }
    match pending.len() {
        0 => text.push_str("nothing waits to be taken\n"),
        1 => text.push_str("1 golden taken\n"),
        count => writeln!(text, "{count} goldens taken")?,
    }
    print(&text)?;
    Ok(Status::Same)
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
    // Goldens of the traces in a folder, and pending ones in the folder itself.
    let mirrored = Place::of(&path.join("any.trace")).golden;
    let mut folders = vec![path.to_owned()];
    folders.extend(mirrored.parent().filter(|folder| folder.is_dir() && *folder != path).map(Path::to_owned));
    let mut pending = Vec::new();
    for folder in folders {
        pending.extend(golden::pending_under(&folder).map_err(Failure::usage)?);
    }
    pending.sort();
    pending.dedup();
    Ok(pending)
}

/// `path` as seen from the working folder.
fn shown(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_traces_stands_for_its_goldens() {
        let root = tempfile::tempdir().unwrap();
        let trace = root.path().join("traces/good/x.trace");
        std::fs::create_dir_all(trace.parent().unwrap()).unwrap();
        std::fs::write(&trace, "nop").unwrap();
        assert!(pending_of(&trace).is_err());
        let place = Place::of(&trace);
        golden::save(&place, &place.pending(), "1: nop -> ok").unwrap();
        for path in ["traces", "traces/good", "traces/good/x.trace", "golden", "golden/good/x.snap.new"] {
            assert_eq!(pending_of(&root.path().join(path)).unwrap(), [place.pending()], "{path}");
        }
        assert!(pending_of(&root.path().join("nowhere")).is_err());
    }
}
