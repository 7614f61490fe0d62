//! `cargo xtask examples`: what docs/DEVELOPING.md says of adding an operation, a check and a command.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::child::Child;
use crate::ends::{Failure, SETUP, status_of};
use crate::folder::Folder;
use crate::room::{Room, say};

pub(crate) const EXAMPLE: &str = "\
Each example of docs/examples is applied to what is committed, in a folder of its own, built, and looked at. Builds go to
target/examples.

Examples:
  cargo xtask examples               # minutes: the command is built three times

Exit status: 0 all do what the page says, 1 one does not, 125 git could not copy the source tree.";

pub(crate) fn examples(room: &Room) -> Result<()> {
    let folder = Folder::new(&env::temp_dir(), "parallax-examples")?;
    let tree = folder.path().join("tree");
    let clone = room.run("git").words(["clone", "-q", "--no-hardlinks"]).word(room.root()).word(&tree).good();
    clone.map_err(|error| match status_of(&error) {
        // A signal ends the task as it ends git.
        status if status > SETUP => error,
        _ => Failure::setup(format!("no copy of the source tree: {error}")).into(),
    })?;
    let at = Example { room, tree: &tree, target: room.root().join("target/examples") };

    at.build("operation")?;
    let trace = "traces/good/share_pinned.trace";
    let done = at.parallax(&["run", "--no-golden", trace]).done()?;
    wanted("operation", done.status == 0, &done.out)?;

    at.build("check")?;
    let done = at.parallax(&["run", "--no-golden", "traces/good/donate.trace"]).done()?;
    wanted("check", done.status != 0 && done.out.contains("sanity/split cpu"), &done.out)?;

    at.build("command")?;
    let done = at.parallax(&["rules"]).done()?;
    let listed = done.out.lines().any(|line| line.starts_with("isolation/reachable: "));
    wanted("command", done.status == 0 && listed, &done.out)?;
    say("examples: all as the page says");
    Ok(())
}

/// Where examples are tried.
struct Example<'a> {
    room: &'a Room,
    tree: &'a Path,
    target: PathBuf,
}

impl Example<'_> {
    /// The tree with one of them and no other, and the command built from that.
    fn build(&self, name: &str) -> Result<()> {
        say(format!("examples: {name}"));
        let git = |words: &[&str]| self.run("git").words(words).good();
        git(&["checkout", "-q", "--", "."])?;
        git(&["clean", "-qfd"])?;
        git(&["apply", &format!("docs/examples/{name}.patch")])?;
        self.run("cargo").words(["build", "--quiet", "--release", "-p", "parallax"]).good()
    }

    fn parallax(&self, words: &[&str]) -> Child<'_> {
        self.run(self.target.join("release/parallax")).words(words)
    }

    fn run(&self, program: impl AsRef<std::ffi::OsStr>) -> Child<'_> {
        let child = self.room.run(program).within(self.tree);
        child.variable("CARGO_TARGET_DIR", Some(self.target.as_os_str()))
    }
}

/// An error, if an example is not as the page says; `said` is what it printed.
fn wanted(name: &str, good: bool, said: &str) -> Result<()> {
    if good {
        return Ok(());
    }
    Err(Failure::different(format!("{name}: not as the page says:\n{}", said.trim_end())).into())
}
