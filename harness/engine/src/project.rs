//! The source tree that a command works in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::status::Failure;

/// What only the root of the source tree has.
const MARK: &str = "hyp/abi/Cargo.toml";

/// The root of the source tree: the innermost one around the working folder, or else around one of `hints`.
///
/// # Errors
/// There is none.
pub fn root(hints: &[PathBuf]) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    let starts = std::iter::once(here).chain(hints.iter().filter_map(|hint| std::path::absolute(hint).ok()));
    starts.into_iter().find_map(|start| around(&start)).ok_or_else(|| {
        Failure::usage(format!("no Parallax source tree here: run this inside of one (it has {MARK})"))
    })
}

fn around(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(MARK).is_file()).map(Path::to_owned)
}

/// The revision of the source tree at `root`, as git names it; `unknown` where git knows none.
#[must_use]
pub fn revision(root: &Path) -> String {
    let output = Command::new("git").arg("-C").arg(root).args(["describe", "--always", "--dirty"]).output();
    let text = output.ok().filter(|output| output.status.success());
    let text = text.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

/// Whether `paths` of the source tree at `root` are those of `revision`, as [`revision`] named it once.
#[must_use]
pub fn same_sources(root: &Path, revision: &str, paths: &[&str]) -> bool {
    // Of a tree with changes the name does not say which ones; and git is to take it for no option.
    let named =
        !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if !named || revision.starts_with('-') || revision.ends_with("-dirty") {
        return false;
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["diff", "--quiet", revision, "--"]).args(paths);
    git.output().is_ok_and(|output| output.status.success())
}

/// When `paths` of the source tree at `root` were last changed by a commit; nothing where git does not know.
#[must_use]
pub fn committed(root: &Path, paths: &[&str]) -> Option<SystemTime> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["log", "-1", "--format=%ct", "HEAD", "--"]).args(paths);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_anywhere_below_it() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(around(&here.join("src")), here.ancestors().nth(2).map(Path::to_owned));
    }

    #[test]
    fn elsewhere_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(around(folder.path()), None);
        assert_eq!(revision(folder.path()), "unknown");
        assert!(!same_sources(folder.path(), "HEAD", &["hyp"]));
        assert_eq!(committed(folder.path(), &["hyp"]), None);
    }
}
