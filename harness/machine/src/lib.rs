//! Machines to look at: live QEMU, recordings.
