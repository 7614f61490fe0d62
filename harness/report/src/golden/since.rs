//! Goldens that are not those of another revision: what a pull request asks its reviewer to agree to.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;

use super::{GoldenError, Place, file, trace_of};
use crate::text_diff;

/// A golden that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its trace's name in the project.
    pub label: String,
    /// What became of it.
    pub what: What,
}

/// What became of a golden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// There was none; this is what is agreed now.
    New(String),
    /// It is gone.
    Removed,
    /// Something else was agreed: the difference.
    Changed(String),
}

/// Goldens that changed since a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The revision, as the user named it.
    pub revision: String,
    /// The goldens, in order of name.
    pub changes: Vec<Change>,
}

/// What changed since `revision` among the goldens of `traces` (traces or folders of them), in the source tree at
/// `root`.
///
/// # Errors
/// git knows no such revision; a golden cannot be read.
pub fn since(root: &Path, traces: &[PathBuf], revision: &str) -> Result<Since, GoldenError> {
    let git = Git { root };
    let commit = git.output(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &format!("{revision}^{{commit}}"),
    ]);
    let commit = commit.map_err(|_| GoldenError::Revision(revision.to_owned()))?;
    let commit = commit.trim();
    let mut names = git.names(&["diff", "--name-only", "--no-renames", "-z", commit, "--", "golden"])?;
    names.extend(git.names(&["ls-files", "--others", "--exclude-standard", "-z", "--", "golden"])?);
    names.sort();
    names.dedup();
    let folders: Vec<PathBuf> = traces.iter().map(|path| mirrored(path)).collect();
    let mut changes = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".snap")) {
        let golden = root.join(name);
        if !folders.iter().any(|folder| golden.starts_with(folder)) {
            continue;
        }
        let old =
            git.output(&["show", &format!("{commit}:{name}")]).ok().map(|bytes| text(&bytes)).transpose()?;
        let what = match (old, file::text(&golden)?) {
            (Some(old), Some(new)) if text_diff::same(&old, &new) => continue,
            (Some(old), Some(new)) => What::Changed(text_diff::unified(&old, &new)),
            (None, Some(new)) => What::New(new),
            (Some(_), None) => What::Removed,
            (None, None) => continue,
        };
        changes.push(Change { label: Place::of(&trace_of(&golden)).label, what });
    }
    Ok(Since { revision: revision.to_owned(), changes })
}

/// Where the goldens of `path` are, a trace or a folder.
fn mirrored(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "trace") {
        return Place::of(path).golden;
    }
    let golden = Place::of(&path.join("any.trace")).golden;
    golden.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// The text of a snapshot that is in no file.
fn text(snapshot: &str) -> Result<String, GoldenError> {
    let mut file = NamedTempFile::new().map_err(GoldenError::io(Path::new("a temporary file")))?;
    file.write_all(snapshot.as_bytes()).map_err(GoldenError::io(file.path()))?;
    Ok(file::text(file.path())?.unwrap_or_default())
}

struct Git<'a> {
    root: &'a Path,
}

impl Git<'_> {
    fn output(&self, args: &[&str]) -> Result<String, GoldenError> {
        let failed = |cause| GoldenError::Git { args: args.join(" "), cause };
        let output = Command::new("git").arg("-C").arg(self.root).args(args).output();
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn names(&self, args: &[&str]) -> Result<Vec<String>, GoldenError> {
        Ok(self.output(args)?.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::save;
    use super::*;

    fn git(root: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").arg("-C").arg(root).args(identity).args(args).status().unwrap();
        assert!(status.success(), "{args:?}");
    }

    #[test]
    fn what_changed_came_and_went_is_told() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let trace = root.path().join("traces").join(name);
            std::fs::create_dir_all(trace.parent().unwrap()).unwrap();
            std::fs::write(&trace, "nop").unwrap();
            let place = Place::of(&trace);
            save(&place, &place.golden, text).unwrap();
            place.golden
        };
        git(root.path(), &["init", "-q"]);
        for name in ["good/a", "good/b", "good/c", "bad/d"] {
            put(&format!("{name}.trace"), "1: nop -> ok");
        }
        let gone = put("good/gone.trace", "1: nop -> ok");
        git(root.path(), &["add", "-A"]);
        git(root.path(), &["commit", "-qm", "x"]);
        put("good/a.trace", "1: nop -> abort");
        put("bad/d.trace", "1: nop -> abort");
        put("good/new.trace", "1: nop -> ok");
        std::fs::remove_file(gone).unwrap();
        let said = |paths: &[&str]| -> Vec<(String, String)> {
            let paths: Vec<PathBuf> = paths.iter().map(|path| root.path().join(path)).collect();
            let Since { revision, changes } = since(root.path(), &paths, "HEAD").unwrap();
            assert_eq!(revision, "HEAD");
            let word = |change: Change| match change.what {
                What::New(text) => (change.label, format!("new {text}")),
                What::Removed => (change.label, "removed".to_owned()),
                What::Changed(diff) => {
                    (change.label, format!("changed {}", diff.contains("+1: nop -> abort")))
                }
            };
            changes.into_iter().map(word).collect()
        };
        let of = |label: &str, what: &str| (format!("traces/{label}.trace"), what.to_owned());
        let good =
            [of("good/a", "changed true"), of("good/gone", "removed"), of("good/new", "new 1: nop -> ok")];
        assert_eq!(said(&["traces/good"]), good);
        assert_eq!(said(&["traces"])[0], of("bad/d", "changed true"));
        assert_eq!(said(&["traces/good/a.trace"]), good[..1]);
        assert_eq!(said(&["traces/good/b.trace"]), []);
        let error = since(root.path(), &[], "--output=x").unwrap_err().to_string();
        assert!(error.contains("no commit"), "{error}");
    }
}
