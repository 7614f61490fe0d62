//! The commits between a good and a bad revision, as git tells them.
//!
//! The row follows first parents: a merge counts as one commit, with all that it brought. So the row is a line, in
//! which the first bad commit is well defined; of a merge the report says how to go on inside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use parallax_engine::status::{Failure, Status};

/// What an image is built from, below the root of the source tree.
const INPUTS: &[&str] = &["hyp", ".cargo", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];
/// Variables by which a surrounding git (a hook, `git bisect run`) points at another place.
const FOREIGN_VARIABLES: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its full name.
    pub id: String,
    /// First line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Stands for all that its images are built from: two commits with the same key have the same images.
    pub key: String,
    /// Stands for the images and the further files that were asked for.
    pub trial: String,
}

impl Commit {
    /// The name as people write it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.id[..12.min(self.id.len())]
    }
}

/// The git repository around a source tree.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The source tree's root.
    pub root: PathBuf,
    /// Where the source tree is in the repository: empty, or a folder with a slash behind it.
    pub prefix: String,
}

impl Repository {
    /// The one around the source tree at `root`.
    ///
    /// # Errors
    /// There is none, or no git.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let mut repository = Self { root: root.to_owned(), prefix: String::new() };
        repository.prefix = repository.git(&["rev-parse", "--show-prefix"])?;
        Ok(repository)
    }

    /// What `git ARGUMENTS` prints, without the last line's end.
    ///
    /// # Errors
    /// Git cannot be run, or refuses; the message is its own.
    pub fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(["-c", "core.hooksPath=/dev/null"]).args(arguments);
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        let output = command.output().map_err(|error| Failure {
            status: Status::Setup,
            message: format!("cannot run git: {error}: install it"),
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(Failure::usage(format!("git {}: {}", arguments.join(" "), why.trim_end())))
    }

    /// The contents of `path` (below the root of the source tree) in `commit`; `None` if it has no such file.
    #[must_use]
    pub fn file(&self, commit: &Commit, path: &str) -> Option<String> {
        self.git(&["show", &format!("{}:{}{path}", commit.id, self.prefix)]).ok().map(|text| text + "\n")
    }

    /// What of an image's inputs differs between two commits.
    ///
    /// # Errors
    /// Git refuses.
    pub fn difference(&self, before: &str, after: &str) -> Result<String, Failure> {
        self.git(&[&["diff", "--no-color", "--no-ext-diff", before, after, "--"], INPUTS].concat())
    }

    /// Whether the working tree has the inputs of an image as `commit` has them.
    #[must_use]
    pub fn stands_as(&self, commit: &Commit) -> bool {
        let untracked = &["ls-files", "--others", "--exclude-standard", "--"];
        self.git(&[&["diff", "--quiet", &commit.id, "--"], INPUTS].concat()).is_ok()
            && self.git(&[untracked, INPUTS].concat()).is_ok_and(|files| files.is_empty())
    }

    /// The good commit and those after it up to the bad one, in order. `files` are further files, below the root of the
    /// source tree, that a trial depends on.
    ///
    /// # Errors
    /// A revision is unknown, or the good one is no ancestor of the bad one, or the same.
    pub fn range(&self, good: &str, bad: &str, files: &[String]) -> Result<Vec<Commit>, Failure> {
        let (good_id, bad_id) = (self.resolve(good)?, self.resolve(bad)?);
        if good_id == bad_id {
            return Err(Failure::usage(format!(
                "--good {good} and --bad {bad} are the same commit: nothing lies between them"
            )));
        }
        if self.git(&["merge-base", "--is-ancestor", &good_id, &bad_id]).is_err() {
            let turned = self.git(&["merge-base", "--is-ancestor", &bad_id, &good_id]).is_ok();
            let remedy = match self.git(&["merge-base", &good_id, &bad_id]) {
                _ if turned => format!("it is the other way round: --good {bad} --bad {good}"),
                Ok(base) => format!("they have {} in common: if that is good, --good {0}", &base[..12]),
                Err(_) => self.shallow("they have no commit in common"),
            };
            return Err(Failure::usage(format!("--good {good} is no ancestor of --bad {bad}; {remedy}")));
        }
        let between =
            self.git(&["rev-list", "--first-parent", "--reverse", &format!("{good_id}..{bad_id}")])?;
        std::iter::once(good_id.as_str()).chain(between.lines()).map(|id| self.commit(id, files)).collect()
    }

    /// The commit that `revision` names.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn revision(&self, revision: &str) -> Result<Commit, Failure> {
        self.commit(&self.resolve(revision)?, &[])
    }

    fn resolve(&self, revision: &str) -> Result<String, Failure> {
        self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
            .map_err(|_| Failure::usage(self.shallow(&format!("no commit is called `{revision}` here"))))
    }

    /// `what`, and the remedy if the history is not all there.
    fn shallow(&self, what: &str) -> String {
        match self.git(&["rev-parse", "--is-shallow-repository"]).as_deref() {
            Ok("true") => format!("{what}; this clone is shallow: git fetch --unshallow --tags"),
            _ => what.to_owned(),
        }
    }

    fn commit(&self, id: &str, files: &[String]) -> Result<Commit, Failure> {
        let about = self.git(&["show", "--no-patch", "--format=%P%n%an%n%s", id])?;
        let mut about = about.lines().map(str::to_owned);
        let parents = about.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let author = about.next().unwrap_or_default();
        let subject = about.next().unwrap_or_default();
        let tree = |paths: &[&str]| self.git(&[&["ls-tree", id, "--"], paths].concat());
        let inputs = tree(INPUTS)?;
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let further = if files.is_empty() { String::new() } else { tree(&files)? };
        let key = hash(&inputs);
        Ok(Commit {
            id: id.to_owned(),
            subject,
            author,
            parents,
            trial: hash(&(inputs + "\n" + &further)),
            key,
        })
    }

    /// Refuses changes to what images are built from that are in no commit.
    ///
    /// # Errors
    /// There are some.
    pub fn clean(&self) -> Result<(), Failure> {
        let changed = self.git(&[&["status", "--porcelain", "--"], INPUTS].concat())?;
        match changed.lines().next() {
            None => Ok(()),
            Some(first) => Err(Failure::usage(format!(
                "changes of the hypervisor are in no commit ({}, {} in all): commit or stash them, or name --bad",
                first.trim(),
                changed.lines().count()
            ))),
        }
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "history_tests.rs"]
pub(super) mod tests;
