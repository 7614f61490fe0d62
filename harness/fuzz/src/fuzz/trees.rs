//! The device trees of traces that are written down: a trace has its tree beside it, in a file that is called by its content.
//!
//! So a trace can be performed wherever the two lie, folders are merged by copying, and two revisions of a tree do not meet.

use std::io;
use std::path::Path;

use parallax_report::{regular, whole_file};
use parallax_trace::spec::TreeFile;
use parallax_trace::tree::MAX_SOURCE;
use sha2::{Digest, Sha256};

use super::machines::TREES;

/// The tree of this command whose source is `source`.
fn of_source(source: &str) -> Option<TreeFile> {
    tree(TREES.iter().find(|(_, known)| *known == source))
}

/// The tree of this command that is called `name`: as its machines have it, or as it is called beside a trace.
pub(super) fn named(name: &str) -> Option<TreeFile> {
    tree(TREES.iter().find(|(known, source)| *known == name || file_name(known, source) == name))
}

fn tree(known: Option<&(&str, &str)>) -> Option<TreeFile> {
    known.map(|(name, source)| TreeFile { name: (*name).to_owned(), source: (*source).to_owned() })
}

/// The tree that a trace in `folder` calls `name`: one of this command's, by its content.
///
/// # Errors
/// It is none of them, or is not there.
pub(super) fn read(folder: &Path, name: &str) -> Result<TreeFile, String> {
    let path = folder.join(name);
    match regular::read(&path, MAX_SOURCE) {
        Ok(bytes) => of_source(&String::from_utf8_lossy(&bytes))
            .ok_or_else(|| format!("dtb={name}: {} is no device tree that `fuzz` has", path.display())),
        // A trace that was copied without its tree, or is older than trees beside traces.
        Err(error) => named(name).ok_or_else(|| format!("dtb={name}: {}: {error}", path.display())),
    }
}

/// What `tree` is called beside a trace.
pub(super) fn beside(tree: &TreeFile) -> String {
    file_name(&tree.name, &tree.source)
}

fn file_name(name: &str, source: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(source).into();
    let digits: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}-{digits}.dts")
}

/// Puts `tree` into `folder`, unless it is there.
///
/// # Errors
/// Something else is there, or the file system refused.
pub(super) fn put(folder: &Path, tree: &TreeFile) -> io::Result<()> {
    let path = folder.join(beside(tree));
    if !path.exists() {
        return whole_file::write(&path, tree.source.as_bytes());
    }
    let there = regular::read(&path, MAX_SOURCE).map_err(|error| io::Error::other(error.to_string()))?;
    if there == tree.source.as_bytes() {
        return Ok(());
    }
    let what = format!("{}: the device tree belongs there, and another file is there", path.display());
    Err(io::Error::other(what))
}

/// `text`, a trace of what was found, with its device tree beside it in `folder`, if it has one.
///
/// # Errors
/// As of [`put`].
pub fn with_tree_in(folder: &Path, text: &str) -> io::Result<String> {
    let Some(tree) = used(text) else { return Ok(text.to_owned()) };
    put(folder, &tree)?;
    Ok(renamed(text, &tree, &beside(&tree)))
}

/// `text`, a trace of what was found, with the device tree that the source tree at `root` has: for a trace that has no folder.
#[must_use]
pub fn with_tree_of(root: &Path, text: &str) -> String {
    let there = |tree: &TreeFile| root.join(&tree.name).display().to_string();
    used(text).map_or_else(|| text.to_owned(), |tree| renamed(text, &tree, &there(&tree)))
}

/// The tree that the trace `text` names.
fn used(text: &str) -> Option<TreeFile> {
    tree(TREES.iter().find(|(name, _)| text.contains(&key(name))))
}

fn renamed(text: &str, tree: &TreeFile, name: &str) -> String {
    text.replace(&key(&tree.name), &key(name))
}

fn key(name: &str) -> String {
    format!("dtb={name}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_tree_is_known_by_its_content_and_where_its_file_is_not_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, source) in TREES {
            let tree = named(name).unwrap();
            assert_eq!(read(folder.path(), name), Ok(tree.clone()));
            assert_eq!(read(folder.path(), &beside(&tree)), Ok(tree.clone()));
            fs::write(folder.path().join("any.dts"), source).unwrap();
            assert_eq!(read(folder.path(), "any.dts"), Ok(tree));
        }
        fs::write(folder.path().join("other.dts"), "/dts-v1/;\n/ { };\n").unwrap();
        let other = read(folder.path(), "other.dts").unwrap_err();
        assert!(
            other.starts_with("dtb=other.dts: ") && other.ends_with("no device tree that `fuzz` has"),
            "{other}"
        );
        assert!(read(folder.path(), "nowhere.dts").unwrap_err().contains("No such file"));
    }

    #[test]
    fn what_is_saved_has_its_tree_beside_it_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("# x\nmachine cpus=2 dtb={}\nnop\n", TREES[0].0);
        let saved = with_tree_in(folder.path(), &text).unwrap();
        let tree = named(TREES[0].0).unwrap();
        assert_eq!(saved, format!("# x\nmachine cpus=2 dtb={}\nnop\n", beside(&tree)));
        let path = folder.path().join(beside(&tree));
        assert_eq!(fs::read_to_string(&path).unwrap(), TREES[0].1);
        assert_eq!(with_tree_in(folder.path(), &text).unwrap(), saved);
        fs::write(&path, "mine").unwrap();
        let refused = with_tree_in(folder.path(), &text).unwrap_err().to_string();
        assert!(refused.contains("another file is there"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(with_tree_in(Path::new("/nowhere"), "nop\n").unwrap(), "nop\n");
    }

    #[test]
    fn what_is_printed_has_the_tree_of_the_project() {
        let text = format!("machine dtb={}\nnop\n", TREES[1].0);
        let printed = with_tree_of(Path::new("/a"), &text);
        assert_eq!(printed, format!("machine dtb=/a/{}\nnop\n", TREES[1].0));
    }
}
