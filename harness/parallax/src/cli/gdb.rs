//! Arguments of `gdb`.

use std::path::PathBuf;

use clap::Args;
use parallax_machine::GdbAddress;

use super::AttachedMachine;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax gdb traces/good/donate.trace       boots it; continue in gdb performs the operations
  parallax gdb traces/good/donate.trace --debug
  parallax gdb donate.plx --port 0            a recording; reverse-continue goes back
  parallax gdb --gdb gdb.sock --smmu mmio:smmu    between gdb and a QEMU that you started: `monitor check` and more
  parallax gdb --print-gdbinit                commands that load symbols and printers

docs/gdb.md shows a session. `monitor help` in gdb lists what else there is.";

/// Arguments of `gdb`.
#[derive(Debug, Args)]
pub struct Gdb {
    /// A trace, or a recording (*.plx)
    #[arg(value_name = "TRACE|RECORDING", required_unless_present_any = ["print_gdbinit", "gdb"], conflicts_with_all = ["gdb", "qmp", "smmu", "ram", "symbols"])]
    pub source: Option<PathBuf>,
    /// Port of this machine to listen at; 0 takes one that is free
    #[arg(long, value_name = "N", default_value_t = 1234)]
    pub port: u16,
    /// Listen at a unix socket instead
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub socket: Option<PathBuf>,
    /// End when the first client is gone
    #[arg(long)]
    pub once: bool,
    /// Build the hypervisor less optimised: more variables can be read, and steps follow the source
    #[arg(long, conflicts_with_all = ["print_gdbinit", "gdb"])]
    pub debug: bool,
    /// Print gdb commands that load the hypervisor's symbols, the test host's and the printers, and end
    #[arg(long, conflicts_with_all = ["source", "gdb", "qmp", "smmu", "ram", "symbols"])]
    pub print_gdbinit: bool,
    /// Stand between gdb and a QEMU that somebody else started: where its gdbstub listens
    #[arg(long, value_name = "SOCKET|HOST:PORT", help_heading = "A QEMU that you started")]
    pub gdb: Option<GdbAddress>,
    /// What is known of it
    #[command(flatten, next_help_heading = "A QEMU that you started")]
    pub attached: AttachedMachine,
}
