//! The initramfs: a shell that says where the hypervisor is.

use std::path::Path;

use parallax_trace::spec::Guest;

use super::{kernel, vmm};
use crate::cpio::Archive;
use crate::error::MachineError;

/// PID 1.
const INIT: &str = include_str!("init.sh");
/// The largest busybox that is believed.
const MOST: u64 = 16 << 20;

/// The program that has a virtual machine.
const GUEST: &str = "/guest";

/// The archive, with the static `busybox` of the machine's architecture, for a host with `guest`.
pub(super) fn initrd(busybox: &Path, guest: Guest) -> Result<Vec<u8>, MachineError> {
    let bytes = read(busybox, MOST)?;
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "proc", "sys"] {
        archive.folder(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.file("bin/busybox", &bytes);
    archive.file("init", INIT.as_bytes());
    if guest == Guest::Ordinary {
        archive.file(&GUEST[1..], &vmm::program(GUEST, &format!("{} {}\n", kernel::GUEST, kernel::GUEST_OK)));
    }
    Ok(archive.finish())
}

/// The file at `path`, of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, MachineError> {
    let failed = |cause: String| MachineError::Foreign(format!("{}: {cause}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > most {
        return Err(failed(format!("larger than {} MiB", most >> 20)));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}
