//! Which QEMUs there are.

use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "qemu-system-aarch64";

/// A QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    /// Its version.
    pub version: String,
    /// The program.
    pub program: PathBuf,
}

/// All that are found, the one that is used by default first; no version twice. In place of those on PATH and below
/// target/tools can be those in the folders of PARALLAX_QEMUS, with colons between.
#[must_use]
pub fn find(root: &Path) -> Vec<Qemu> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folders = |list| std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect();
    let mut places: Vec<PathBuf> = match set("PARALLAX_QEMUS") {
        Some(only) => folders(only),
        None => {
            let mut places: Vec<PathBuf> = set("PATH").map(folders).unwrap_or_default();
            let tools = std::fs::read_dir(root.join("target/tools")).into_iter().flatten().flatten();
            let mut tools: Vec<PathBuf> = tools.map(|entry| entry.path().join("bin")).collect();
            tools.sort();
            places.extend(tools);
            places
        }
    };
    places.iter_mut().for_each(|folder| folder.push(NAME));
    let named = set("PARALLAX_QEMU").map(PathBuf::from);
    let named = named.into_iter().flat_map(|path| [path.join(NAME), path]);
    let mut found: Vec<Qemu> = Vec::new();
    for program in named.chain(places).filter(|program| program.is_file()) {
        let Some(version) = version(&program) else { continue };
        if found.iter().all(|known| known.version != version) {
            found.push(Qemu { version, program });
        }
    }
    found
}

/// `QEMU emulator version 10.0.2 (Debian ...)`.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().skip_while(|word| *word != "version").skip(1);
    words.next().map(str::to_owned)
}
