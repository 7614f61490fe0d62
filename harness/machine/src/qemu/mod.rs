//! A QEMU process: started, watched, and gone when its owner is gone.
//!
//! Everything that the process shares with the outer world is private to the user and to this run: a directory of
//! mode 0700 with its sockets, and files without a name for guest RAM and for what a plugin writes. [`Qemu::hide`] removes
//! the directory as soon as both ends are connected, so that nothing is left behind even if this process is killed.

pub mod args;
pub mod version;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use parallax_abi::journal::Record;
use parallax_trace::spec::{MachineSpec, TreeFile};
use parallax_trace::tree::TreeError;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

pub use self::args::{Notes, Pagewatch, Places};
pub use self::version::Version;
use crate::coverage::Coverage;
use crate::journal::{Journal, JournalError};
use crate::programs::find_program;
use crate::ram::MappedRam;
use crate::room;
use crate::scratch::Scratch;
use crate::unlinked::UnlinkedFile;

/// The longest path that a unix socket may have, in bytes (`sun_path`, with its terminating zero).
const SOCKET_PATH_MAX: usize = 107;
/// How much of what QEMU or the machine printed is shown in an error, in bytes.
const TAIL: u64 = 16 << 10;

/// QEMU could not be used.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// It is not installed.
    #[error("{} is not installed; `ci/setup` installs it", version::PROGRAM)]
    Missing,
    /// The variable names none.
    #[error("{} names no QEMU: {} is neither a program nor a folder with {}", version::VARIABLE, .0.display(), version::PROGRAM)]
    Named(PathBuf),
    /// It is too old.
    #[error(
        "{} is version {found}, {} or newer is needed; `ci/setup` installs it",
        version::PROGRAM,
        version::REQUIRED
    )]
    Version {
        /// The version that is installed.
        found: String,
    },
    /// It does not tell what it is.
    #[error("`{} --version` tells no version; {} or newer is needed", .0.display(), version::REQUIRED)]
    NoVersion(PathBuf),
    /// A file or the process could not be made.
    #[error("cannot start QEMU: {what}: {source}")]
    Start {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The machine's device tree is malformed.
    #[error("the device tree of this machine: {0}")]
    Tree(#[from] TreeError),
    /// The directory for temporary files has a name that is too long for sockets.
    #[error("{} is too long a path for a socket; set TMPDIR to a shorter one", .0.display())]
    SocketPath(PathBuf),
}

/// What QEMU loads.
pub(crate) struct Files<'a> {
    /// The hypervisor's flat image, or whatever runs first.
    pub(crate) hyp: &'a Path,
    /// What the guest loader loads.
    pub(crate) payload: &'a Path,
    /// The flattened device tree, where it is not QEMU's own.
    pub(crate) tree: Option<&'a [u8]>,
}

/// A running QEMU.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    version: Version,
    uart: File,
    stderr: File,
    names: Option<Names>,
}

/// What a plugin writes.
#[derive(Debug)]
pub enum Watched {
    /// There is no plugin.
    Nothing,
    /// What EL2 does, and if that is noted too, which instructions ran.
    Journal(Journal, Option<Coverage>),
    /// Which instructions ran.
    Coverage(Coverage),
}

impl Watched {
    /// The records since the last call, in the order of what happened; none without a journal. The machine must stand still.
    ///
    /// # Errors
    /// The journal cannot be believed.
    pub fn events(&self) -> Result<Vec<Record>, JournalError> {
        match self {
            Self::Journal(journal, _) => journal.read(),
            Self::Nothing | Self::Coverage(_) => Ok(Vec::new()),
        }
    }

    /// Makes what `plugin` shall write to, and its files, each with the plugin's key for it.
    fn create(
        plugin: Option<&Pagewatch>,
        dir: &Path,
    ) -> io::Result<(Self, Vec<(&'static str, UnlinkedFile)>)> {
        let Some(plugin) = plugin else { return Ok((Self::Nothing, Vec::new())) };
        let code = plugin
            .places
            .filter(|_| plugin.notes != Notes::Events)
            .map(|places| Coverage::create(dir, places.image))
            .transpose()?;
        let (code, file) = code.unzip();
        let mut files: Vec<_> = file.map(|file| ("coverage", file)).into_iter().collect();
        let watched = match (plugin.notes, code) {
            (Notes::Code, Some(code)) => Self::Coverage(code),
            (_, code) => {
                let (journal, file) = Journal::create(dir)?;
                files.push(("journal", file));
                Self::Journal(journal, code)
            }
        };
        Ok((watched, files))
    }
}

/// What other processes of the user can see while a machine is being connected.
#[derive(Debug)]
struct Names {
    dir: Scratch,
    /// Held until QEMU has opened them.
    _files: Vec<UnlinkedFile>,
}

impl Qemu {
    /// Starts QEMU with `config` and gives it together with its mapped RAM, and with what `plugin` writes, if there is
    /// one. The machine stands still.
    ///
    /// The process ends with the *thread* that calls this, whatever becomes of it.
    ///
    /// # Errors
    /// QEMU is missing, too old, or could not be started.
    pub fn start(
        config: &MachineSpec,
        hyp: &Path,
        payload: &Path,
        plugin: Option<&Pagewatch>,
    ) -> Result<(Self, MappedRam, Watched), QemuError> {
        let tree = config.tree.as_ref().map(TreeFile::tree).transpose()?.map(|tree| tree.flat());
        let files = Files { hyp, payload, tree: tree.as_deref() };
        Self::launch(config.mem_bytes, &files, plugin, |paths| args::arguments(config, paths))
    }

    /// Starts QEMU with `mem_bytes` of RAM and the arguments that `arguments` makes of its files and sockets; the
    /// rest as [`Self::start`].
    pub(crate) fn launch(
        mem_bytes: u64,
        files: &Files<'_>,
        plugin: Option<&Pagewatch>,
        arguments: impl FnOnce(&args::Paths<'_>) -> Vec<OsString>,
    ) -> Result<(Self, MappedRam, Watched), QemuError> {
        let (program, version) = usable_program()?;
        let start = |what| move |source| QemuError::Start { what, source };
        let dir = Scratch::new().map_err(start("making a directory for its sockets"))?;
        let gdb = dir.path().join("gdb.sock");
        if gdb.as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
            return Err(QemuError::SocketPath(gdb));
        }
        let ram_file =
            UnlinkedFile::create(dir.path(), mem_bytes).map_err(start("making a file for guest RAM"))?;
        room::check(ram_file.as_file(), mem_bytes).map_err(start("room for guest RAM"))?;
        let ram = MappedRam::new(ram_file.as_file(), mem_bytes).map_err(start("mapping guest RAM"))?;
        let qmp = dir.path().join("qmp.sock");
        let uart_path = dir.path().join("uart.log");
        let uart = File::options().read(true).append(true).create_new(true).open(&uart_path);
        let uart = uart.map_err(start("making a file for its serial port"))?;
        let (stderr, child_stderr) =
            stderr_file(dir.path()).map_err(start("making a file for its messages"))?;

        let tree = files.tree.map(|tree| {
            let path = dir.path().join("tree.dtb");
            std::fs::write(&path, tree).map(|()| path)
        });
        let tree = tree.transpose().map_err(start("making a file for its device tree"))?;

        let plugin = plugin.map(|plugin| plugin.made_for(version));
        let plugin = plugin.as_ref();
        let (watched, watched_files) =
            Watched::create(plugin, dir.path()).map_err(start("making a plugin's file"))?;
        let named: Vec<_> = watched_files.iter().map(|(key, file)| (*key, file.path())).collect();
        let plugin = plugin.map(|plugin| (plugin, named.as_slice()));
        let paths = args::Paths {
            plugin,
            hyp: files.hyp,
            payload: files.payload,
            tree: tree.as_deref(),
            ram: ram_file.path(),
            gdb: &gdb,
            qmp: &qmp,
            uart: &uart_path,
        };
        let mut command = command(&program);
        command.args(arguments(&paths));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(child_stderr);
        let child = command.process_group(0).spawn().map_err(start("running it"))?;
        let files =
            std::iter::once(ram_file).chain(watched_files.into_iter().map(|(_, file)| file)).collect();
        let names = Some(Names { dir, _files: files });
        Ok((Self { child, version, uart, stderr, names }, ram, watched))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The gdbstub's socket; none after [`Self::hide`].
    #[must_use]
    pub fn gdb_socket(&self) -> Option<PathBuf> {
        self.names.as_ref().map(|names| names.dir.path().join("gdb.sock"))
    }

    /// The monitor's socket; none after [`Self::hide`].
    #[must_use]
    pub fn qmp_socket(&self) -> Option<PathBuf> {
        self.names.as_ref().map(|names| names.dir.path().join("qmp.sock"))
    }

    /// Removes the names of sockets and logs. To be called when QEMU has opened all of them and both
    /// sockets are connected.
    pub fn hide(&mut self) {
        self.names = None;
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether it has ended, for who cannot take its exit status.
    pub fn is_gone(&self) -> bool {
        is_gone(&self.child)
    }

    /// The file that holds what the machine prints on its serial port, to be read by position.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn console(&self) -> io::Result<File> {
        self.uart.try_clone()
    }

    /// The end of what the machine printed on its serial port.
    #[must_use]
    pub fn uart_tail(&self) -> String {
        tail(&self.uart)
    }

    /// The end of what QEMU itself printed.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        tail(&self.stderr)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The QEMU to use and its version; asked once in the life of this process if the answer is good.
fn usable_program() -> Result<(PathBuf, Version), QemuError> {
    static FOUND: OnceLock<(PathBuf, Version)> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let program = version::program()?;
    let version = version::check(&program)?;
    Ok(FOUND.get_or_init(|| (program, version)).clone())
}

/// A command that runs `program` and has the kernel kill it when its parent dies (`setpriv`, of util-linux).
fn command(program: &Path) -> Command {
    let Some(setpriv) = find_program("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn stderr_file(dir: &Path) -> io::Result<(File, File)> {
    let path = dir.join("stderr.log");
    let write = File::options().append(true).create_new(true).open(&path)?;
    Ok((File::open(path)?, write))
}

/// The last [`TAIL`] bytes of `file` as text.
fn tail(mut file: &File) -> String {
    let mut bytes = Vec::new();
    let read = file.metadata().and_then(|data| {
        file.seek(SeekFrom::Start(data.len().saturating_sub(TAIL)))?;
        file.take(TAIL).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("(cannot be read: {error})"),
    }
}

/// Whether `child` has ended. Its exit status stays there.
fn is_gone(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_tail_is_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; usize::try_from(TAIL).unwrap()]).unwrap();
        file.write_all(b"end").unwrap();
        let text = tail(&file);
        assert_eq!(text.len() as u64, TAIL);
        assert!(text.ends_with("xend"));
    }

    #[test]
    fn who_sees_that_a_child_is_gone_leaves_its_status() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        assert!(!is_gone(&child));
        drop(child.stdin.take());
        while !is_gone(&child) {
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success());
        assert!(is_gone(&child), "nothing is left to wait for");
    }

    #[test]
    fn errors_of_a_missing_or_old_qemu_tell_the_remedy() {
        for error in [QemuError::Missing, QemuError::Version { found: "7.2.0".into() }] {
            assert!(error.to_string().contains("ci/setup"), "{error}");
        }
    }
}
