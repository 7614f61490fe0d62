//! `parallax accept`: take results that differ from their goldens.
//!
//! ```text
//! golden/good/share.snap
//! 1 golden taken
//! ```

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden;

use super::output::print;
use crate::cli::Accept;

/// Runs it.
pub(super) fn accept(args: &Accept) -> Result<Status> {
    let pending = match args.paths.as_slice() {
        [] => golden::pending_in(&project::root(&[])?.join("golden"))?,
        paths => golden::pending_of_all(paths)?,
    };
    refuse(&pending, args.even_with_findings)?;
    print(&take(&pending)?)?;
    Ok(Status::Same)
}

/// Takes all of `pending`, and tells which.
fn take(pending: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    let mut taken = 0;
    for (done, path) in pending.iter().enumerate() {
        match golden::accept(path) {
            Ok(golden) => {
                writeln!(text, "{}", shown(&golden).display())?;
                taken += 1;
            }
            // Another command was faster.
            Err(_) if is_gone(path) => writeln!(text, "{}: does not wait any more", shown(path).display())?,
            Err(error) => {
                let left = pending[done..].iter().filter(|path| !is_gone(path)).count();
                let Failure { status, message } = error.into();
                let left = format!("{taken} taken, {left} go on waiting: say it again when that is mended");
                return Err(Failure { status, message: format!("{message}\n{left}") }.into());
            }
        }
    }
    match taken {
        0 => text.push_str("nothing waits to be taken\n"),
        1 => text.push_str("1 golden taken\n"),
        count => writeln!(text, "{count} goldens taken")?,
    }
    Ok(text)
}

/// Whether nothing waits at `path`, not even a link.
fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Nothing is taken if anything speaks against any of `pending`.
fn refuse(pending: &[PathBuf], even_with_findings: bool) -> Result<(), Failure> {
    let mut refused = Vec::new();
    let mut only_findings = true;
    for path in pending {
        for objection in golden::objections(path)? {
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

/// `path` as seen from the working folder.
fn shown(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use parallax_report::golden::Place;

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
        assert!(error.contains("c.snap.new: it is the result of an older text of its trace, which changed in line 2: run that again"), "{error}");
        std::fs::write(stale.pending(), "---\nsource: [\n---\n1: nop -> ok\n").unwrap();
        assert!(accept(&all()).unwrap_err().to_string().contains("no insta snapshot"));
        assert!([&a, &found, &stale].iter().all(|place| place.pending().exists() && !place.golden.exists()));
        golden::save(&stale, &stale.pending(), "1: nop -> ok").unwrap();
        let twice = vec![a.pending(), root.path().join("traces"), root.path().join("golden")];
        accept(&Accept { paths: twice, even_with_findings: true }).unwrap();
        assert!([&a, &found, &stale].iter().all(|place| place.golden.exists() && !place.pending().exists()));
    }

    #[test]
    fn what_another_command_took_meanwhile_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| place(root.path(), "good", name));
        for place in [&a, &b] {
            golden::save(place, &place.pending(), "1: nop -> ok").unwrap();
        }
        let pending = [a.pending(), b.pending()];
        golden::accept(&a.pending()).unwrap();
        let text = take(&pending).unwrap();
        assert!(
            text.contains("a.snap.new: does not wait any more\n") && text.ends_with("1 golden taken\n"),
            "{text}"
        );
        assert!(take(&pending).unwrap().ends_with("nothing waits to be taken\n"));
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
}
