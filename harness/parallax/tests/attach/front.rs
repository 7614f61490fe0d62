//! `parallax gdb --gdb`: between a real gdb and a QEMU that it did not start.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parallax_machine::qemu::Qemu;
use parallax_machine::ram::MappedRam;
use parallax_machine::toolchain::{Variant, build};
use parallax_machine::{CancellationToken, gdb};
use parallax_trace::spec::MachineSpec;
use tempfile::TempDir;

use super::{SMMU, asked, attach, program, ready, text};

/// A session takes seconds; this is for a machine that is very busy.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// What stands between.
pub(super) struct Front {
    child: Child,
    pub(super) socket: PathBuf,
    _folder: TempDir,
}

impl Front {
    /// In front of the gdbstub `qemu`, with more arguments.
    pub(super) fn start(qemu: &Path, more: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("front");
        let mut child = Command::new(program::program())
            .args(["gdb", "--gdb", qemu.to_str().unwrap(), "--socket", socket.to_str().unwrap()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let first = BufReader::new(child.stdout.as_mut().unwrap()).lines().next().unwrap().unwrap();
        assert!(first.ends_with(&format!("waiting for gdb at {}", socket.display())), "{first}");
        Self { child, socket, _folder: folder }
    }

    /// gdb, which does `commands` and ends.
    fn gdb(&self, commands: &[&str]) -> Command {
        let root = Path::new("../..").canonicalize().unwrap();
        let mut gdb = Command::new(gdb::program(&root).expect("gdb-multiarch; run ci/setup"));
        gdb.args(["-nx", "-q", "-batch", "-ex", "set architecture aarch64"]);
        gdb.args(["-ex", &format!("target remote {}", self.socket.display())]);
        commands.iter().for_each(|command| {
            gdb.args(["-ex", command]);
        });
        gdb.stdin(Stdio::null());
        gdb
    }

    /// What it prints; what `monitor` commands say goes to its standard error.
    pub(super) fn says(&self, commands: &[&str]) -> (String, String) {
        let output = self.gdb(commands).output().unwrap();
        (text(&output.stdout), text(&output.stderr))
    }

    /// Its exit status and its standard error, once it has ended.
    pub(super) fn ended(mut self) -> (Option<i32>, String) {
        let limit = Instant::now() + LIMIT;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A machine of two CPUs with the hypervisor, which has come to rest.
pub(super) fn machine() -> (Qemu, MappedRam) {
    let root = Path::new("../..").canonicalize().unwrap();
    let images = build(&root, Variant::Normal, &CancellationToken::new()).unwrap();
    let spec = MachineSpec { cpus: 2, ..MachineSpec::default() };
    let (qemu, ram, _) = Qemu::start(&spec, &images.hyp_img, &images.payload_img, None).unwrap();
    ready(&qemu);
    (qemu, ram)
}

#[test]
fn gdb_has_all_of_qemus_own_gdbstub_and_looks_at_tables_besides() {
    let (qemu, _ram) = machine();
    let stub = qemu.gdb_socket().unwrap();
    let shown = text(&attach(&["--gdb", stub.to_str().unwrap(), "--smmu", SMMU]).stdout);
    let front = Front::start(&stub, &["--smmu", SMMU]);
    let ask = ["info threads", "thread 2", "p $pc", "p $VTTBR_EL2", "maint packet qqemu.PhyMemMode"];
    let look = ["monitor check", "monitor tables", "monitor at 0x40200000", "monitor diff", "monitor diff"];
    let flush = ["maint flush register-cache", "p $pc", "p $VTTBR_EL2", "maint packet qqemu.PhyMemMode"];
    let after = [
        "monitor info version",
        "monitor dance",
        "monitor tables guest",
        "monitor tables x",
        "monitor at x",
        "detach",
    ];
    let all: Vec<&str> = [&ask[..], &look, &flush, &after].concat();
    let (out, monitor) = front.says(&all);
    // The thread and the way of addresses are those of before.
    let values = |name: &str| -> Vec<String> {
        let lines = out.lines().filter(|line| line.contains(name));
        lines.map(|line| line.split_once(['=', ':']).unwrap().1.to_owned()).collect()
    };
    let two = |values: Vec<String>| values.len() == 2 && values[0] == values[1];
    assert!(two(values("(void (*)()) ")) && two(values("received: ")), "{out}{monitor}");
    assert!(out.contains("received: \"0\""), "{out}");
    assert!(out.matches("Thread 1.").count() >= 2, "{out}");
    assert!(
        monitor.contains("nothing found: ") && monitor.contains(" pages of tables were looked at"),
        "{monitor}"
    );
    assert!(monitor.contains(&shown), "not what `attach` shows:\n{monitor}");
    for part in ["this is the first look", "as it was", "there is no", "error: x: a number of 64 bits"] {
        assert!(monitor.contains(part), "{part} is not in\n{monitor}");
    }
    assert!(monitor.contains("where another hypervisor keeps its virtual machines"), "{monitor}");
    // QEMU's own monitor.
    assert!(monitor.contains("unknown command: 'dance'"), "{monitor}");
    assert!(asked(&qemu).running, "{out}");
    assert!(attach(&["--gdb", stub.to_str().unwrap()]).status.success(), "the gdbstub is free again");
}

#[test]
fn what_gdb_changed_is_seen_and_judged() {
    let (qemu, _ram) = machine();
    let stub = qemu.gdb_socket().unwrap();
    let path = stub.to_str().unwrap();
    // The pool, in which the tables stand, is one entry of the host's stage 2, which keeps the host out.
    let raw = text(&attach(&["--gdb", path, "--view", "raw"]).stdout);
    let of =
        raw.lines().find(|line| line.starts_with("cpu  L2 table 0x") && line.contains(" of 0x40000000,"));
    let table = of.expect(&raw).split_whitespace().nth(3).unwrap();
    let pool = raw.lines().find(|line| line.starts_with("cpu    L2[2] ") && line.ends_with(" invalid"));
    assert!(pool.is_some_and(|line| line.contains(" 0x40400000..")), "{raw}");
    let front = Front::start(&stub, &[]);
    let open = format!("set {{unsigned long}}({table} + 16) = 0x404007fd");
    let commands =
        ["monitor diff", "maint packet Qqemu.PhyMemMode:1", &open, "monitor diff", "monitor check", "detach"];
    let (out, monitor) = front.says(&commands);
    assert!(monitor.contains("+! isolation/reachable cpu 0x40400000.."), "{out}{monitor}");
    assert!(monitor.contains("\n! isolation/reachable cpu "), "{monitor}");
    assert_eq!(attach(&["--gdb", path]).status.code(), Some(1), "{out}");
}

#[test]
fn a_gdb_that_is_gone_leaves_the_machine_as_it_was_and_the_next_one_is_served() {
    let (qemu, _ram) = machine();
    let front = Front::start(&qemu.gdb_socket().unwrap(), &[]);
    let mut lost = front.gdb(&["monitor check", "shell sleep 600"]);
    let mut lost = lost.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(lost.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("nothing found"));
    assert!(line.is_some());
    // Another one is turned away meanwhile, in words.
    let second = UnixStream::connect(&front.socket).unwrap();
    second.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!((&second).read(&mut [0; 16]).unwrap(), 0);
    lost.kill().unwrap();
    lost.wait().unwrap();
    let (_, monitor) = front.says(&["monitor check"]);
    assert!(monitor.contains("nothing found"), "{monitor}");
    // What is no packet, and what lets the machine run and asks then.
    let mut junk = UnixStream::connect(&front.socket).unwrap();
    junk.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    junk.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(junk.read(&mut [0; 16]).unwrap(), 0);
    let mut asks = UnixStream::connect(&front.socket).unwrap();
    asks.set_read_timeout(Some(LIMIT)).unwrap();
    // A debugger that does not wait for answers.
    asks.write_all(b"$qSupported:multiprocess+#c6$vCont;c:p1.-1#0f$qRcmd,636865636b#66").unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"$OK#9a") {
        let mut byte = [0];
        asks.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    let said: Vec<u8> =
        b"error: the machine runs".iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    assert!(heard.windows(said.len()).any(|part| part == said), "{}", text(&heard));
    drop(asks);
    let (out, monitor) = front.says(&["monitor check", "detach"]);
    assert!(monitor.contains("nothing found"), "{out}{monitor}");
    assert!(asked(&qemu).running, "{out}{monitor}");
}

#[test]
fn a_gdbstub_that_is_not_there_or_goes_is_said() {
    let (qemu, _ram) = machine();
    let stub = qemu.gdb_socket().unwrap();
    let front = Front::start(&stub, &["--once"]);
    // QEMU ends under gdb.
    let (out, said) = front.says(&["monitor quit"]);
    let (status, told) = front.ended();
    assert_eq!(status, Some(125), "{out}{said}{told}");
    assert!(told.contains("the gdbstub at ") && told.contains("the connection ended"), "{told}");
    drop(qemu);
    let folder = TempDir::new().unwrap();
    let nobody = folder.path().join("gdb");
    let listener = std::os::unix::net::UnixListener::bind(&nobody).unwrap();
    drop(listener);
    assert!(fs::metadata(&nobody).is_ok());
    let front = Front::start(&nobody, &["--once"]);
    front.says(&[]);
    let (status, told) = front.ended();
    assert_eq!(status, Some(125), "{told}");
    assert!(told.contains("nobody listens there"), "{told}");
}
