//! What is missing on this machine, and the command that mends it.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::qemu::{QemuError, version};
use crate::toolchain::{self, Toolchain, Variant};

/// Free space in `/dev/shm` below which machines of ordinary size may not fit, in bytes.
const SHM_ENOUGH: u64 = 512 << 20;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it must be; the text says what it is.
    Good(String),
    /// Parallax works without it, but not all of it.
    Warning {
        /// What is missing.
        problem: String,
        /// The command that mends it.
        remedy: String,
    },
    /// Parallax does not work without it.
    Bad {
        /// What is missing.
        problem: String,
        /// The command that mends it.
        remedy: String,
    },
}

impl Check {
    /// Whether Parallax can work as far as this check goes.
    #[must_use]
    pub const fn usable(&self) -> bool {
        !matches!(self.outcome, Outcome::Bad { .. })
    }
}

/// Looks at everything; with `build` also tries to build the bare-metal programs, which takes a while.
#[must_use]
pub fn check_all(repo_root: &Path, build: bool) -> Vec<Check> {
    let mut checks = vec![
        Check { name: "QEMU", outcome: qemu() },
        Check { name: "bare-metal toolchain", outcome: compiler(repo_root) },
        Check { name: "memory for guest RAM", outcome: shared_memory() },
        Check {
            name: "setpriv",
            outcome: program("setpriv", "QEMU may outlive a killed parallax", "apt-get install util-linux"),
        },
        Check {
            name: "gdb-multiarch",
            outcome: program("gdb-multiarch", "the baseline of `parallax bench` needs it", "ci/setup"),
        },
    ];
    for path in version::fetched(repo_root) {
        checks.push(Check { name: "another QEMU", outcome: another_qemu(repo_root, &path) });
    }
    if build {
        checks.push(Check { name: "hypervisor builds", outcome: hypervisor(repo_root) });
    }
    checks
}

fn qemu() -> Outcome {
    let bad = |problem: String| Outcome::Bad { problem, remedy: "ci/setup".to_owned() };
    let path = match version::program() {
        Ok(path) => path,
        Err(error) => {
            let remedy =
                if matches!(error, QemuError::Named(_)) { "unset PARALLAX_QEMU" } else { "ci/setup" };
            return Outcome::Bad { problem: error.to_string(), remedy: remedy.to_owned() };
        }
    };
    match version::check(&path) {
        Ok(found) => Outcome::Good(format!("{found} ({})", path.display())),
        Err(error) => bad(error.to_string()),
    }
}

/// One that is not used unless it is asked for: what is told is how.
fn another_qemu(repo_root: &Path, path: &Path) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    let folder = folder.strip_prefix(repo_root).unwrap_or(folder);
    match version::check(path) {
        Ok(found) => Outcome::Good(format!("{found} (with {}={})", version::VARIABLE, folder.display())),
        Err(_) => Outcome::Warning {
            problem: format!("{} does not start", path.display()),
            remedy: "ci/fetch-debian --force ".to_owned()
                + &folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy(),
        },
    }
}

fn compiler(repo_root: &Path) -> Outcome {
    match Toolchain::find(repo_root) {
        Ok(Toolchain::Library) => Outcome::Good(format!("library for {} installed", toolchain::TARGET)),
        Ok(Toolchain::DebianBuildStd) => {
            Outcome::Good("Debian's compiler, standard library built from source".to_owned())
        }
        Err(error) => Outcome::Bad { problem: error.to_string(), remedy: "ci/setup".to_owned() },
    }
}

fn shared_memory() -> Outcome {
    let remedy = "mount -o remount,size=2G /dev/shm".to_owned();
    match rustix::fs::statvfs("/dev/shm") {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{} MiB free in /dev/shm", free >> 20);
            if free >= SHM_ENOUGH { Outcome::Good(text) } else { Outcome::Warning { problem: text, remedy } }
        }
        Err(_) => {
            let problem = "there is no /dev/shm: guest RAM goes to a file on disk".to_owned();
            Outcome::Warning { problem, remedy }
        }
    }
}

fn program(name: &str, without_it: &str, remedy: &str) -> Outcome {
    match version::find_program(name) {
        Some(path) => Outcome::Good(path.display().to_string()),
        None => Outcome::Warning {
            problem: format!("{name} is not installed: {without_it}"),
            remedy: remedy.to_owned(),
        },
    }
}

fn hypervisor(repo_root: &Path) -> Outcome {
    match toolchain::build(repo_root, Variant::Normal, &CancellationToken::new()) {
        Ok(images) => Outcome::Good(images.hyp_img.display().to_string()),
        Err(error) => Outcome::Bad { problem: error.to_string(), remedy: "ci/setup".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_a_command() {
        let outcome = program("no-such-program", "nothing works", "ci/setup");
        let Outcome::Warning { problem, remedy } = &outcome else { panic!("{outcome:?}") };
        assert!(problem.contains("no-such-program") && problem.contains("nothing works"));
        assert_eq!(remedy, "ci/setup");
        assert!(Check { name: "x", outcome }.usable());
    }

    #[test]
    fn a_folder_without_any_compiler_configuration_is_still_checked_whole() {
        let dir = tempfile::tempdir().unwrap();
        let checks = check_all(dir.path(), false);
        assert_eq!(checks.len(), 5);
        assert!(checks.iter().all(|check| !check.name.is_empty()));
    }
}
