//! Which gdb is there.

use std::path::{Path, PathBuf};

use crate::programs::find_program;

/// The program.
pub const PROGRAM: &str = "gdb-multiarch";

/// Where `ci/fetch-debian gdb` puts one below the source tree at `root`.
#[must_use]
pub fn fetched(root: &Path) -> PathBuf {
    root.join("target/tools/gdb/bin").join(PROGRAM)
}

/// The gdb to use: the first on the search path, or else the one below `root`.
#[must_use]
pub fn program(root: &Path) -> Option<PathBuf> {
    find_program(PROGRAM).or_else(|| Some(fetched(root)).filter(|file| file.is_file()))
}
