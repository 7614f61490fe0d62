//! Room for the memory of machines, which is a file that is mapped: where its file system is full, an access to it ends the process.
//!
//! RAM is sparse, and stays so: a machine of several GiB runs where there is less memory than that. What every machine takes is looked for
//! before it starts; one that takes more later than there is ends the command in order ([`watch`]).
//!
//! # Safety argument
//! What runs in the signal handler makes system calls, write and _exit, and touches nothing that another thread may hold.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use signal_hook::consts::SIGBUS;

use crate::failure::FailureClass;

/// The command that makes more room.
pub const REMEDY: &str = "mount -o remount,size=2G /dev/shm";

/// What is said where memory cannot be had that a machine was given.
pub(crate) const FULL: &str = "no room is left in /dev/shm, where the memory of machines is: fewer --jobs, or `mount -o remount,size=2G /dev/shm`";

/// What the images take, and what a plugin writes to, in bytes.
const ALWAYS: u64 = 8 << 20;

/// What a machine with `mem_bytes` of RAM takes of it until its first operation, in bytes: beside what it always is, the hypervisor
/// notes something of each page.
const fn taken(mem_bytes: u64) -> u64 {
    ALWAYS + mem_bytes / 128
}

/// Refuses a machine with `mem_bytes` of RAM where only `free` bytes are left for it.
fn enough(mem_bytes: u64, free: u64) -> io::Result<()> {
    let needed = taken(mem_bytes);
    if free >= needed {
        return Ok(());
    }
    let (free, needed) = (free >> 20, needed >> 20);
    let what = format!(
        "{free} MiB are free in /dev/shm, and this machine takes {needed} MiB before its first operation: `{REMEDY}`"
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, what))
}

/// Refuses a machine with `mem_bytes` of RAM in `file` where its file system has no room for what every machine takes.
///
/// # Errors
/// What is missing, and the command that makes room.
pub(crate) fn check(file: &File, mem_bytes: u64) -> io::Result<()> {
    // Where nobody knows, it may be enough.
    let Ok(stat) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    enough(mem_bytes, stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Has this process end with the status of a computer that lacks something, and say so, where it touches memory of a machine that cannot be
/// had.
///
/// # Errors
/// No handler can be installed.
pub fn watch() -> io::Result<()> {
    let end = || {
        for part in ["error: ", FULL, "\n"] {
            let _ = rustix::io::write(rustix::stdio::stderr(), part.as_bytes());
        }
        signal_hook::low_level::exit(i32::from(FailureClass::Setup.exit_status()));
    };
    // SAFETY: `end` makes system calls and does nothing else: it allocates nothing, takes no lock and cannot panic.
    unsafe { signal_hook::low_level::register(SIGBUS, end) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_needs_what_it_takes_and_not_what_it_has() {
        assert!(enough(256 << 20, 64 << 20).is_ok() && enough(4 << 30, 64 << 20).is_ok());
        let refused = enough(256 << 20, 4 << 20).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        let said = refused.to_string();
        assert!(said.starts_with("4 MiB are free in /dev/shm, and this machine takes 10 MiB"), "{said}");
        assert!(said.contains(REMEDY) && FULL.contains(REMEDY));
        assert!(enough(8 << 30, 64 << 20).is_err(), "so much is noted of its pages");
        assert!(enough(u64::MAX, u64::MAX).is_ok());
    }
}
