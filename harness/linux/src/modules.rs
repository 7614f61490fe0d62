//! Modules of a kernel: which of a folder are needed, in which order, and whether they are that kernel's.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use parallax_engine::status::Failure;

/// What a tree of modules is searched for; ci/fetch-linux takes the same.
const WANTED: &str = include_str!("modules.txt");
/// No module is larger, even with all that a debugger wants to know.
const MOST_BYTES: u64 = 1 << 30;
/// Folders below folders that are searched; /lib/modules has fewer.
const DEEPEST: usize = 16;

/// A module to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// The file's name without `.ko`.
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

impl Module {
    /// What its `.modinfo` says of `key`.
    fn info(&self, key: &str) -> Option<&str> {
        let strings = self.data.split(|&byte| byte == 0);
        let mut values =
            strings.filter_map(|text| text.strip_prefix(key.as_bytes())?.strip_prefix(b"=".as_slice()));
        values.next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The release of the kernel that it is for.
    pub(super) fn release(&self) -> Option<&str> {
        self.info("vermagic")?.split(' ').next()
    }
}

/// The modules of a folder.
#[derive(Debug, Default)]
struct Folder {
    /// By their names with `_` for `-`, as the kernel compares them.
    files: BTreeMap<String, PathBuf>,
    /// Those that lie in the folder itself.
    own: Vec<String>,
    /// A compressed one, if there is any.
    packed: Option<PathBuf>,
}

fn key(name: &str) -> String {
    name.replace('-', "_")
}

impl Folder {
    fn read(&mut self, folder: &Path, depth: usize) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(name) = name.strip_suffix(".ko").map(key) {
                if depth == 0 {
                    self.own.push(name.clone());
                }
                self.files.insert(name, path);
            } else if [".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|end| name.ends_with(end)) {
                self.packed = Some(path);
            } else if depth < DEEPEST && path.is_dir() && !path.is_symlink() {
                self.read(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Puts module `name` behind what it depends on. What is not there is part of the kernel.
    fn add(&mut self, name: &str, order: &mut Vec<Module>) -> Result<(), Failure> {
        // Taken out, so that each comes once, and a circle ends.
        let Some(path) = self.files.remove(&key(name)) else { return Ok(()) };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let module = Module { name, data: read_file(&path)? };
        for other in module.info("depends").unwrap_or_default().split(',') {
            self.add(other, order)?;
        }
        order.push(module);
        Ok(())
    }
}

/// The content of a module's file. Nothing is waited for: a FIFO is not opened.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |why: &dyn Display| Failure::usage(format!("the module {}: {why}", path.display()));
    let file = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if !file.is_file() {
        return Err(cannot(&"it is no file"));
    }
    if file.len() > MOST_BYTES {
        return Err(cannot(&format_args!("no module has {} MiB", file.len() >> 20)));
    }
    std::fs::read(path).map_err(|error| cannot(&error))
}

/// The modules in `folder`, those first that others depend on: all that lie in it, and of a tree below it, such as
/// /lib/modules/RELEASE, those that the test needs.
///
/// # Errors
/// It cannot be read, one of them is no file, or they are compressed.
pub(super) fn read(folder: &Path) -> Result<Vec<Module>, Failure> {
    let shown = folder.display();
    let cannot = |error| Failure::usage(format!("the modules in {shown}: {error}"));
    let (mut found, mut order) = (Folder::default(), Vec::new());
    found.read(folder, 0).map_err(cannot)?;
    if let (true, Some(packed)) = (found.files.is_empty(), &found.packed) {
        let (packed, tool) = (
            packed.display(),
            match packed.extension().and_then(|end| end.to_str()) {
                Some("xz") => "xz -d",
                Some("zst") => "zstd -d --rm",
                _ => "gzip -d",
            },
        );
        let remedy = format!("unpack a copy of them: find COPY -name '*.ko.*' -exec {tool} {{}} +");
        return Err(Failure::usage(format!("the modules in {shown} are compressed ({packed}); {remedy}")));
    }
    let mut wanted = std::mem::take(&mut found.own);
    wanted.sort();
    for name in WANTED.lines().map(str::to_owned).chain(wanted) {
        found.add(&name, &mut order)?;
    }
    Ok(order)
}

/// Whether they are of the kernel `release`.
///
/// # Errors
/// Names the first that is not.
pub(super) fn check(modules: &[Module], release: &str) -> Result<(), Failure> {
    let Some(stranger) = modules.iter().find(|module| module.release() != Some(release)) else {
        return Ok(());
    };
    let Module { name, .. } = stranger;
    let what = stranger.release().map_or_else(
        || format!("{name}.ko is no module of a Linux"),
        |of| format!("module {name}.ko is of Linux {of}, the kernel is {release}"),
    );
    Err(Failure::usage(format!("{what}; give the modules of this kernel with --modules DIR")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(depends: &str, release: &str) -> String {
        format!("\u{7f}ELF\0license=GPL\0depends={depends}\0name=x\0vermagic={release} SMP aarch64\0")
    }

    fn names(modules: &[Module]) -> Vec<&str> {
        modules.iter().map(|module| module.name.as_str()).collect()
    }

    #[test]
    fn what_others_depend_on_comes_first_and_once() {
        let folder = tempfile::tempdir().unwrap();
        for (name, depends) in [("nvme", "nvme-core"), ("nvme-core", "nvme-auth,nvme_circle"), ("a_own", "")]
        {
            std::fs::write(folder.path().join(format!("{name}.ko")), module(depends, "7.3")).unwrap();
        }
        let deep = folder.path().join("kernel/crypto");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("nvme_auth.ko"), module("nvme-core", "7.3")).unwrap();
        std::fs::write(deep.join("unwanted.ko"), module("", "7.3")).unwrap();
        let modules = read(folder.path()).unwrap();
        assert_eq!(names(&modules), ["nvme_auth", "nvme-core", "nvme", "a_own"]);
        check(&modules, "7.3").unwrap();
        let shown = check(&modules, "7.3.1").unwrap_err().to_string();
        assert!(shown.contains("nvme_auth.ko is of Linux 7.3, the kernel is 7.3.1"), "{shown}");
    }

    #[test]
    fn compressed_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nvme.ko.xz"), "").unwrap();
        let shown = read(folder.path()).unwrap_err().to_string();
        assert!(shown.contains("are compressed") && shown.contains("-exec xz -d {} +"), "{shown}");
        assert!(read(&folder.path().join("none")).is_err());
    }

    #[test]
    fn what_is_no_file_is_told_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ko");
        let shown = || read(folder.path()).unwrap_err().to_string();
        std::fs::create_dir(&path).unwrap();
        assert!(shown().ends_with("x.ko: it is no file"), "{}", shown());
        std::fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(shown().ends_with("x.ko: it is no file"), "{}", shown());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(shown().contains("x.ko: No such file"), "{}", shown());
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).unwrap();
        assert!(shown().ends_with("x.ko: no module has 1048576 MiB"), "{}", shown());
    }

    #[test]
    fn what_is_no_module_is_told() {
        let other = Module { name: "x".to_owned(), data: b"text".to_vec() };
        assert!(check(&[other], "7.3").unwrap_err().to_string().contains("x.ko is no module"));
    }
}
