//! A clone of what is committed, and what is done in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::edits::Edit;
use crate::child::Child;
use crate::ends::Failure;
use crate::room::Room;

/// Where bisections have their images, and what they build.
pub(super) const IMAGES: &str = "target/parallax/bisect/images";
/// What is in the worktree of a revision once it is being built.
const BUILDING: &str = "target/parallax/bisect/source/tree/target";
const BUILDS: &str = "parallax/bisect/target/hyp";
/// The same history has the same names each time.
const IDENTITY: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "Planted"),
    ("GIT_AUTHOR_EMAIL", "planted@example.org"),
    ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
    ("GIT_COMMITTER_NAME", "Planted"),
    ("GIT_COMMITTER_EMAIL", "planted@example.org"),
    ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
];

/// The clone.
pub(super) struct Clone<'a> {
    pub(super) room: &'a Room,
    /// Its folder.
    pub(super) tree: PathBuf,
    /// The command of the source tree.
    parallax: PathBuf,
    /// Where reports go.
    pub(super) reports: PathBuf,
    /// The commit that it was made of.
    pub(super) good: String,
}

impl<'a> Clone<'a> {
    /// Makes it at `tree`, or brings the one that is there up to date, without its images.
    pub(super) fn new(room: &'a Room, tree: PathBuf, reports: PathBuf) -> Result<Self> {
        let parallax = room.parallax()?;
        for folder in [&reports, &tree.join("..")] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        if !tree.join(".git").is_dir() {
            room.run("git").words(["clone", "-q", "--shared"]).word(room.root()).word(&tree).good()?;
        }
        fs::create_dir_all(tree.join("target").join(BUILDS))?;
        let images = tree.join(IMAGES);
        if images.exists() {
            fs::remove_dir_all(&images).with_context(|| format!("cannot remove {}", images.display()))?;
        }
        let link = tree.join("target/hyp");
        if fs::symlink_metadata(&link).is_err() {
            symlink(BUILDS, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
        let mut clone = Self { room, tree, parallax, reports, good: String::new() };
        clone.run("git").words(["fetch", "-q"]).word(room.root()).word("HEAD").good()?;
        clone.git(&["reset", "-q", "--hard"])?;
        clone.at("FETCH_HEAD")?;
        clone.good = clone.head()?;
        Ok(clone)
    }

    /// What `git` with `words` prints.
    pub(super) fn git(&self, words: &[&str]) -> Result<String> {
        let git = self.run("git").words(["-c", "commit.gpgsign=false"]);
        IDENTITY
            .iter()
            .fold(git, |git, (name, value)| git.variable(name, Some(value.as_ref())))
            .words(words)
            .text()
    }

    /// The command with `words`.
    pub(super) fn parallax(&self, words: &[&str]) -> Child<'_> {
        self.run(&self.parallax).words(words)
    }

    /// A bisection from `good` of `trace`, alone: it can be killed.
    pub(super) fn bisect_alone(&self, trace: &str) -> Child<'_> {
        let bisect = self.room.run_alone(&self.parallax).within(&self.tree);
        bisect.words(["bisect", "--good", &self.good, "--trace", trace])
    }

    fn run(&self, program: impl AsRef<std::ffi::OsStr>) -> Child<'_> {
        self.room.run(program).within(&self.tree)
    }

    /// Checks a commit out.
    pub(super) fn at(&self, commit: &str) -> Result<()> {
        self.git(&["checkout", "-q", "--detach", commit]).map(drop)
    }

    /// The name of the commit that is checked out.
    pub(super) fn head(&self) -> Result<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits all that changed; the commit's name.
    pub(super) fn save(&self, subject: &str) -> Result<String> {
        self.git(&["commit", "-q", "-a", "-m", subject])?;
        self.head()
    }

    /// Makes an edit.
    pub(super) fn edit(&self, edit: &Edit) -> Result<()> {
        self.change(edit.file, |text| edit.apply(text))
    }

    /// Commits an edit.
    pub(super) fn plant(&self, edit: &Edit, subject: &str) -> Result<String> {
        self.edit(edit)?;
        self.save(subject)
    }

    /// Commits a change that no behaviour shows.
    pub(super) fn harmless(&self, file: &str, subject: &str) -> Result<()> {
        self.touch(file)?;
        self.save(subject).map(drop)
    }

    /// A change that no behaviour shows.
    pub(super) fn touch(&self, file: &str) -> Result<()> {
        self.change(file, |text| Ok(format!("{text}\n// Touched.\n")))
    }

    /// Commits a line more of a page.
    pub(super) fn page(&self, line: &str, subject: &str) -> Result<()> {
        self.change("docs/DEVELOPING.md", |text| Ok(format!("{text}\n{line}\n")))?;
        self.save(subject).map(drop)
    }

    /// Commits what does not build, and then what builds again.
    pub(super) fn broken(&self) -> Result<()> {
        const FILE: &str = "hyp/core/src/regions.rs";
        const BROKEN: &str = "fn broken( {\n";
        self.change(FILE, |text| Ok(format!("{text}\n{BROKEN}")))?;
        self.save("regions: does not build")?;
        self.change(FILE, |text| Ok(text.strip_suffix(BROKEN).unwrap_or(text).to_owned()))?;
        self.save("regions: builds again").map(drop)
    }

    fn change(&self, file: &str, change: impl Fn(&str) -> Result<String>) -> Result<()> {
        let path = self.tree.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, change(&text)?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// How many worktrees it has, its own included.
    pub(super) fn worktrees(&self) -> Result<usize> {
        Ok(self.git(&["worktree", "list"])?.lines().count())
    }

    /// Whether a revision is checked out and being built.
    pub(super) fn builds(&self) -> bool {
        fs::symlink_metadata(self.tree.join(BUILDING)).is_ok()
    }

    /// Runs a bisection of `trace` from the good commit; its report is `name`, which must hold all `texts`.
    pub(super) fn found(&self, trace: &str, words: &[&str], name: &str, texts: &[&str]) -> Result<()> {
        let bisect = self.parallax(&["bisect", "--good", &self.good, "--trace", trace]).words(words);
        bisect.out_to(&self.reports.join(name))?.good()?;
        texts.iter().try_for_each(|text| self.expect(name, text))
    }

    /// Runs a bisection of `trace` that must be refused as wrong usage, with a message that holds `text`.
    pub(super) fn refused(&self, trace: &str, words: &[&str], text: &str) -> Result<()> {
        let bisect = self.parallax(&["bisect"]).words(words).words(["--trace", trace]);
        let done = bisect.done()?;
        fs::write(self.reports.join("refused.txt"), &done.error)?;
        must(done.status == 2, || {
            format!("exit status {}, not 2, of bisect {}", done.status, words.join(" "))
        })?;
        self.expect("refused.txt", text)
    }

    /// Has git bisect up to what is checked out, with the command as it is; `planted` must be the first bad commit.
    pub(super) fn by_git(&self, trace: &str, name: &str, planted: &str) -> Result<()> {
        self.git(&["bisect", "start", "HEAD", &self.good])?;
        let run = self.run("git").words(["bisect", "run"]).word(&self.parallax);
        let done = run.words(["run", "--no-golden", trace]).done()?;
        fs::write(self.reports.join(name), done.out + &done.error)?;
        must(done.status == 0, || format!("git bisect run ended with {}", done.status))?;
        self.expect(name, &format!("{planted} is the first bad commit"))?;
        self.run("git").words(["bisect", "reset"]).quiet()
    }

    /// An error, if the report `name` does not hold `text`.
    pub(super) fn expect(&self, name: &str, text: &str) -> Result<()> {
        let path = self.reports.join(name);
        must(self.report(name)?.contains(text), || format!("{} does not say: {text}", path.display()))
    }

    /// The report `name`.
    pub(super) fn report(&self, name: &str) -> Result<String> {
        let path = self.reports.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// An error that says `what`, unless something is as it must be.
pub(super) fn must(good: bool, what: impl FnOnce() -> String) -> Result<()> {
    if good { Ok(()) } else { Err(Failure::different(what()).into()) }
}
