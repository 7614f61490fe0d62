//! `parallax attach` beside a QEMU that it did not start.

mod between;
mod breaks;
mod front;
mod places;
#[path = "../program/mod.rs"]
mod program;
mod proxy;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use parallax_machine::qemu::Qemu;
use parallax_machine::ram::MappedRam;
use parallax_machine::toolchain::{Variant, build};
use parallax_machine::{CancellationToken, Monitor};
use parallax_trace::spec::MachineSpec;

/// Where the SMMU is on the board `virt`.
const SMMU: &str = "0x9050000";

fn attach(args: &[&str]) -> Output {
    Command::new(program::program()).arg("attach").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A machine with the hypervisor, and its RAM.
fn machine() -> (Qemu, MappedRam) {
    let root = Path::new("../..").canonicalize().unwrap();
    let images = build(&root, Variant::Normal, &CancellationToken::new()).unwrap();
    let (qemu, ram, _) =
        Qemu::start(&MachineSpec::default(), &images.hyp_img, &images.payload_img, None).unwrap();
    (qemu, ram)
}

/// What a look shows once the hypervisor is up: nothing changes any more, the test host waits for its first operation.
fn ready(qemu: &Qemu) -> String {
    let socket = qemu.gdb_socket().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let mut last = String::new();
    // QEMU waits for its first client; the first look ends that, so each look is one that the machine goes on after.
    loop {
        let output = attach(&["--gdb", socket.to_str().unwrap(), "--smmu", SMMU]);
        let shown = text(&output.stdout);
        let up = shown.contains("SMMU_CR0: SMMUEN=1") && shown.contains("CPU stage 2: enabled=1");
        // The test host touches its devices one after the other, and each is mapped then.
        if up && shown == last {
            assert_eq!(output.status.code(), Some(0), "{shown}");
            return shown;
        }
        assert!(Instant::now() < end, "{shown}{}", text(&output.stderr));
        last = shown;
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn a_running_machine_is_looked_at_and_goes_on() {
    let (qemu, _ram) = machine();
    let socket = qemu.gdb_socket().unwrap();
    let socket = socket.to_str().unwrap();
    let text = ready(&qemu);
    for line in
        ["  invalid 0x2000000000000002", "EL2 stage 1: enabled=1 WXN=1", "el2  0x8000", "smmu 0x40000000.."]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let raw = attach(&["--gdb", socket, "--view", "raw"]);
    assert!(String::from_utf8_lossy(&raw.stdout).contains("cpu  L0 table"), "{raw:?}");
    let at = attach(&["--gdb", socket, "--at", "0x40200000"]);
    let at = String::from_utf8(at.stdout).unwrap();
    for line in ["cpu  L0 table", "cpu    L3[0] 0x", "  invalid 0x2000000000000002"] {
        assert!(at.contains(line), "{line} is not in\n{at}");
    }
    assert!(!at.contains("regs ") && at.lines().count() < 20, "{at}");
    // Nothing changes any more: the test host waits for its first operation.
    let before = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(before.path(), attach(&["--gdb", socket]).stdout).unwrap();
    let against = |path: &Path| attach(&["--gdb", socket, "--against", path.to_str().unwrap()]);
    let same = against(before.path());
    assert_eq!((same.status.code(), &*same.stdout), (Some(0), &b"as it was\n"[..]));
    let text = std::fs::read_to_string(before.path()).unwrap();
    let first = text.lines().next().unwrap();
    std::fs::write(before.path(), text.replacen(first, "cpu  0x0..0x1000  empty", 1)).unwrap();
    let other = against(before.path());
    let said = String::from_utf8_lossy(&other.stdout);
    assert_eq!(other.status.code(), Some(1), "{said}");
    assert!(said.contains("-cpu  0x0..0x1000  empty") && said.contains(&format!("+{first}")), "{said}");
    assert_eq!(against(Path::new("/nowhere")).status.code(), Some(2));
}

/// `qemu`, as its monitor says, once it has one.
fn asked(qemu: &Qemu) -> Monitor {
    let (path, end) = (qemu.qmp_socket().unwrap(), Instant::now() + Duration::from_secs(60));
    loop {
        match Monitor::ask(&path, &CancellationToken::new()) {
            Err(error) if Instant::now() > end => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            Ok(monitor) => return monitor,
        }
    }
}

#[test]
fn its_monitor_says_where_things_are_and_a_machine_that_stood_still_does_so_afterwards() {
    let (qemu, _ram) = machine();
    let (gdb, qmp) = (qemu.gdb_socket().unwrap(), qemu.qmp_socket().unwrap());
    let (gdb, qmp) = (gdb.to_str().unwrap(), qmp.to_str().unwrap());
    // It waits for its first client.
    assert!(!asked(&qemu).running);
    let output = attach(&["--gdb", gdb, "--qmp", qmp]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["qemu  ", " 1 CPUs\n", "  ram0 in ", "qemu  0x9050000  SMMUv3\n", "SMMU_CR0: SMMUEN=0"] {
        assert!(text.contains(line), "{line} is not in\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!asked(&qemu).running, "it goes on");
    attach(&["--gdb", gdb]);
    assert!(asked(&qemu).running, "without its monitor nobody knows");
    let said = attach(&["--gdb", gdb, "--qmp", "/nowhere/qmp"]);
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("--qmp /nowhere/qmp: no such socket") && said.contains("-qmp unix:"), "{said}");
}
