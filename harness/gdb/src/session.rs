//! What a debugger is given: commands to source, the printers, the operations as a program. All of it lies in a folder that
//! goes away with the server ([`super::folder`]).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use parallax_machine::symbols::Image;
use parallax_machine::toolchain::{BuiltImages, Sources};

use crate::program;
use anyhow::{Context as _, Result};

use crate::folder::Folder;
use crate::history::{self, Named};

/// The printers and commands in Python.
const PRINTERS: &str = include_str!("../python/parallax.py");

/// The folder.
pub struct Session {
    folder: Folder,
}

/// Files of commands.
pub struct Commands {
    /// Those that load everything.
    pub alone: PathBuf,
    /// The same, and the one that connects.
    pub connected: PathBuf,
}

impl Session {
    /// An empty one for the server that is called `name`.
    pub fn new(name: &str) -> Result<Self> {
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
    pub fn program(&self, recording: &Path, operations: &[Named]) -> Result<PathBuf> {
        let (source, lines) = history::source(operations);
        let stem = recording.file_stem().map_or_else(|| "recording".into(), |stem| stem.to_string_lossy());
        let stem: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        let source = self.write(&format!("{stem}.trace"), source.as_bytes())?;
        self.write("operations.elf", &program::elf(&source, &lines)?)
    }

    /// Writes the commands that load `program` or `images` and connect to `address`.
    pub fn commands(
        &self,
        program: Option<&Path>,
        images: Option<&BuiltImages>,
        address: &str,
    ) -> Result<Commands> {
        let printers = self.folder.path().join("parallax.py");
        // In a recording no instruction but those of its events is ever come to.
        if let (None, Some(images)) = (program, images) {
            self.write("functions.txt", functions(images)?.as_bytes())?;
        }
        let mut text = commands(program, images, &printers);
        let alone = self.write("editor.gdb", text.as_bytes())?;
        let _ = writeln!(text, "target remote {address}");
        Ok(Commands { alone, connected: self.write("gdbinit", text.as_bytes())? })
    }
}

/// Every function of the hypervisor and of the test host in a line: its name, and where it begins.
fn functions(images: &BuiltImages) -> Result<String> {
    let mut text = String::new();
    for elf in [&images.hyp_elf, &images.payload_elf] {
        for (name, places) in Image::load(elf)?.beginnings() {
            let places: Vec<String> = places.iter().map(|place| format!("{:#x}", place.get())).collect();
            let _ = writeln!(text, "{name}\t{}", places.join(" "));
        }
    }
    Ok(text)
}

/// `path` as one word of a command of gdb's.
fn word(path: &Path) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/-_.,+:@%=~".contains(c);
    path.display().to_string().chars().fold(String::new(), |mut word, c| {
        if !plain(c) {
            word.push('\\');
        }
        word.push(c);
        word
    })
}

/// Commands that load what there is.
pub fn commands(program: Option<&Path>, images: Option<&BuiltImages>, printers: &Path) -> String {
    let mut text = "set confirm off\nset architecture aarch64\n".to_owned();
    if let Some(program) = program {
        // Code is not in a recording, and is not written to: it can be read from the symbols' file.
        text.push_str("set $parallax_recording = 1\nset trust-readonly-sections on\n");
        let _ = writeln!(text, "file {}", word(program));
    }
    if let Some(images) = images {
        // Both are linked where they run: the hypervisor at its EL2 virtual addresses, the test host at its physical ones.
        let first = if program.is_none() { "file" } else { "add-symbol-file" };
        let _ = writeln!(text, "{first} {}", word(&images.hyp_elf));
        let _ = writeln!(text, "add-symbol-file {}", word(&images.payload_elf));
        // Where the sources are is in no image.
        let mut known = BTreeSet::new();
        for Sources { word: path, folder } in images.sources() {
            if folder.is_dir() && known.insert(path) {
                let _ = writeln!(text, "set substitute-path {path} {}", word(&folder));
            }
        }
    }
    let _ = writeln!(text, "source {}", printers.display());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(word(Path::new("/tmp/a-b_1.elf")), "/tmp/a-b_1.elf");
        assert_eq!(word(Path::new("/a tree/it's \\")), "/a\\ tree/it\\'s\\ \\\\");
    }

    #[test]
    fn a_debugger_is_told_where_the_sources_are() {
        let root = tempfile::Builder::new().prefix("a tree").tempdir().unwrap();
        let [hyp_elf, payload_elf, hyp_img, payload_img] =
            ["hyp.elf", "payload.elf", "hyp.img", "payload.img"].map(|name| root.path().join(name));
        let repo_root = root.path().to_owned();
        let id = String::new();
        let images = BuiltImages { repo_root, id, hyp_elf, payload_elf, hyp_img, payload_img };
        let text = commands(None, Some(&images), Path::new("/printers.py"));
        let tree = format!("set substitute-path /parallax {}\n", word(&root.path().canonicalize().unwrap()));
        assert!(text.contains(&tree) && text.contains("a\\ tree"), "{text}");
        assert_eq!(text.matches("substitute-path /parallax").count(), 1);
    }
}
