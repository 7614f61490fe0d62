//! Which kernel is booted, with which modules and which busybox.

use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};
use parallax_trace::spec::MEMORY;

use crate::kernel;
use crate::modules::{self, Module};
use crate::spec::LinuxSpec;

/// What was chosen.
#[derive(Debug)]
pub struct Choice {
    /// The kernel's arm64 Image.
    pub image: PathBuf,
    /// A static busybox of arm64; not needed with an initramfs of the user's own.
    pub busybox: PathBuf,
    /// Modules, in the order in which they are to be loaded.
    pub(crate) modules: Vec<Module>,
    /// What the user should know of the choice.
    pub notes: Vec<String>,
}

/// Chooses as `args` say; `linux` is the folder where ci/fetch-linux puts kernels. `own_initrd`: neither modules nor busybox
/// are needed.
///
/// # Errors
/// Something is not there, or is not what it must be, or modules are another kernel's.
pub fn choose(args: &LinuxSpec, linux: &Path, own_initrd: bool) -> Result<Choice, Failure> {
    let (image, own) = image(args.kernel.as_deref(), linux)?;
    let release = kernel::release(&image, args.mem).map_err(Failure::usage)?;
    let mut choice = Choice { image, busybox: PathBuf::new(), modules: Vec::new(), notes: Vec::new() };
    if own_initrd {
        return Ok(choice);
    }
    choice.busybox = busybox(own.as_deref(), linux)?;
    let release = release.as_deref();
    choice.modules = match (&args.modules, &own) {
        (Some(folder), _) => modules::read(folder)?,
        (None, Some(own)) if own.join("modules").is_dir() => modules::read(&own.join("modules"))?,
        (None, Some(own)) => {
            return Err(missing(&format!("no folder {}", own.join("modules").display()), linux));
        }
        (None, None) => {
            let (modules, note) = matching(&choice.image, release, linux);
            choice.notes.push(note);
            modules
        }
    };
    match release {
        Some(release) => modules::check(&choice.modules, release)?,
        None if choice.modules.is_empty() => {}
        None => choice.notes.push(format!(
            "the kernel {} does not tell its version; whether the modules are its own is not known",
            choice.image.display()
        )),
    }
    Ok(choice)
}

/// The Image that `kernel` stands for, or the usual one, and a busybox for it; `linux` is the folder where ci/fetch-linux puts kernels.
///
/// # Errors
/// One of them is not there, or the Image is none.
pub fn kernel_and_busybox(kernel: Option<&Path>, linux: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let (image, own) = image(kernel, linux)?;
    kernel::release(&image, *MEMORY.end()).map_err(Failure::usage)?;
    let busybox = busybox(own.as_deref(), linux)?;
    Ok((image, busybox))
}

/// The Image, and the folder that it came into with its modules, if ci/fetch-linux put it there.
fn image(kernel: Option<&Path>, linux: &Path) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    let Some(kernel) = kernel else {
        let image = linux.join("Image");
        return if image.exists() {
            Ok((image, Some(linux.to_owned())))
        } else {
            Err(missing(&format!("no kernel at {}", image.display()), linux))
        };
    };
    let name = kernel.to_str().filter(|name| !name.contains('/'));
    if let Some(folder) = name.map(|name| linux.join(name)).filter(|folder| folder.join("Image").exists()) {
        return Ok((folder.join("Image"), Some(folder)));
    }
    match name {
        _ if kernel.exists() => Ok((kernel.to_owned(), None)),
        Some(name) => Err(unknown(name, linux)),
        None => Err(Failure::usage(format!("--kernel {}: there is no such file", kernel.display()))),
    }
}

/// `name` is neither a file nor a kernel below `linux`.
fn unknown(name: &str, linux: &Path) -> Failure {
    let mut text = format!("--kernel {name}: neither a file nor a folder of {}", linux.display());
    let names: Vec<_> = folders(linux)
        .iter()
        .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
        .collect();
    if !names.is_empty() {
        text.push_str(&format!(", which has {}", names.join(", ")));
    }
    let way = match series(name) {
        Some(series) => format!("`ci/fetch-linux --series {series}` fetches it, if there is one"),
        None => "`ci/fetch-linux --help` tells how to fetch one".to_owned(),
    };
    Failure::usage(format!("{text}; {way}"))
}

/// The series of a version: 7.3 of 7.3.4.
fn series(version: &str) -> Option<String> {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next()?.parse::<u16>().ok()?, numbers.next()?.parse::<u16>().ok()?);
    Some(format!("{major}.{minor}"))
}

/// The folders below `linux` that have a kernel.
fn folders(linux: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(linux).into_iter().flatten().flatten();
    let mut folders: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.join("Image").exists()).collect();
    folders.sort();
    folders
}

fn busybox(own: Option<&Path>, linux: &Path) -> Result<PathBuf, Failure> {
    if let Some(own) = own {
        let busybox = own.join("busybox");
        return match busybox.is_file() {
            true => Ok(busybox),
            false => Err(missing(&format!("no busybox at {}", busybox.display()), linux)),
        };
    }
    let places = std::iter::once(linux.to_owned()).chain(folders(linux)).map(|folder| folder.join("busybox"));
    let found = places.into_iter().find(|busybox| busybox.is_file());
    found.ok_or_else(|| missing(&format!("no busybox at {}", linux.join("busybox").display()), linux))
}

/// Modules for the Image at `image`: those beside it or below `linux` that are of its release.
fn matching(image: &Path, release: Option<&str>, linux: &Path) -> (Vec<Module>, String) {
    let beside = image.parent().unwrap_or_else(|| Path::new(""));
    let places = [beside.to_owned(), linux.to_owned()].into_iter().chain(folders(linux));
    if let Some(release) = release {
        for folder in places.map(|place| place.join("modules")).filter(|folder| folder.is_dir()) {
            let Ok(modules) = modules::read(&folder) else { continue };
            if !modules.is_empty() && modules::check(&modules, release).is_ok() {
                return (
                    modules,
                    format!("modules: those of {}, which are of {release}, too", folder.display()),
                );
            }
        }
    }
    let release = release.unwrap_or("a kernel that does not tell its version");
    let note = format!(
        "no modules: there are none of {release} beside the kernel or below {}; drivers that it has not built in are \
         missing (--modules DIR gives them)",
        linux.display()
    );
    (Vec::new(), note)
}

fn missing(what: &str, folder: &Path) -> Failure {
    let message = format!("{what}; `ci/setup --linux` puts a Linux into {}", folder.display());
    Failure { status: Status::Setup, message }
}

#[cfg(test)]
mod tests;
