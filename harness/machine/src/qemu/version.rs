//! Which QEMU is there.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::QemuError;
use crate::programs::find_program;

/// The program.
pub const PROGRAM: &str = "qemu-system-aarch64";
/// The variable that names another one than the search path's: the program, or the folder that it is in.
pub const VARIABLE: &str = "PARALLAX_QEMU";
/// Below the root of the source tree: where each folder may have a `bin` with another QEMU.
const TOOLS: &str = "target/tools";
/// The oldest version that has the machine type and the SMMU model that Parallax needs.
pub const REQUIRED: Version = Version { major: 10, minor: 0, micro: 0 };

/// How long a program may take to tell its version. Even a computer that is busy otherwise needs less.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest first line that is read, in bytes.
const LONGEST_LINE: u64 = 4096;

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub micro: u32,
}

impl Version {
    /// Reads the first line that `--version` prints.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.lines().next()?.split_once("version ")?.1;
        let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        let mut next = || parts.next().flatten();
        Some(Self { major: next()?, minor: next()?, micro: next().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The QEMU to use: the one that [`VARIABLE`] names, or else the first on the search path.
///
/// # Errors
/// [`QemuError::Named`] or [`QemuError::Missing`].
pub fn program() -> Result<PathBuf, QemuError> {
    match std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        Some(named) => in_folder(Path::new(&named)).ok_or(QemuError::Named(named.into())),
        None => find_program(PROGRAM).ok_or(QemuError::Missing),
    }
}

/// The program at `named`, or in that folder.
fn in_folder(named: &Path) -> Option<PathBuf> {
    [named.to_owned(), named.join(PROGRAM)].into_iter().find(|file| file.is_file())
}

/// Those that `ci/fetch-debian` put below the source tree at `root`, in the order of their names.
#[must_use]
pub fn fetched(root: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root.join(TOOLS)).into_iter().flatten().flatten();
    let mut found: Vec<_> = folders.filter_map(|folder| in_folder(&folder.path().join("bin"))).collect();
    found.sort();
    found
}

/// The version of the QEMU at `program`, if it is new enough.
///
/// # Errors
/// [`QemuError::Start`], [`QemuError::NoVersion`] or [`QemuError::Version`].
pub fn check(program: &Path) -> Result<Version, QemuError> {
    let line = first_line(Command::new(program).arg("--version"), PATIENCE)
        .map_err(|source| QemuError::Start { what: "asking for its version", source })?;
    match Version::parse(&line) {
        Some(version) if version >= REQUIRED => Ok(version),
        Some(version) => Err(QemuError::Version { found: version.to_string() }),
        None => Err(QemuError::NoVersion(program.to_owned())),
    }
}

/// The first line that `command` prints; nothing if there is none in time. The program ends with this.
fn first_line(command: &mut Command, patience: Duration) -> io::Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (send, line) = mpsc::channel();
    // Not joined: a child of the program may hold the pipe open.
    let stdout = child.stdout.take();
    thread::spawn(move || {
        let mut line = Vec::new();
        let read =
            stdout.map_or(Ok(0), |out| BufReader::new(out.take(LONGEST_LINE)).read_until(b'\n', &mut line));
        // Who does not listen any more has waited long enough.
        let _ = send.send(read.map(|_| String::from_utf8_lossy(&line).into_owned()));
    });
    let line = line.recv_timeout(patience).unwrap_or_else(|_| Ok(String::new()));
    child.kill()?;
    child.wait()?;
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distribution_suffixes_are_not_part_of_the_version() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright";
        assert_eq!(Version::parse(text), Some(Version { major: 10, minor: 0, micro: 2 }));
        assert_eq!(Version::parse("QEMU emulator version 9.2").unwrap().to_string(), "9.2.0");
        assert_eq!(Version::parse("something else"), None);
    }

    #[test]
    fn a_program_that_hangs_is_not_waited_for() {
        let said = |script: &str| {
            first_line(Command::new("sh").args(["-c", script]), Duration::from_millis(500)).unwrap()
        };
        assert_eq!(said("exec sleep 60"), "");
        assert_eq!(said("sleep 5; exit"), "", "a child of it holds the pipe open");
        assert_eq!(said("echo version 11.1.3; exec sleep 60"), "version 11.1.3\n");
        assert_eq!(said("exit 1"), "");
    }

    #[test]
    fn a_fetched_qemu_is_found_by_its_folder() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(fetched(root.path()), Vec::<PathBuf>::new());
        for name in ["qemu-next", "qemu", "gdb"] {
            let bin = root.path().join(TOOLS).join(name).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            if name != "gdb" {
                std::fs::write(bin.join(PROGRAM), "").unwrap();
            }
        }
        let bin = |name| root.path().join(TOOLS).join(name).join("bin");
        assert_eq!(fetched(root.path()), ["qemu", "qemu-next"].map(|name| bin(name).join(PROGRAM)));
        assert_eq!(in_folder(&bin("qemu")), Some(bin("qemu").join(PROGRAM)));
        assert_eq!(in_folder(&bin("qemu").join(PROGRAM)), Some(bin("qemu").join(PROGRAM)));
        assert_eq!(in_folder(&bin("gdb")), None);
    }

    #[test]
    fn seven_is_older_than_ten() {
        assert!(Version::parse("QEMU emulator version 7.2.19").unwrap() < REQUIRED);
        assert!(Version::parse("QEMU emulator version 11.1.0").unwrap() > REQUIRED);
    }
}
