//! The baseline: gdb-multiarch drives QEMU and reads the tables through the gdbstub, with a script of its own.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use parallax_abi::hypercall::{HOST_SHARE_HYP, HOST_UNSHARE_HYP};
use parallax_abi::mailbox::{MAILBOX_SYMBOL, Mailbox, WAIT_SYMBOL, op};
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::gdb;
use parallax_machine::qemu::Qemu;
use parallax_machine::symbols::Symbols;
use parallax_trace::spec::{MachineSpec, regions};
use serde::Deserialize;

use crate::setup::{PFN, Setup};

/// What the script prints.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Measured {
    pub(crate) ops: usize,
    pub(crate) ops_seconds: f64,
    pub(crate) dumps: usize,
    pub(crate) dump_seconds: f64,
    /// Table pages read in one look.
    pub(crate) tables: usize,
}

const SCRIPT: &str = include_str!("baseline.py");
const MARK: &str = "PARALLAX ";
const DUMPS: usize = 5;
/// How long QEMU may take to make its socket.
const SOCKET_LIMIT: Duration = Duration::from_secs(20);

/// Operations with a look after each, then looks alone.
pub(crate) fn run(
    setup: &Setup,
    config: &MachineSpec,
    ops: usize,
    dumps: usize,
) -> Result<Measured, Failure> {
    script(setup, config, ops, dumps, 0)
}

/// Looks alone, after one page of each of `split` blocks went and returned.
pub(crate) fn run_split(setup: &Setup, config: &MachineSpec, split: u64) -> Result<Measured, Failure> {
    script(setup, config, 0, setup.scaled(DUMPS), split)
}

fn script(
    setup: &Setup,
    config: &MachineSpec,
    ops: usize,
    dumps: usize,
    split: u64,
) -> Result<Measured, Failure> {
    let images = &setup.images;
    let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf);
    let symbols = symbols.map_err(MachineError::from)?;
    let symbol = |name| symbols.payload.required(name).map_err(MachineError::from);
    let (qemu, _ram, _) =
        Qemu::start(config, &images.hyp_img, &images.payload_img, None).map_err(MachineError::from)?;
    let socket = qemu.gdb_socket().ok_or_else(|| failure("QEMU has no gdb socket"))?;
    // A QEMU on a busy machine is not there yet when it has been started.
    let begin = Instant::now();
    while !socket.exists() && begin.elapsed() < SOCKET_LIMIT {
        thread::sleep(Duration::from_millis(5));
    }
    let smmu = regions(config.mem_bytes).into_iter().find(|region| region.name == "smmu");
    let smmu = smmu.ok_or_else(|| failure("the machine has no SMMU"))?;

    let mut file = tempfile::Builder::new().suffix(".py").tempfile().map_err(failure)?;
    file.write_all(SCRIPT.as_bytes()).map_err(failure)?;
    let mailbox = symbol(MAILBOX_SYMBOL)?.get();
    let numbers = [
        ("WAIT", symbol(WAIT_SYMBOL)?.get()),
        ("MAILBOX", mailbox),
        ("SLOT0", mailbox + std::mem::offset_of!(Mailbox, slots) as u64),
        ("COUNT_OFFSET", std::mem::offset_of!(Mailbox, count) as u64),
        ("PFN", PFN),
        ("OPS", ops as u64),
        ("DUMPS", dumps as u64),
        ("SPLIT", split),
        ("SMMU", smmu.base.get()),
        ("SHARE", HOST_SHARE_HYP),
        ("UNSHARE", HOST_UNSHARE_HYP),
        ("DONATE", parallax_abi::hypercall::HOST_DONATE_HYP),
        ("RETURN", parallax_abi::hypercall::HYP_DONATE_HOST),
        ("OP_HYPERCALL", op::HYPERCALL),
    ];
    let program = gdb::program(&images.repo_root);
    let program = program.ok_or_else(|| failure("no gdb-multiarch here; `ci/setup` installs it"))?;
    let output = Command::new(program)
        .args(["-nx", "-batch", "-x"])
        .arg(file.path())
        .env("PARALLAX_SOCKET", &socket)
        .envs(numbers.map(|(name, value)| (format!("PARALLAX_{name}"), format!("{value:#x}"))))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failure(format!("gdb-multiarch: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix(MARK));
    let line = line.ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        failure(format!("gdb-multiarch ended without a result: {}", said.trim()))
    })?;
    serde_json::from_str(line).map_err(failure)
}

fn failure(what: impl ToString) -> Failure {
    Failure { status: Status::Setup, message: what.to_string() }
}
