//! Machines to look at: a live hypervisor under QEMU, or a recording of one.
//!
//! [`Machine`] is the one narrow door: perform operations, read registers, read physical memory; what only some machines
//! can do are [`extensions`]. Every command of Parallax works through it. [`Live`] builds on QEMU: the gdbstub ([`rsp`])
//! stops the machine and gives registers and MMIO, guest RAM is a shared file that is mapped here ([`ram`]). [`Linux`]
//! runs a whole Linux instead of the test host and looks at it from time to time. [`recording`] writes what a run read and
//! plays it back without QEMU.
//!
//! `unsafe` is used in three files only: `ram.rs` and `journal.rs`, for files that are mapped here and in QEMU, and `room.rs`, for the signal where those have no memory.
#![deny(unsafe_code)]

pub mod backend;
pub mod coverage;
pub mod cpio;
pub mod cpu_clock;
pub mod doctor;
pub mod error;
pub mod extensions;
mod failure;
pub mod gdb;
pub mod journal;
pub mod machine;
pub mod place;
pub mod programs;
pub mod qemu;
pub mod qmp;
pub mod ram;
pub mod recording;
pub mod room;
pub mod rsp;
pub mod scratch;
pub mod shadow;
pub mod symbols;
pub mod target;
pub mod toolchain;
pub mod unlinked;

pub use backend::Backend;
pub use backend::attached::{Answers, Attached, Debugger, GdbAddress, Left};
pub use backend::beside::{Names, RamFile};
pub use backend::hyp::{BootOptions, Hyp, Live, step};
pub use backend::linux::{EDU_STREAM, KEPT, Linux, LinuxBackend, LinuxConfig, LinuxHost, Wake};
pub use backend::monitor::Monitor;
pub use backend::pkvm::{Config as PkvmConfig, Form as PkvmForm, Pkvm};
pub use cpu_clock::CpuClock;
pub use error::MachineError;
pub use extensions::{
    AtOnce, Debug, DeviceWrites, Journal, Pause, PointKind, Running, Stand, Stops, Stream, Turn,
};
pub use failure::FailureClass;
pub use machine::Machine;
pub use target::{CpuRegisters, Description, Registers, Target};
/// Cancels every wait of a machine from another thread (Ctrl-C).
pub use tokio_util::sync::CancellationToken;
