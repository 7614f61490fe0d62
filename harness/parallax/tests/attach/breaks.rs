//! Connections that break: nothing is shown of what was read before, and the machine goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use parallax_machine::qemu::Qemu;

use super::proxy::{Break, Proxy};
use super::{asked, attach, machine, ready, text};

/// How long a look takes that has to wait for one answer in vain, and a good deal more: a second one would not fit.
const ONE_WAIT: Duration = Duration::from_secs(17);

/// Looks through a proxy that breaks an answer, and holds the end of that against what must be.
fn broken(qemu: &Qemu, how: Break, number: usize, memory: bool) -> String {
    let what = format!("{how:?} at {number} (of memory: {memory})");
    let proxy = Proxy::start(&qemu.gdb_socket().unwrap(), how, number, memory);
    let begin = Instant::now();
    let output = attach(&["--gdb", proxy.path(), "--smmu", super::SMMU]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{what}: {said}\n{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "", "{what}");
    // Where nothing is heard of it, nobody knows whether the machine goes on.
    let silent = said.contains("may stand still now");
    assert!(said.contains("error: the gdbstub at ") && silent == (how == Break::Stall), "{what}: {said}");
    assert!(begin.elapsed() < ONE_WAIT, "{what}: {:?}", begin.elapsed());
    assert!(asked(qemu).running, "{what}: the machine stands still; {said}");
    said
}

/// How many answers a look gets, and how many of them are parts of pages.
fn counts(qemu: &Qemu) -> (usize, usize) {
    let proxy = Proxy::start(&qemu.gdb_socket().unwrap(), Break::Stall, usize::MAX, false);
    let output = attach(&["--gdb", proxy.path(), "--smmu", super::SMMU]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    proxy.counts()
}

#[test]
fn a_connection_that_ends_is_no_verdict_on_a_table() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let (all, parts) = counts(&qemu);
    assert!(parts > 8, "{parts}");
    for number in 0..parts {
        let said = broken(&qemu, Break::Close, number, true);
        assert!(said.contains("the connection ended while the page at 0x"), "{number}: {said}");
    }
    // Before that: while it is asked what it is, and while registers are read.
    for number in (0..all - parts).step_by(7) {
        let said = broken(&qemu, Break::Close, number, false);
        assert!(said.contains("the connection ended while ") || said.contains("hung up"), "{number}: {said}");
    }
}

#[test]
fn an_answer_that_is_short_or_damaged_is_no_verdict_on_a_table() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let (_, parts) = counts(&qemu);
    for number in [0, parts / 2, parts - 1] {
        for (how, expected) in [
            (Break::Short, "was answered `"),
            (Break::Empty, "was answered `` while the page at 0x"),
            (Break::Checksum, "is no packet of a gdbstub: checksum 0x"),
            (Break::Junk, "is no packet of a gdbstub: unexpected byte 0x6a"),
        ] {
            let said = broken(&qemu, how, number, true);
            assert!(said.contains(expected) && said.contains(" while the page at 0x"), "{how:?}: {said}");
            assert!(said.len() < 400, "{said}");
        }
    }
    // Registers are no shorter either, from the first on.
    for number in [0, 2, 40, 60] {
        for how in [Break::Short, Break::Checksum, Break::Junk] {
            broken(&qemu, how, number, false);
        }
    }
}

#[test]
fn silence_ends_after_one_wait() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let said = broken(&qemu, Break::Stall, 2, true);
    assert!(said.contains("no answer to `m") && said.contains("while the page at 0x"), "{said}");
}

#[test]
fn one_client_at_a_time_is_served() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let socket = qemu.gdb_socket().unwrap();
    let first = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let output = attach(&["--gdb", socket.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("one client at a time"), "{said}");
    // The first one goes without a word. What the second one said before it gave up comes to its turn, and lets the machine go on.
    drop(first);
    let end = Instant::now() + Duration::from_secs(20);
    while !asked(&qemu).running {
        assert!(Instant::now() < end, "the machine stands still");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_cannot_be_attached_to_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("no.sock");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = |gdb: &Path, status: i32| {
        let begin = Instant::now();
        let output = attach(&["--gdb", gdb.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}: {said}", begin.elapsed());
        said
    };
    let remedy = "-gdb unix:PATH,server,nowait, or with -s";
    for (gdb, expected) in [
        (&*socket, "no.sock: no such socket"),
        (&*file, "file: no socket"),
        (Path::new("localhost"), "localhost: no such socket (a host has its port: localhost:1234)"),
    ] {
        let said = said(gdb, 2);
        assert!(said.contains(expected) && said.contains(remedy), "{said}");
    }
    assert!(said(Path::new("localhost:99999"), 2).contains("those are 1 to 65535"));
    // Somebody listened there once.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    for gdb in [&*socket, Path::new("localhost:1")] {
        let said = said(gdb, 125);
        assert!(said.contains("nobody listens there") && said.contains(remedy), "{said}");
    }
}
