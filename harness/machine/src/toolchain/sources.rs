//! Which sources something was built from, so that it is not built twice.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Files beside those in the folders of its own that decide what cargo builds.
const COMMON: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain", ".cargo/config.toml"];
/// Variables that decide it, by how their names begin.
const VARIABLES: [&str; 4] =
    ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_", "RUSTC_WRAPPER"];
/// How many builds are known at a time.
const KNOWN: usize = 512;

/// What decides what the compiler `rustc` makes of the files in `folders` of the tree at `repo_root`, as a number of 64
/// digits; `words` is what else decides it. None where it cannot be known: then it is built.
pub(super) fn digest(repo_root: &Path, folders: &[&str], rustc: &str, words: &[&str]) -> Option<String> {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    words.iter().for_each(|word| add(word.as_bytes()));
    let version = Command::new(rustc).arg("-vV").current_dir(repo_root).output().ok()?;
    add(version.status.success().then_some(&version.stdout)?);
    let wanted = |name: &str| VARIABLES.iter().any(|prefix| name.starts_with(prefix));
    let mut variables: Vec<_> =
        env::vars_os().filter(|(name, _)| name.to_str().is_some_and(wanted)).collect();
    variables.sort();
    for (name, value) in variables {
        add(name.as_encoded_bytes());
        add(value.as_encoded_bytes());
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let config = home.map(|home| home.join("config.toml"));
    for path in COMMON.iter().map(|name| repo_root.join(name)).chain(config) {
        add(&if_there(&path).ok()?);
    }
    for folder in folders {
        for path in files(&repo_root.join(folder)).ok()? {
            add(path.strip_prefix(repo_root).ok()?.as_os_str().as_encoded_bytes());
            add(&fs::read(&path).ok()?);
        }
    }
    Some(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is in a file; nothing if there is none.
fn if_there(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// All files below `folder`, in order of name.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut left } else { &mut all };
            list.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}

/// What was made of the sources with `digest`, noted in `folder`.
pub(super) fn known(folder: &Path, digest: &str) -> Option<String> {
    fs::read_to_string(folder.join(digest)).ok()
}

/// Notes in `folder` what was made of the sources with `digest`. It may fail: then it is built again.
pub(super) fn note(folder: &Path, digest: &str, made: &str) -> Option<()> {
    fs::create_dir_all(folder).ok()?;
    let mut noted: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    if noted.len() >= KNOWN {
        noted.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
        noted.iter().take(KNOWN / 2).for_each(|path| _ = fs::remove_file(path));
    }
    let new = tempfile::NamedTempFile::new_in(folder).ok()?;
    fs::write(new.path(), made).ok()?;
    new.persist(folder.join(digest)).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_by_name_and_contents_and_are_the_same_again() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let now = |words: &[&str]| digest(root.path(), &["hyp"], "rustc", words).unwrap();
        put("hyp/src/a.rs", "1");
        let first = now(&[]);
        assert_eq!(now(&[]), first);
        put("hyp/src/a.rs", "2");
        let second = now(&[]);
        put("hyp/b.rs", "2");
        let third = now(&[]);
        put("Cargo.lock", "x");
        let all = [first.clone(), second.clone(), third, now(&[]), now(&["faults"])];
        assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])), "{all:?}");
        for name in ["hyp/b.rs", "Cargo.lock"] {
            fs::remove_file(root.path().join(name)).unwrap();
        }
        assert_eq!(now(&[]), second);
        put("hyp/src/a.rs", "1");
        assert_eq!(now(&[]), first, "an edit that was taken back");
        assert_eq!(digest(root.path(), &["nowhere"], "rustc", &[]), None);
        assert_eq!(digest(root.path(), &["hyp"], "no-such-rustc", &[]), None);
    }

    #[test]
    fn what_was_noted_is_known_and_the_oldest_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new");
        assert_eq!(known(&place, "a"), None);
        for number in 0..=KNOWN {
            note(&place, &number.to_string(), "made").unwrap();
        }
        assert_eq!(known(&place, &KNOWN.to_string()).as_deref(), Some("made"));
        assert!(fs::read_dir(&place).unwrap().count() <= KNOWN);
    }
}
