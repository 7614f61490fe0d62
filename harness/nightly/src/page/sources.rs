//! What git knows of the revisions of nights.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Commits that are listed.
const COMMITS: usize = 30;

/// The source tree that git is asked about.
#[derive(Clone, Debug)]
pub struct Sources {
    root: Option<PathBuf>,
}

impl Sources {
    /// That at `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: Some(root.to_owned()) }
    }

    /// None: nothing is known of revisions.
    #[must_use]
    pub const fn none() -> Self {
        Self { root: None }
    }

    /// The commits after `before` up to `now`, the last ones first, and how many more there are; nothing if git does not know them.
    pub(super) fn commits(&self, before: &str, now: &str) -> Option<(Vec<String>, usize)> {
        let (root, before, now) = (self.root.as_ref()?, revision(before)?, revision(now)?);
        let range = format!("{before}..{now}");
        let mut git = Command::new("git");
        git.arg("-C").arg(root).args(["log", "--oneline", "--no-decorate", &range, "--"]);
        let output = git.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let more = lines.len().saturating_sub(COMMITS);
        lines.truncate(COMMITS);
        Some((lines, more))
    }
}

/// The commit that git's description of a source tree begins with; git is to take it for no option.
pub(super) fn revision(described: &str) -> Option<&str> {
    let name = described.strip_suffix("-dirty").unwrap_or(described);
    let named = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    (named && !name.is_empty() && !name.starts_with('-') && name != "unknown").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_between_two_nights_are_listed_the_last_first() {
        let folder = tempfile::tempdir().unwrap();
        let git = |words: &[&str]| {
            let mut git = Command::new("git");
            git.arg("-C").arg(folder.path()).args(["-c", "user.name=n", "-c", "user.email=e@example.org"]);
            let output = git.args(words).output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        git(&["init", "-q"]);
        for number in 0..40 {
            git(&["commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", &format!("commit {number}")]);
        }
        let sources = Sources::at(folder.path());
        let (first, last) = (git(&["rev-parse", "--short", "HEAD~36"]), git(&["rev-parse", "HEAD"]));
        let (lines, more) = sources.commits(&first, &(last + "-dirty")).unwrap();
        assert!(lines[0].ends_with(" commit 39"), "{lines:?}");
        assert_eq!((lines.len(), more), (30, 6));
        for revision in ["nowhere", "--output=x", "unknown", ""] {
            assert_eq!(sources.commits(revision, "HEAD"), None, "{revision}");
        }
        assert_eq!(sources.commits("HEAD", "HEAD"), Some((Vec::new(), 0)));
        assert_eq!(Sources::none().commits(&first, "HEAD"), None);
    }
}
