//! `parallax accept`: take results that differ from their goldens.
//!
//! ```text
//! golden/good/share.snap
//! 1 golden taken
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden::{self, Place};

use super::print;
use crate::cli::Accept;

/// Runs it.
pub(super) fn accept(args: &Accept) -> Result<Status> {
    let pending = match args.paths.as_slice() {
        [] => pending_in(&project::root(&[])?.join("golden"))?,
        paths => pending_of_all(paths)?,
    };
    refuse(&pending, args.even_with_findings)?;
    let mut text = String::new();
    for (taken, path) in pending.iter().enumerate() {
        let golden = golden::accept(path).map_err(|error| {
            let left = pending.len() - taken;
            Failure::usage(format!(
                "{error}\n{taken} taken, {left} go on waiting: say it again when that is mended"
            ))
        })?;
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

/// What waits under `folder`, which may be missing.
pub(super) fn pending_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if folder.is_dir() { golden::pending_under(folder).map_err(Failure::usage) } else { Ok(Vec::new()) }
}

/// What waits for any of `paths`: traces, pending goldens, or folders of either.
pub(super) fn pending_of_all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut pending = Vec::new();
    for path in paths {
        pending.extend(pending_of(path)?);
    }
    // The same one may be meant twice.
    pending.sort();
    pending.dedup();
    Ok(pending)
}

/// Nothing is taken if anything speaks against any of `pending`.
fn refuse(pending: &[PathBuf], even_with_findings: bool) -> Result<(), Failure> {
    let mut refused = Vec::new();
    let mut only_findings = true;
    for path in pending {
        for objection in golden::objections(path).map_err(Failure::usage)? {
            if !(even_with_findings && objection.can_be_overruled()) {
                only_findings &= objection.can_be_overruled();
                refused.push(format!("{}: {objection}", shown(path).display()));
            }
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let remedy = if only_findings {
        "mend what was found, or take it with --even-with-findings"
    } else {
        "`parallax review` rejects what is of no use any more"
    };
    let message = format!("{}\nnothing was taken: {remedy}", refused.join("\n"));
    Err(Failure { status: Status::Diverged, message })
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

    /// The place of a trace that is there.
    fn place(root: &Path, folder: &str, name: &str) -> Place {
        let trace = root.join(format!("traces/{folder}/{name}.trace"));
        std::fs::create_dir_all(trace.parent().unwrap()).unwrap();
        std::fs::write(&trace, "nop").unwrap();
        Place::of(&trace)
    }

    #[test]
    fn one_that_cannot_be_taken_keeps_all_from_being_taken() {
        let root = tempfile::tempdir().unwrap();
        let [a, found, stale] = ["a", "b", "c"].map(|name| place(root.path(), "good", name));
        golden::save(&a, &a.pending(), "1: nop -> ok").unwrap();
        golden::save(&found, &found.pending(), "1: nop -> ok\n   ! sync/extra smmu a").unwrap();
        let all = || Accept { paths: vec![root.path().join("traces")], even_with_findings: true };
        golden::save(&stale, &stale.pending(), "1: nop -> ok\n2: nop -> ok").unwrap();
        let error = accept(&all()).unwrap_err().to_string();
        assert!(error.contains("c.snap.new: its trace changed since, in line 2"), "{error}");
        std::fs::write(stale.pending(), "---\nsource: [\n---\n1: nop -> ok\n").unwrap();
        assert!(accept(&all()).unwrap_err().to_string().contains("no insta snapshot"));
        assert!([&a, &found, &stale].iter().all(|place| place.pending().exists() && !place.golden.exists()));
        golden::save(&stale, &stale.pending(), "1: nop -> ok").unwrap();
        let twice = vec![a.pending(), root.path().join("traces"), root.path().join("golden")];
        accept(&Accept { paths: twice, even_with_findings: true }).unwrap();
        assert!([&a, &found, &stale].iter().all(|place| place.golden.exists() && !place.pending().exists()));
    }

    #[test]
    fn findings_are_taken_only_on_demand_or_where_they_are_wanted() {
        let root = tempfile::tempdir().unwrap();
        for (folder, refused) in [("good", true), ("bad", false)] {
            let place = place(root.path(), folder, "x");
            golden::save(&place, &place.pending(), "1: nop -> ok\n   ! sync/extra smmu a").unwrap();
            let args = |even_with_findings| Accept { paths: vec![place.pending()], even_with_findings };
            assert_eq!(accept(&args(false)).is_err(), refused, "{folder}");
            assert_eq!(place.golden.exists(), !refused, "{folder}");
            if refused {
                accept(&args(true)).unwrap();
                assert!(place.golden.exists() && !place.pending().exists(), "{folder}");
            }
        }
    }

    #[test]
    fn a_folder_of_traces_stands_for_its_goldens() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path(), "good", "x");
        assert!(pending_of(&root.path().join("traces/good/x.trace")).is_err());
        golden::save(&place, &place.pending(), "1: nop -> ok").unwrap();
        for path in ["traces", "traces/good", "traces/good/x.trace", "golden", "golden/good/x.snap.new"] {
            assert_eq!(pending_of(&root.path().join(path)).unwrap(), [place.pending()], "{path}");
        }
        assert!(pending_of(&root.path().join("nowhere")).is_err());
    }
}
