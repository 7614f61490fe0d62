//! What was built, kept in folders that are called by their contents and never change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parallax_trace::spec::MachineSpec;
use sha2::{Digest, Sha256};

use super::{Sources, Toolchain, ToolchainError, flatten, paths, sources};

/// How many earlier builds of each variant are kept.
const KEPT: usize = 32;
/// Offset and value of the magic number in an arm64 Image header.
const IMAGE_MAGIC: (usize, &[u8]) = (0x38, b"ARM\x64");

/// Which build of the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The one that is meant to be used.
    Normal,
    /// The one that contains the switchable faults.
    Faults,
}

impl Variant {
    /// The one that `config` asks for.
    #[must_use]
    pub const fn of(config: &MachineSpec) -> Self {
        if config.faults_build { Self::Faults } else { Self::Normal }
    }

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Faults => "faults",
        }
    }

    pub(super) const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Normal => &[],
            Self::Faults => &["--features", "hyp/faults"],
        }
    }
}

/// What a machine boots from. The files do not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltImages {
    /// The root of the repository that it was built from.
    pub repo_root: PathBuf,
    /// What tells them from all others: the SHA-256 of the two ELF files, one behind the other.
    pub id: String,
    /// The hypervisor's ELF file.
    pub hyp_elf: PathBuf,
    /// The test host's ELF file.
    pub payload_elf: PathBuf,
    /// The hypervisor's flat image.
    pub hyp_img: PathBuf,
    /// The test host's flat image.
    pub payload_img: PathBuf,
}

impl BuiltImages {
    /// Where the sources are whose paths the ELF files tell, for a debugger.
    #[must_use]
    pub fn sources(&self) -> Vec<Sources> {
        let toolchain = Toolchain::find(&self.repo_root).unwrap_or(Toolchain::Library);
        toolchain.sources(&self.repo_root)
    }

    /// Those in four files: the ELF files of the hypervisor and of the test host, and their flat images.
    ///
    /// # Errors
    /// An ELF file cannot be read.
    pub fn of_files(repo_root: &Path, files: [PathBuf; 4]) -> io::Result<Self> {
        let id = id_of(&fs::read(&files[0])?, &fs::read(&files[1])?);
        Ok(Self::named(repo_root, id, files))
    }

    fn named(repo_root: &Path, id: String, files: [PathBuf; 4]) -> Self {
        let [hyp_elf, payload_elf, hyp_img, payload_img] = files;
        Self { repo_root: repo_root.to_owned(), id, hyp_elf, payload_elf, hyp_img, payload_img }
    }
}

/// The four files of images in `dir`.
fn files_in(dir: &Path) -> [PathBuf; 4] {
    ["hyp.elf", "testhost.elf", "hyp.img", "testhost.img"].map(|name| dir.join(name))
}

/// [`BuiltImages::id`] of images with these ELF files.
fn id_of(hyp_elf: &[u8], payload_elf: &[u8]) -> String {
    let digest = Sha256::new().chain_update(hyp_elf).chain_update(payload_elf).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The images called `id`, where the tree at `repo_root` built them once and they are still kept.
#[must_use]
pub fn kept(repo_root: &Path, variant: Variant, id: &str) -> Option<BuiltImages> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let dir = folder(repo_root, variant).join(id);
    BuiltImages::of_files(repo_root, files_in(&dir)).ok().filter(|images| images.id == id)
}

/// Where the tree at `repo_root` keeps what it built.
pub(super) fn folder(repo_root: &Path, variant: Variant) -> PathBuf {
    repo_root.join("target/parallax").join(variant.folder())
}

/// The images of the sources with `digest`, where they were built once and are still kept.
pub(super) fn known(repo_root: &Path, variant: Variant, notes: &Path, digest: &str) -> Option<BuiltImages> {
    let images = kept(repo_root, variant, &sources::known(notes, digest)?)?;
    [&images.hyp_img, &images.payload_img].iter().all(|path| path.is_file()).then_some(images)
}

/// Puts the two ELF files and their images into a folder named after their contents.
pub(super) fn store(
    repo_root: &Path,
    folder: &Path,
    hyp: &Path,
    payload: &Path,
) -> Result<BuiltImages, ToolchainError> {
    let hyp_elf = fs::read(hyp).map_err(at(hyp))?;
    let payload_elf = fs::read(payload).map_err(at(payload))?;
    for (path, elf) in [(hyp, &hyp_elf), (payload, &payload_elf)] {
        if !paths::are_in(elf) {
            let folder = repo_root.join("target/hyp");
            return Err(ToolchainError::Paths { elf: path.to_owned(), folder });
        }
    }
    let id = id_of(&hyp_elf, &payload_elf);
    let dir = folder.join(&id);
    let images = BuiltImages::named(repo_root, id, files_in(&dir));
    if dir.is_dir() {
        return Ok(images);
    }
    let image = |path: &Path, elf: &[u8]| {
        flatten(elf).map_err(|source| ToolchainError::Flatten { path: path.to_owned(), source })
    };
    let hyp_img = image(hyp, &hyp_elf)?;
    if !hyp_img.get(IMAGE_MAGIC.0..).is_some_and(|rest| rest.starts_with(IMAGE_MAGIC.1)) {
        return Err(ToolchainError::NoImageHeader(hyp.to_owned()));
    }
    let payload_img = image(payload, &payload_elf)?;
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(folder).map_err(at(folder))?;
    for (path, bytes) in files_in(new.path()).iter().zip([&hyp_elf, &payload_elf, &hyp_img, &payload_img]) {
        fs::write(path, bytes).map_err(at(path))?;
    }
    fs::rename(new.keep(), &dir).map_err(at(&dir))?;
    prune(folder, &dir).map_err(at(folder))?;
    Ok(images)
}

/// Removes all but the newest [`KEPT`] builds.
fn prune(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut builds: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path() != newest && entry.file_type()?.is_dir() {
            builds.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    builds.sort();
    let excess = builds.len().saturating_sub(KEPT - 1);
    builds.iter().take(excess).try_for_each(|(_, dir)| fs::remove_dir_all(dir))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ToolchainError {
    let path = path.to_owned();
    move |source| ToolchainError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_images_are_found_by_what_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        let id = id_of(b"hyp", b"host");
        let dir = folder(root.path(), Variant::Normal).join(&id);
        fs::create_dir_all(&dir).unwrap();
        for (file, bytes) in files_in(&dir).iter().zip(["hyp", "host", "", ""]) {
            fs::write(file, bytes).unwrap();
        }
        let found = |id: &str| kept(root.path(), Variant::Normal, id).map(|images| images.id);
        assert_eq!(found(&id), Some(id.clone()));
        assert_eq!(kept(root.path(), Variant::Faults, &id), None);
        assert_eq!((found(""), found(".."), found(&id[1..])), (None, None, None));
        fs::write(&files_in(&dir)[0], "another").unwrap();
        assert_eq!(found(&id), None, "what is there is not what it is called after");
    }

    #[test]
    fn what_was_built_of_the_same_sources_is_taken_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let id = id_of(b"hyp", b"host");
        let dir = folder(root.path(), Variant::Normal).join(&id);
        fs::create_dir_all(&dir).unwrap();
        for (file, bytes) in files_in(&dir).iter().zip(["hyp", "host", "", ""]) {
            fs::write(file, bytes).unwrap();
        }
        let notes = root.path().join("notes");
        let found =
            |digest: &str| known(root.path(), Variant::Normal, &notes, digest).map(|images| images.id);
        assert_eq!(found("sources"), None);
        sources::note(&notes, "sources", &id).unwrap();
        assert_eq!(found("sources"), Some(id));
        assert_eq!(found("others"), None);
        fs::remove_file(&files_in(&dir)[2]).unwrap();
        assert_eq!(found("sources"), None, "a file of it is gone");
    }

    #[test]
    fn old_builds_are_removed_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..KEPT + 3 {
            fs::create_dir(folder.path().join(index.to_string())).unwrap();
        }
        let newest = folder.path().join("0");
        prune(folder.path(), &newest).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
        assert!(newest.is_dir());
    }
}
