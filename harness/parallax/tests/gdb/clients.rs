//! Clients that come and go, and how a server ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::Signal;
use tempfile::TempDir;

use super::program::program;
use super::server::{LIMIT, Server, assert_in_order, record};

#[test]
fn clients_come_and_go() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut server = Server::start(&[&path, "--port", "0"]);
    // One that goes away in the middle of a packet, one that sends what is no packet.
    TcpStream::connect(&server.address).unwrap().write_all(b"$qSuppor").unwrap();
    let mut stranger = TcpStream::connect(&server.address).unwrap();
    stranger.write_all(b"$vCont;c#00$vCont;zz#00\xff\xff").unwrap();
    drop(stranger);
    // Another server cannot have the same port.
    let port = server.address.rsplit_once(':').unwrap().1;
    let other = Command::new(program()).args(["gdb", &path, "--port", port]).output().unwrap();
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(2), "{error}");
    assert!(
        error.contains(&format!("cannot listen at port {port}")) && error.contains("--port 0"),
        "{error}"
    );
    // A third client is served, twice.
    for _ in 0..2 {
        assert_in_order(
            &server.gdb("monitor op 4\nmonitor op 0\n"),
            &["after 4: host_donate_hyp", "after the boot"],
        );
    }
    server.signal(Signal::INT);
    assert_eq!(server.ends(), Some(130));
    assert!(!server.commands.exists(), "the session's files are still there");
}

#[test]
fn a_unix_socket_serves_as_well_and_goes_away() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let socket = folder.path().join("gdb.sock");
    let mut server = Server::start(&[&path, "--socket", socket.to_str().unwrap(), "--once"]);
    assert!(UnixStream::connect(&socket).is_ok_and(|mut client| client.write_all(b"$D#44").is_ok()));
    assert_eq!(server.ends(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_second_client_is_turned_away_and_the_first_one_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let server = Server::start(&[&path, "--port", "0"]);
    let mut first = TcpStream::connect(&server.address).unwrap();
    let mut ask = |packet: &[u8]| {
        first.write_all(packet).unwrap();
        let mut reply = Vec::new();
        while reply.iter().rev().nth(2) != Some(&b'#') {
            let mut byte = [0];
            first.read_exact(&mut byte).unwrap();
            reply.extend(byte);
        }
        first.write_all(b"+").unwrap();
        assert!(reply.starts_with(b"+$T05"), "{}", String::from_utf8_lossy(&reply));
    };
    ask(b"$?#3f");
    let mut second = TcpStream::connect(&server.address).unwrap();
    second.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = Vec::new();
    // Either end of a connection that was closed.
    match second.read_to_end(&mut rest) {
        Ok(len) => assert_eq!(len, 0, "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    ask(b"$?#3f");
}

#[test]
fn a_socket_that_a_killed_server_left_is_taken_and_any_other_file_is_not() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let socket = folder.path().join("gdb.sock");
    let at = socket.to_str().unwrap();
    let mut killed = Server::start(&[&path, "--socket", at]);
    killed.signal(Signal::KILL);
    killed.ends();
    assert!(socket.exists());
    let server = Server::start(&[&path, "--socket", at]);
    assert!(UnixStream::connect(&socket).is_ok());
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    for taken in [&socket, &file] {
        let other = Command::new(program()).args(["gdb", &path, "--socket"]).arg(taken).output().unwrap();
        assert_eq!(other.status.code(), Some(2), "{}", String::from_utf8_lossy(&other.stderr));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    drop(server);
}

/// The processes that `id` started.
fn children(id: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Waits until `gone` says so.
#[track_caller]
fn wait(what: &str, gone: impl Fn() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !gone() {
        assert!(Instant::now() < limit, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether process `id` is there and is no zombie.
fn runs(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_signal_ends_server_machine_and_files() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut server = Server::start(&["traces/good/donate.trace", "--port", "0"]);
        let machines = children(server.child.id());
        assert!(!machines.is_empty(), "no QEMU");
        // A client is connected, and half of a packet has arrived.
        let mut client = TcpStream::connect(&server.address).unwrap();
        client.write_all(b"$?#3f+$qSup").unwrap();
        server.signal(signal);
        assert_eq!(server.ends(), Some(130), "{signal:?}");
        assert!(!server.commands.exists(), "{signal:?} leaves the session's files");
        wait("QEMU goes on", || !machines.iter().any(|id| runs(id)));
    }
}

#[test]
fn what_a_killed_server_left_goes_away_with_the_next_start() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut killed = Server::start(&["traces/good/donate.trace", "--port", "0"]);
    let other = Server::start(&[&path, "--port", "0"]);
    let machines = children(killed.child.id());
    assert!(!machines.is_empty(), "no QEMU");
    killed.signal(Signal::KILL);
    assert_eq!(killed.ends(), None);
    wait("QEMU goes on", || !machines.iter().any(|id| runs(id)));
    let left = killed.commands.parent().unwrap().to_owned();
    let next = Server::start(&[&path, "--port", "0"]);
    // Another test's server may have swept it already; that it was there at all is what the folder's own tests show.
    assert!(!left.exists() || next.commands.starts_with(&left), "{}", left.display());
    assert!(next.commands.exists() && other.commands.exists(), "a folder in use was swept");
    // An editor's settings name the port only.
    let port = next.address.rsplit_once(':').unwrap().1;
    assert_eq!(next.alone.parent().and_then(Path::file_name).unwrap(), port);
}
