//! Building the QEMU plugin, with the compiler of the machine this runs on.
//!
//! QEMU loads a plugin only if the version of the plugin API that it was made for is one that QEMU speaks; which one
//! that is stands in a variable of the library. QEMU 10.0 takes nothing newer than 4, QEMU 11.1 nothing older than 7.
//! The plugin speaks both once it is loaded. So there are two libraries, which differ in that number.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::build::{lock, run};
use super::{FOREIGN_VARIABLES, ToolchainError, sources};

/// What of the tree decides what the plugin is.
const FOLDERS: [&str; 2] = ["qemu-plugins", "hyp/abi"];

/// Where it is built, below the root: apart from the harness, whose build may be under way.
const TARGET_DIR: &str = "target/plugin";
/// The variable in which a plugin says what version of the API it is made for, an `int`.
const API_VERSION: &str = "qemu_plugin_version";
/// The version that the library is built with, and the one that newer QEMUs want at least.
const API: (u32, u32) = (4, 7);

/// The library for QEMUs that take nothing older than version 7 of the API, where [`plugin`] has given `library`.
#[must_use]
pub fn newer_api(library: &Path) -> PathBuf {
    library.with_file_name(format!("libpagewatch-api{}.so", API.1))
}

/// Builds `pagewatch` of the repository at `repo_root` and gives the shared library; [`newer_api`] has the other
/// one.
///
/// # Errors
/// No compiler, or a build that fails.
pub fn plugin(repo_root: &Path, cancel: &CancellationToken) -> Result<PathBuf, ToolchainError> {
    let library = repo_root.join(TARGET_DIR).join("release/libpagewatch.so");
    let notes = repo_root.join(TARGET_DIR).join("sources");
    let digest = || sources::digest(repo_root, &FOLDERS, "rustc", &[]);
    let before = digest();
    // As it is, with the other one beside it.
    let stands = || Some([contents(&library)?, contents(&newer_api(&library))?].concat());
    if let Some(made) = before.as_ref().and_then(|before| sources::known(&notes, before))
        && stands().as_ref() == Some(&made)
    {
        return Ok(library);
    }
    let _lock = lock(&repo_root.join(TARGET_DIR), cancel)?;
    run(cargo("build", repo_root), "the QEMU plugin", cancel)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        |source| ToolchainError::Io { path, source }
    };
    let changed = with_newer_api(&fs::read(&library).map_err(io(&library))?);
    let changed = changed.ok_or_else(|| ToolchainError::PluginVersion(library.clone()))?;
    let place = newer_api(&library);
    // A QEMU that runs has it mapped: it is replaced, never written to.
    if fs::read(&place).ok().as_ref() != Some(&changed) {
        let new = place.with_extension("new");
        fs::write(&new, changed).map_err(io(&new))?;
        fs::rename(&new, &place).map_err(io(&place))?;
    }
    if let Some(before) = before.filter(|before| digest().as_ref() == Some(before)) {
        stands().and_then(|made| sources::note(&notes, &before, &made));
    }
    Ok(library)
}

/// What tells the file at `path` from all others.
fn contents(path: &Path) -> Option<String> {
    let digest = Sha256::digest(fs::read(path).ok()?);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `library` with the newer version in place of its own; `None` if that is not where it is expected.
fn with_newer_api(library: &[u8]) -> Option<Vec<u8>> {
    let file = object::File::parse(library).ok()?;
    let address = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(API_VERSION))?.address();
    let at = file.sections().find_map(|section| {
        let offset = address.checked_sub(section.address()).filter(|offset| *offset < section.size())?;
        let (start, size) = section.file_range()?;
        (offset < size).then(|| usize::try_from(start + offset).ok()).flatten()
    })?;
    let mut changed = library.to_vec();
    let version = changed.get_mut(at..at + 4)?;
    if version != API.0.to_ne_bytes() {
        return None;
    }
    version.copy_from_slice(&API.1.to_ne_bytes());
    Some(changed)
}

/// Runs clippy on `pagewatch`; warnings are errors.
///
/// # Errors
/// No compiler, or clippy found something.
pub fn clippy_plugin(repo_root: &Path, cancel: &CancellationToken) -> Result<(), ToolchainError> {
    let _lock = lock(&repo_root.join(TARGET_DIR), cancel)?;
    let mut command = cargo("clippy", repo_root);
    command.args(["--", "-D", "warnings"]);
    run(command, "the QEMU plugin", cancel)
}

fn cargo(subcommand: &str, repo_root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(repo_root);
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
    command.args([subcommand, "--release", "-p", "pagewatch", "--target-dir", TARGET_DIR]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_with_a_version_is_refused() {
        assert_eq!(with_newer_api(b"not a library"), None);
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(with_newer_api(&this), None, "it is no plugin");
    }
}
