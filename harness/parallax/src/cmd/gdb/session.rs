//! What a debugger is given: commands to source, the printers, the operations as a program. All of it lies in a folder that
//! goes away with the server ([`super::folder`]).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use parallax_gdb::program;
use parallax_machine::toolchain::BuiltImages;

use super::folder::Folder;
use super::history::{self, Named};

/// The printers and commands in Python.
const PRINTERS: &str = include_str!("../../../../gdb/python/parallax.py");

/// The folder.
pub(super) struct Session {
    folder: Folder,
}

/// Files of commands.
pub(super) struct Commands {
    /// Those that load everything.
    pub(super) alone: PathBuf,
    /// The same, and the one that connects.
    pub(super) connected: PathBuf,
}

impl Session {
    /// An empty one for the server that is called `name`.
    pub(super) fn new(name: &str) -> Result<Self> {
        let folder = Folder::new(&std::env::temp_dir(), name);
        let folder = folder.context(
            "no folder can be made for a debugger's files; set TMPDIR to a folder that you can write to",
        )?;
        let session = Self { folder };
        session.write("parallax.py", PRINTERS.as_bytes())?;
        Ok(session)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Puts the operations there as a program called after `recording`, and gives its file.
    pub(super) fn program(&self, recording: &Path, operations: &[Named]) -> Result<PathBuf> {
        let (source, lines) = history::source(operations);
        let stem = recording.file_stem().map_or_else(|| "recording".into(), |stem| stem.to_string_lossy());
        let stem: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        let source = self.write(&format!("{stem}.trace"), source.as_bytes())?;
        self.write("operations.elf", &program::elf(&source, &lines)?)
    }

    /// Writes the commands that load `program` or `images` and connect to `address`.
    pub(super) fn commands(
        &self,
        program: Option<&Path>,
        images: Option<&BuiltImages>,
        address: &str,
    ) -> Result<Commands> {
        let printers = self.folder.path().join("parallax.py");
        let mut text = commands(program, images, &printers);
        let alone = self.write("editor.gdb", text.as_bytes())?;
        let _ = writeln!(text, "target remote {address}");
        Ok(Commands { alone, connected: self.write("gdbinit", text.as_bytes())? })
    }
}

/// Commands that load what there is.
pub(super) fn commands(program: Option<&Path>, images: Option<&BuiltImages>, printers: &Path) -> String {
    let mut text = "set confirm off\nset architecture aarch64\n".to_owned();
    if let Some(program) = program {
        // Code is not in a recording, and is not written to: it can be read from the symbols' file.
        text.push_str("set $parallax_recording = 1\nset trust-readonly-sections on\n");
        let _ = writeln!(text, "file {}", program.display());
    }
    if let Some(images) = images {
        // Both are linked where they run: the hypervisor at its EL2 virtual addresses, the test host at its physical ones.
        let first = if program.is_none() { "file" } else { "add-symbol-file" };
        let _ = writeln!(text, "{first} {}", images.hyp_elf.display());
        let _ = writeln!(text, "add-symbol-file {}", images.payload_elf.display());
    }
    let _ = writeln!(text, "source {}", printers.display());
    text
}
