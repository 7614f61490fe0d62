//! How to build the bare-metal programs on this machine.
//!
//! An ordinary machine has rustup and its target library. A Debian machine without that has the distribution's
//! compiler and the source of the standard library, which is then built along. Everything that differs between the
//! two is in [`Toolchain`].

mod build;
mod flatten;
mod images;
pub mod paths;
mod plugin;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::find_program;

pub use self::build::{Making, build, clippy, make};
pub use self::flatten::{FlattenError, flatten};
pub use self::images::{BuiltImages, Variant, kept};
pub use self::paths::Sources;
pub use self::plugin::{clippy_plugin, newer_api, plugin};

/// The target of the hypervisor and of the test host.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";
/// The profile that they are built with.
pub const PROFILE: &str = "hyp";
/// The compiler that Debian's packages install.
const DEBIANS_RUSTC: &str = "/usr/bin/rustc";

/// The images could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// No compiler for the target.
    #[error(
        "nothing here can build for {TARGET}: with rustup run `rustup target add {TARGET}`, on Debian run `ci/setup`"
    )]
    Missing,
    /// Cargo could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo ran and failed.
    #[error("`{command}` failed ({status})\n{tail}")]
    Failed {
        /// What was run.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines that it printed.
        tail: String,
    },
    /// What was built cannot be made into an image.
    #[error("{}: {source}", path.display())]
    Flatten {
        /// The ELF file.
        path: PathBuf,
        /// Why.
        source: FlattenError,
    },
    /// The hypervisor's image has no arm64 Image header: QEMU would not hand it a device tree.
    #[error("{}: the image does not begin with an arm64 Image header", .0.display())]
    NoImageHeader(PathBuf),
    /// The plugin's library does not say what version of QEMU's plugin API it is made for.
    #[error("{}: no version of the plugin API where it is expected", .0.display())]
    PluginVersion(PathBuf),
    /// An image has paths of another folder, or none.
    #[error(
        "{}: the paths in it are not those of this source tree: something keeps the compiler from being told (a \
         RUSTC_WRAPPER, a profile without debugging information?); without it, remove {} and build again",
        elf.display(),
        folder.display()
    )]
    Paths {
        /// The image.
        elf: PathBuf,
        /// What cargo built.
        folder: PathBuf,
    },
    /// A folder with sources has a name that cargo's settings cannot hold.
    #[error("{}: the name of this folder is not UTF-8, and the compiler cannot be told of it: use another folder", .0.display())]
    Name(PathBuf),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The user cancelled the build.
    #[error("interrupted")]
    Cancelled,
}

/// A way to build for [`TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The compiler in use has the target's library.
    Library,
    /// Debian's compiler, with the standard library built from its source.
    DebianBuildStd,
}

impl Toolchain {
    /// The way that works here, for the crates under `repo_root`.
    ///
    /// # Errors
    /// [`ToolchainError::Missing`] when none does.
    pub fn find(repo_root: &Path) -> Result<Self, ToolchainError> {
        if sysroot("rustc", repo_root).is_some_and(|root| root.join("lib/rustlib").join(TARGET).is_dir()) {
            return Ok(Self::Library);
        }
        let source = "lib/rustlib/src/rust/library/core";
        let debian = sysroot(DEBIANS_RUSTC, repo_root).is_some_and(|root| root.join(source).is_dir());
        if debian && Path::new("/usr/bin/cargo").is_file() && find_program("ld.lld").is_some() {
            return Ok(Self::DebianBuildStd);
        }
        Err(ToolchainError::Missing)
    }

    /// The folders that sources come from, in builds of the tree at `repo_root`.
    #[must_use]
    pub fn sources(self, repo_root: &Path) -> Vec<Sources> {
        paths::folders(repo_root, sysroot(self.rustc(), repo_root).as_deref())
    }

    /// The compiler.
    const fn rustc(self) -> &'static str {
        match self {
            Self::Library => "rustc",
            Self::DebianBuildStd => DEBIANS_RUSTC,
        }
    }

    /// `cargo SUBCOMMAND` for the target, without packages and features. What an outer cargo or its user set for
    /// host builds is kept away from it, and paths of this machine out of what it builds.
    ///
    /// # Errors
    /// [`ToolchainError::Name`].
    pub fn cargo(self, subcommand: &str, repo_root: &Path) -> Result<Command, ToolchainError> {
        self.cargo_with(subcommand, repo_root, PROFILE)
    }

    fn cargo_with(
        self,
        subcommand: &str,
        repo_root: &Path,
        profile: &str,
    ) -> Result<Command, ToolchainError> {
        let mut command = match self {
            Self::Library => Command::new("cargo"),
            Self::DebianBuildStd => Command::new("/usr/bin/cargo"),
        };
        command.current_dir(repo_root).arg(subcommand);
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        if self == Self::DebianBuildStd {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let dirs = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
            if let Ok(path) = std::env::join_paths(dirs) {
                command.env("PATH", path);
            }
            command.env("RUSTC", DEBIANS_RUSTC).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTDOC");
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_LINKER", "ld.lld");
            command.args([
                "-Zbuild-std=core,alloc,compiler_builtins",
                "-Zbuild-std-features=compiler-builtins-mem",
            ]);
        }
        command.args(["--target", TARGET, "--profile", profile, "--target-dir", "target/hyp"]);
        command.args(["--config", &paths::setting(&self.sources(repo_root))?]);
        Ok(command)
    }
}

/// Variables of the environment that would change a bare-metal build.
const FOREIGN_VARIABLES: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

fn sysroot(rustc: &str, repo_root: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).current_dir(repo_root).output().ok()?;
    let root = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(root.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn variable<'a>(command: &'a Command, name: &str) -> Option<Option<&'a OsStr>> {
        command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    #[test]
    fn flags_of_host_builds_do_not_reach_the_bare_metal_build() {
        for toolchain in [Toolchain::Library, Toolchain::DebianBuildStd] {
            let command = toolchain.cargo("build", Path::new("/tree")).unwrap();
            assert_eq!(variable(&command, "RUSTFLAGS"), Some(None));
            assert_eq!(variable(&command, "CARGO_TARGET_DIR"), Some(None));
        }
    }

    #[test]
    fn the_compiler_is_told_what_stands_for_the_tree() {
        let command = Toolchain::Library.cargo("build", Path::new("/tree")).unwrap();
        let told = |arg: &OsStr| arg.to_string_lossy().contains("--remap-path-prefix=/tree=/parallax");
        assert!(command.get_args().any(told), "{command:?}");
    }

    #[test]
    fn only_debians_compiler_builds_the_standard_library() {
        let library = Toolchain::Library.cargo("build", Path::new("/tree")).unwrap();
        assert!(library.get_args().all(|arg| !arg.to_string_lossy().starts_with("-Z")));
        assert_eq!(variable(&library, "RUSTC_BOOTSTRAP"), None);
        let debian = Toolchain::DebianBuildStd.cargo("build", Path::new("/tree")).unwrap();
        assert!(debian.get_args().any(|arg| arg.to_string_lossy().starts_with("-Zbuild-std=")));
        assert_eq!(variable(&debian, "RUSTC"), Some(Some(OsStr::new("/usr/bin/rustc"))));
    }
}
