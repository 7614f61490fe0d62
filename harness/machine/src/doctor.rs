//! What is missing on this machine, and the command that mends it.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::gdb;
use crate::programs::find_program;
use crate::qemu::{QemuError, version};
use crate::room;
use crate::toolchain::{self, Toolchain, Variant};

/// Free space in `/dev/shm` below which machines of ordinary size may not fit, in bytes.
const SHM_ENOUGH: u64 = 512 << 20;

/// Free space on the disk below which a build may not fit, in bytes.
const DISK_ENOUGH: u64 = 2 << 30;

const WITHOUT_GDB: &str = "a session with gdb and the baseline of bench need it";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
}

/// What mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A command, from the root of the source tree.
    Run(String),
    /// What no command can do for everybody.
    ByHand(String),
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
        /// What mends it.
        remedy: Remedy,
    },
    /// Parallax does not work without it.
    Bad {
        /// What is missing.
        problem: String,
        /// What mends it.
        remedy: Remedy,
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
    let missing = |name, without_it, remedy| Check { name, outcome: program(name, without_it, remedy) };
    let mut checks = vec![
        Check { name: "QEMU", outcome: qemu() },
        Check { name: "bare-metal toolchain", outcome: compiler(repo_root) },
        Check { name: "source tree", outcome: writable(repo_root) },
        Check { name: "memory for guest RAM", outcome: shared_memory() },
        missing("setpriv", "QEMU may outlive a killed parallax", "apt-get install util-linux"),
        missing("git", "bisect and run --since need it", "apt-get install git"),
        Check {
            name: gdb::PROGRAM,
            outcome: found(gdb::PROGRAM, gdb::program(repo_root), WITHOUT_GDB, "ci/setup"),
        },
        Check { name: "Linux to boot", outcome: linux(repo_root) },
        Check { name: "browser for tests", outcome: browser() },
    ];
    for path in version::fetched(repo_root) {
        checks.push(Check { name: "another QEMU", outcome: another_qemu(repo_root, &path) });
    }
    if build {
        checks.push(Check { name: "hypervisor builds", outcome: hypervisor(repo_root) });
    }
    checks
}

fn setup() -> Remedy {
    Remedy::Run("ci/setup".to_owned())
}

fn qemu() -> Outcome {
    let bad = |problem: String| Outcome::Bad { problem, remedy: setup() };
    let path = match version::program() {
        Ok(path) => path,
        Err(error @ QemuError::Named(_)) => {
            let remedy = Remedy::ByHand(format!("unset {}, or name another", version::VARIABLE));
            return Outcome::Bad { problem: error.to_string(), remedy };
        }
        Err(error) => return bad(error.to_string()),
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
            remedy: Remedy::Run(
                "ci/fetch-debian --force ".to_owned()
                    + &folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy(),
            ),
        },
    }
}

fn compiler(repo_root: &Path) -> Outcome {
    match Toolchain::find(repo_root) {
        Ok(Toolchain::Library) => Outcome::Good(format!("library for {} installed", toolchain::TARGET)),
        Ok(Toolchain::DebianBuildStd) => {
            Outcome::Good("Debian's compiler, standard library built from source".to_owned())
        }
        Err(error) => Outcome::Bad { problem: error.to_string(), remedy: setup() },
    }
}

/// Where builds and results that wait for a review are written.
fn writable(repo_root: &Path) -> Outcome {
    let target = repo_root.join("target");
    let folders = [repo_root, if target.is_dir() { &target } else { repo_root }];
    let refused = folders.into_iter().find_map(|folder| {
        let error = tempfile::Builder::new().prefix(".parallax-").tempfile_in(folder).err()?;
        Some(format!("nothing can be written into {}: {error}", folder.display()))
    });
    let remedy = "make it writable, or work in a copy of the source tree";
    match (refused, rustix::fs::statvfs(repo_root)) {
        (Some(problem), _) => Outcome::Bad { problem, remedy: Remedy::ByHand(remedy.to_owned()) },
        (None, Ok(stat)) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{}, {} MiB free", repo_root.display(), free >> 20);
            let remedy = Remedy::ByHand("make room: a build takes that much".to_owned());
            if free >= DISK_ENOUGH { Outcome::Good(text) } else { Outcome::Warning { problem: text, remedy } }
        }
        (None, Err(_)) => Outcome::Good(repo_root.display().to_string()),
    }
}

fn linux(repo_root: &Path) -> Outcome {
    let image = repo_root.join("target/linux/Image");
    if image.is_file() {
        return Outcome::Good(image.display().to_string());
    }
    let problem = "no arm64 Linux is there: `parallax linux` needs one".to_owned();
    Outcome::Warning { problem, remedy: Remedy::Run("ci/setup --linux".to_owned()) }
}

fn browser() -> Outcome {
    let found = ["chromium-headless-shell", "chromium"].into_iter().find_map(find_program);
    match (found, find_program("node")) {
        (Some(path), Some(_)) => Outcome::Good(path.display().to_string()),
        (browser, _) => {
            let what = if browser.is_none() { "chromium-headless-shell" } else { "node" };
            let problem =
                format!("{what} is not installed: cargo xtask report-test, a test of reports, needs it");
            Outcome::Warning { problem, remedy: Remedy::Run("ci/setup --browser".to_owned()) }
        }
    }
}

fn shared_memory() -> Outcome {
    let remedy = Remedy::Run(room::REMEDY.to_owned());
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
    found(name, find_program(name), without_it, remedy)
}

fn found(name: &str, path: Option<PathBuf>, without_it: &str, remedy: &str) -> Outcome {
    match path {
        Some(path) => Outcome::Good(path.display().to_string()),
        None => Outcome::Warning {
            problem: format!("{name} is not installed: {without_it}"),
            remedy: Remedy::Run(remedy.to_owned()),
        },
    }
}

fn hypervisor(repo_root: &Path) -> Outcome {
    match toolchain::build(repo_root, Variant::Normal, &CancellationToken::new()) {
        Ok(images) => Outcome::Good(images.hyp_img.display().to_string()),
        Err(error) => Outcome::Bad { problem: error.to_string(), remedy: setup() },
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
        assert_eq!(*remedy, setup());
        assert!(Check { name: "x", outcome }.usable());
    }

    #[test]
    fn a_folder_without_any_compiler_configuration_is_still_checked_whole() {
        let dir = tempfile::tempdir().unwrap();
        let checks = check_all(dir.path(), false);
        assert_eq!(checks.len(), 9);
        assert!(checks.iter().all(|check| !check.name.is_empty()));
        let linux = checks.iter().find(|check| check.name == "Linux to boot").unwrap();
        assert!(matches!(linux.outcome, Outcome::Warning { .. }), "{linux:?}");
    }

    #[test]
    fn a_tree_that_cannot_be_written_is_told_and_no_command_is_offered() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(writable(dir.path()), Outcome::Good(_) | Outcome::Warning { .. }));
        let outcome = writable(&dir.path().join("nowhere"));
        assert!(matches!(outcome, Outcome::Bad { remedy: Remedy::ByHand(_), .. }), "{outcome:?}");
    }
}
