//! `cargo xtask pr`: the quick form for a pull request, which traces are not as agreed.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::ends::Failure;
use crate::room::{Room, print, say};

pub(crate) const EXAMPLE: &str = "\
Traces (and goldens) that changed since BASE are run; all, if anything else did that they run on, or one was removed. The
goldens that changed since then are listed too.

Examples:
  cargo xtask pr                     # a branch that will be merged into origin/main
  cargo xtask pr HEAD~1              # the last commit, and what is in none

Exit status: as `parallax run`; 2 no commit is called BASE, 125 git does not work here, or the command could not be
built.";

/// What traces run on: folders, and how files begin in the root.
const RUN_ON: &[&str] = &["hyp/", "harness/", "qemu-plugins/", ".cargo/", "Cargo."];

/// Arguments of `pr`.
#[derive(Debug, Args)]
pub(crate) struct Pr {
    /// What the branch will be merged into
    #[arg(default_value = "origin/main")]
    base: String,
}

pub(crate) fn pr(room: &Room, arguments: &Pr) -> Result<()> {
    let changes = Changes::since(room, &arguments.base)?;
    say("pr: building the command first; that takes minutes where nothing of it is built yet");
    let parallax = room.build()?;
    let traces = changes.traces(room.root());
    if traces.is_empty() {
        let base = &arguments.base;
        return print(format!("No trace, no golden and nothing that they run on changed since {base}."));
    }
    let run = room.run(parallax).words(["run", "--format", "markdown", "--since", &changes.since]);
    match run.words(traces).status()? {
        0 => Ok(()),
        // It has said why.
        status => Err(Failure { status: u8::try_from(status).unwrap_or(1), message: String::new() }.into()),
    }
}

/// What changed since a branch began.
#[derive(Debug)]
struct Changes {
    /// The commit where it began.
    since: String,
    /// Files that changed, are new, or are gone.
    changed: Vec<String>,
}

impl Changes {
    /// Those of the working tree, since it and `base` parted.
    fn since(room: &Room, base: &str) -> Result<Self> {
        let git = |words: &[&str]| room.run("git").words(words).text();
        let commit = format!("{base}^{{commit}}");
        let known =
            room.run("git").words(["rev-parse", "-q", "--verify", "--end-of-options", &commit]).done()?;
        match known.status {
            0 => (),
            1 => return Err(Failure::usage(format!("no commit is called {base}: git fetch")).into()),
            _ => {
                let message = format!("git cannot look for {base}: {}", known.error.trim());
                return Err(Failure::setup(message).into());
            }
        }
        let parted = room.run("git").words(["merge-base", base, "HEAD"]).done()?;
        if parted.status != 0 {
            let message = format!("HEAD and {base} have no commit in common: git fetch --unshallow");
            return Err(Failure::usage(message).into());
        }
        let since = parted.out.trim();
        let changed = git(&["diff", "--name-only", "-z", "--no-ext-diff", "--no-renames", since])?
            + &git(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let changed = changed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        Ok(Self { since: git(&["rev-parse", "--short", since])?, changed })
    }

    /// What is to be run of the source tree at `root`: traces, or their folder.
    fn traces(&self, root: &Path) -> BTreeSet<String> {
        let of_all = |path: &String| {
            let of_one = trace_of(path).is_some() && root.join(path).is_file();
            let of_traces = path.starts_with("traces/") || path.starts_with("golden/");
            RUN_ON.iter().any(|begin| path.starts_with(begin)) || of_traces && !of_one
        };
        if self.changed.iter().any(of_all) {
            return BTreeSet::from(["traces".to_owned()]);
        }
        let traces = self.changed.iter().filter_map(|path| trace_of(path));
        // A golden without its trace is for a run of everything to tell.
        traces.filter(|trace| root.join(trace).is_file()).collect()
    }
}

/// The trace that a file is, or that it is the golden of.
fn trace_of(path: &str) -> Option<String> {
    if path.starts_with("traces/") && path.ends_with(".trace") {
        return Some(path.to_owned());
    }
    let name = path.strip_prefix("golden/")?.strip_suffix(".snap")?;
    Some(format!("traces/{name}.trace"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ends::status_of;

    /// A repository with two traces and their goldens, and a branch `base`.
    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            write(folder.path(), &format!("traces/good/{name}.trace"), "1");
            write(folder.path(), &format!("golden/good/{name}.snap"), "1");
        }
        git(folder.path(), &["init", "-q"]);
        commit(folder.path());
        git(folder.path(), &["branch", "base"]);
        folder
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(root: &Path, words: &[&str]) {
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        Room::at(root).run("git").words(who).words(words).quiet().unwrap();
    }

    fn commit(root: &Path) {
        git(root, &["add", "-A"]);
        git(root, &["commit", "-q", "-m", "m"]);
    }

    fn chosen(root: &Path) -> Vec<String> {
        Changes::since(&Room::at(root), "base").unwrap().traces(root).into_iter().collect()
    }

    #[test]
    fn a_trace_and_its_golden_are_one_trace_committed_or_not() {
        let folder = repository();
        let root = folder.path();
        assert_eq!(chosen(root), [""; 0]);
        write(root, "docs/a page.md", "text");
        write(root, "golden/good/b.snap", "2");
        commit(root);
        assert_eq!(chosen(root), ["traces/good/b.trace"]);
        write(root, "traces/good/b.trace", "2");
        write(root, "traces/good/a.trace", "2");
        assert_eq!(chosen(root), ["traces/good/a.trace", "traces/good/b.trace"]);
        write(root, "golden/good/without.snap", "1");
        commit(root);
        assert_eq!(chosen(root), ["traces/good/a.trace", "traces/good/b.trace"]);
    }

    #[test]
    fn all_run_where_something_changed_that_they_run_on_or_one_is_gone() {
        for changed in ["hyp/core/src/lib.rs", "harness/a.rs", ".cargo/config.toml", "Cargo.lock"] {
            let folder = repository();
            write(folder.path(), changed, "text");
            commit(folder.path());
            assert_eq!(chosen(folder.path()), ["traces"], "{changed}");
        }
        for changed in ["traces/trees/x.dts", "traces/pkvm/.target", "hyp/src/new.rs"] {
            let folder = repository();
            write(folder.path(), changed, "text");
            assert_eq!(chosen(folder.path()), ["traces"], "{changed}, which git does not track");
        }
        for gone in ["hyp/core/src/lib.rs", "harness/a.rs", "golden/good/a.snap"] {
            let folder = repository();
            let root = folder.path();
            write(root, gone, "text");
            commit(root);
            git(root, &["branch", "-f", "base"]);
            fs::rename(root.join(gone), root.join("elsewhere")).unwrap();
            assert_eq!(chosen(root), ["traces"], "{gone}");
            commit(root);
            assert_eq!(chosen(root), ["traces"], "{gone}");
        }
        let folder = repository();
        write(folder.path(), "ci/hyp/Cargo.toml", "text");
        commit(folder.path());
        assert_eq!(chosen(folder.path()), [""; 0]);
        fs::rename(folder.path().join("traces/good/a.trace"), folder.path().join("traces/good/c.trace"))
            .unwrap();
        commit(folder.path());
        assert_eq!(chosen(folder.path()), ["traces"]);
    }

    #[test]
    fn what_changed_in_the_base_meanwhile_does_not_count() {
        let folder = repository();
        let root = folder.path();
        git(root, &["checkout", "-q", "base"]);
        write(root, "traces/good/b.trace", "2");
        commit(root);
        git(root, &["checkout", "-q", "-"]);
        write(root, "traces/good/a.trace", "2");
        commit(root);
        assert_eq!(chosen(root), ["traces/good/a.trace"]);
        let none = Changes::since(&Room::at(root), "no-such").unwrap_err();
        assert_eq!(
            (status_of(&none), none.to_string()),
            (2, "no commit is called no-such: git fetch".to_owned())
        );
        fs::remove_dir_all(root.join(".git")).unwrap();
        let none = Changes::since(&Room::at(root), "base").unwrap_err();
        assert!(none.to_string().contains("not a git repository"), "{none}");
        assert_eq!(status_of(&none), 125);
    }
}
