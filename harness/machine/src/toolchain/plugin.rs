//! Building the QEMU plugin, with the compiler of the machine this runs on.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_util::sync::CancellationToken;

use super::build::{lock, run};
use super::{FOREIGN_VARIABLES, ToolchainError};

/// Where it is built, below the root: apart from the harness, whose build may be under way.
const TARGET_DIR: &str = "target/plugin";

/// Builds `pagewatch` of the repository at `repo_root` and gives the shared library.
///
/// # Errors
/// No compiler, or a build that fails.
pub fn plugin(repo_root: &Path, cancel: &CancellationToken) -> Result<PathBuf, ToolchainError> {
    let _lock = lock(&repo_root.join(TARGET_DIR))?;
    run(cargo("build", repo_root), cancel)?;
    Ok(repo_root.join(TARGET_DIR).join("release/libpagewatch.so"))
}

/// Runs clippy on `pagewatch`; warnings are errors.
///
/// # Errors
/// No compiler, or clippy found something.
pub fn clippy_plugin(repo_root: &Path, cancel: &CancellationToken) -> Result<(), ToolchainError> {
    let _lock = lock(&repo_root.join(TARGET_DIR))?;
    let mut command = cargo("clippy", repo_root);
    command.args(["--", "-D", "warnings"]);
    run(command, cancel)
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
