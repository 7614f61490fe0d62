//! `cargo xtask moved`: a source tree that is copied with what was built in it is as good as the one that it was copied from.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::copy::copy;
use crate::ends::Failure;
use crate::folder::Folder;
use crate::room::Room;

pub(crate) const EXAMPLE: &str = "\
The copy is in a folder with a space in its name: there the images are the same bytes, all traces are as agreed, and coverage
is the same.

Examples:
  cargo xtask moved                  # minutes

Exit status: 0 all is the same, 1 not, 125 the command or the hypervisor could not be built.";

/// What was built and comes along.
const BUILT: &[&str] = &[
    "target/release/parallax",
    "target/hyp",
    "target/plugin",
    "target/parallax/normal",
    "target/parallax/faults",
];

pub(crate) fn moved(room: &Room) -> Result<()> {
    room.build()?;
    let here = room.root();
    let (images, coverage) = (images(room, here)?, coverage(room, here)?);
    let folder = Folder::new(&env::temp_dir(), "parallax-moved")?;
    let there = folder.path().join("a copy");
    let files = room.run("git").words(["ls-files", "-z", "--deduplicate"]).text()?;
    for path in files.split('\0').filter(|path| !path.is_empty()).chain(BUILT.iter().copied()) {
        copy(&here.join(path), &there.join(path))?;
    }
    parallax(room, &there, &["run", "traces"]).good()?;
    same("the images are other ones", &images, &self::images(room, &there)?)?;
    same("coverage is another one", &coverage, &self::coverage(room, &there)?)?;
    if !coverage.lines().any(|line| line.starts_with("hyp/core/src/")) {
        return Err(Failure::different("no line of hyp/core counts").into());
    }
    for image in images.lines().filter_map(|line| line.split_whitespace().next()) {
        let elf = Path::new(image).with_extension("elf");
        let bytes = fs::read(there.join(&elf)).with_context(|| format!("cannot read {}", elf.display()))?;
        if names(&bytes, here) || names(&bytes, folder.path()) {
            let message = format!("{} names the folder that it was built in", elf.display());
            return Err(Failure::different(message).into());
        }
    }
    Ok(())
}

/// What `parallax build` says of both images: their paths and digests.
fn images(room: &Room, root: &Path) -> Result<String> {
    let build = |words: &[&str]| parallax(room, root, words).text();
    Ok(format!("{}\n{}\n", build(&["build"])?, build(&["build", "--faults"])?))
}

fn coverage(room: &Room, root: &Path) -> Result<String> {
    parallax(room, root, &["coverage"]).text()
}

/// The command of the source tree at `root`.
fn parallax<'a>(room: &'a Room, root: &Path, words: &[&str]) -> crate::child::Child<'a> {
    room.run(root.join("target/release/parallax")).within(root).words(words)
}

/// An error that shows the lines which differ, if `there` is not as `here`.
fn same(what: &str, here: &str, there: &str) -> Result<()> {
    if here == there {
        return Ok(());
    }
    let only = |sign: &str, one: &str, other: &str| {
        let other: Vec<&str> = other.lines().collect();
        one.lines()
            .filter(|line| !other.contains(line))
            .map(|line| format!("\n{sign} {line}"))
            .collect::<String>()
    };
    let differ = only("-", here, there) + &only("+", there, here);
    Err(Failure::different(format!("{what} in a copy:{differ}")).into())
}

/// Whether `bytes` hold the name of `folder`.
fn names(bytes: &[u8], folder: &Path) -> bool {
    let name = folder.as_os_str().as_encoded_bytes();
    bytes.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_and_a_name_is_found_within() {
        assert!(same("images", "a\nb\n", "a\nb\n").is_ok());
        let error = same("the images are other ones", "a\nb\n", "a\nc\n").unwrap_err();
        assert_eq!(error.to_string(), "the images are other ones in a copy:\n- b\n+ c");
        assert!(names(b"\0/home/a/tree/hyp\0", Path::new("/home/a/tree")));
        assert!(!names(b"\0/parallax/hyp\0", Path::new("/home/a/tree")));
    }
}
