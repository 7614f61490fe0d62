//! Paths of source files inside of images: the same words on every machine.
//!
//! The compiler writes the paths of all sources into an image. As they are they would tie it to the folder that it was
//! built in, so each folder that sources come from has a fixed word in its place. An image is the same bytes wherever it
//! was built, and one whose paths do not begin with [`TREE`] is none of this tree: it is not used.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian, SectionId};
use object::{Object, ObjectSection};

use super::{TARGET, ToolchainError};

/// Stands for the root of the source tree.
pub const TREE: &str = "/parallax";
/// Stands for the folder of the standard library's source.
pub const LIBRARY: &str = "/rust";
/// Stands for cargo's own folder, which has the sources of foreign crates.
pub const CRATES: &str = "/cargo";

/// How the names of the tree's own sources begin, which cargo names relative to its root.
const OWN: &str = "hyp/";

/// A folder with sources, and the word that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The word.
    pub word: &'static str,
    /// The folder on this machine.
    pub folder: PathBuf,
}

/// The folders of a build of the tree at `root` with the compiler in `sysroot`. The inner ones come last: of two that
/// hold a file the compiler takes the later one.
pub(super) fn folders(root: &Path, sysroot: Option<&Path>) -> Vec<Sources> {
    let library = sysroot.map(|sysroot| sysroot.join("lib/rustlib/src/rust"));
    // Cargo works in the tree itself, by whatever link it was found. The others are named as they are configured, too.
    let mut folders = vec![Sources { word: TREE, folder: root.canonicalize().unwrap_or(root.to_owned()) }];
    for (word, folder) in [(LIBRARY, library), (CRATES, cargo_home())] {
        let Some(folder) = folder else { continue };
        for folder in [folder.canonicalize().ok(), std::path::absolute(&folder).ok()].into_iter().flatten() {
            let sources = Sources { word, folder };
            if !folders.contains(&sources) {
                folders.push(sources);
            }
        }
    }
    folders.sort_by_key(|sources| sources.folder.components().count());
    folders
}

/// Where cargo has the sources of foreign crates.
fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// The setting of cargo that puts the words in place of `folders`, for `--config`. What other settings give the
/// compiler stays.
pub(super) fn setting(folders: &[Sources]) -> Result<String, ToolchainError> {
    let flags = folders.iter().map(|Sources { word, folder }| {
        let path = folder.to_str().ok_or_else(|| ToolchainError::Name(folder.clone()))?;
        Ok(quoted(&format!("--remap-path-prefix={path}={word}")))
    });
    let flags = flags.collect::<Result<Vec<_>, ToolchainError>>()?;
    Ok(format!("target.{TARGET}.rustflags=[{}]", flags.join(",")))
}

/// `text` as a string of TOML.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

/// Whether the ELF file `elf` was built with the words: whether its debugging information says of everything under
/// [`OWN`] that it was compiled in [`TREE`].
#[must_use]
pub fn are_in(elf: &[u8]) -> bool {
    let Ok(file) = object::File::parse(elf) else { return false };
    let section = |id: SectionId| {
        let section = file.section_by_name(id.name());
        let bytes = section.and_then(|section| section.data().ok()).unwrap_or_default();
        Ok::<_, Error>(EndianSlice::new(bytes, LittleEndian))
    };
    let Ok(dwarf) = Dwarf::load(section) else { return false };
    let mut headers = dwarf.units();
    let mut found = false;
    while let Ok(Some(header)) = headers.next() {
        let Ok(unit) = dwarf.unit(header) else { return false };
        if unit.name.is_none_or(|name| !name.slice().starts_with(OWN.as_bytes())) {
            continue;
        }
        found = true;
        if unit.comp_dir.is_none_or(|folder| folder.slice() != TREE.as_bytes()) {
            return false;
        }
    }
    found
}

/// As [`are_in`], of the file at `path`; one that cannot be read has none.
#[must_use]
pub fn are_in_file(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|elf| are_in(&elf))
}

/// `file`, as an image names it, as people read it: relative to the source tree, to the crate's place among cargo's
/// sources, or to the standard library's.
#[must_use]
pub fn shown(file: &str) -> &str {
    let inside = Path::new(file).strip_prefix(TREE).ok().map(Path::as_os_str).and_then(OsStr::to_str);
    if let Some(inside) = inside {
        return inside;
    }
    if let Some((_, in_registry)) = file.split_once("/registry/src/") {
        return in_registry.split_once('/').map_or(in_registry, |(_, in_crate)| in_crate);
    }
    file.find("/library/").map_or(file, |at| &file[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_its_word_and_inner_folders_come_last() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        std::fs::create_dir(root.path().join("tree")).unwrap();
        std::os::unix::fs::symlink(root.path().join("tree"), &link).unwrap();
        let folders = folders(&link, Some(&root.path().join("link/compiler")));
        let words: Vec<_> = folders
            .iter()
            .filter(|sources| sources.folder.starts_with(root.path()))
            .map(|sources| sources.word)
            .collect();
        assert_eq!(words, [TREE, LIBRARY], "{folders:?}");
        assert!(folders.iter().any(|sources| sources.folder.ends_with("tree")), "by no link: {folders:?}");
        assert!(folders.iter().any(|sources| sources.word == CRATES));
    }

    #[test]
    fn a_setting_is_toml_whatever_the_folder_is_called() {
        let folder = PathBuf::from("/a \"b\"\\c=d");
        let text = setting(&[Sources { word: TREE, folder }]).unwrap();
        assert_eq!(
            text,
            format!(r#"target.{TARGET}.rustflags=["--remap-path-prefix=/a \"b\"\\c=d=/parallax"]"#)
        );
    }

    #[test]
    fn a_folder_that_the_setting_cannot_name_is_told() {
        use std::os::unix::ffi::OsStrExt;
        let folder = PathBuf::from(OsStr::from_bytes(b"/a\xff"));
        let error = setting(&[Sources { word: TREE, folder }]).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }

    #[test]
    fn an_image_of_another_folder_is_told_from_one_of_the_tree() {
        // This test program has line tables, and the paths of where it was built.
        assert!(!are_in_file(&std::env::current_exe().unwrap()));
        assert!(!are_in(b"no ELF file"));
        assert!(!are_in_file(Path::new("/nowhere")));
    }

    #[test]
    fn paths_begin_where_they_tell_something() {
        for (file, text) in [
            ("/parallax/hyp/src/main.rs", "hyp/src/main.rs"),
            ("/parallax-b/hyp/src/main.rs", "/parallax-b/hyp/src/main.rs"),
            ("/cargo/registry/src/index-0123/arm-gic-0.10.0/src/lib.rs", "arm-gic-0.10.0/src/lib.rs"),
            ("/rust/library/core/src/panicking.rs", "library/core/src/panicking.rs"),
            ("/rustc/0123/library/core/src/panicking.rs", "library/core/src/panicking.rs"),
            ("src/x.rs", "src/x.rs"),
        ] {
            assert_eq!(shown(file), text);
        }
    }
}
