//! What is between a debugger and QEMU stays in order, whatever the debugger does.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::front::{Front, LIMIT, machine};
use super::proxy::{Break, Proxy};
use super::{asked, text};

/// A debugger that says what it is told to.
struct Debugger(UnixStream);

impl Debugger {
    fn to(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut debugger = Self(stream);
        assert!(debugger.ask("qSupported:multiprocess+").contains("PacketSize"));
        debugger
    }

    /// Sends a packet.
    fn send(&mut self, data: &str) {
        let sum = data.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte));
        self.0.write_all(format!("${data}#{sum:02x}").as_bytes()).unwrap();
    }

    /// What comes until `end` has come.
    fn until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        text(&heard)
    }

    /// The acknowledgement and the answer, without its checksum.
    fn ask(&mut self, data: &str) -> String {
        self.send(data);
        self.until("#")
    }

    /// What a look has to say.
    fn look(&mut self) -> String {
        self.send("qRcmd,636865636b");
        let packets = self.until("$OK#9a");
        let digits = packets.split("$O").skip(1).filter_map(|part| part.split_once('#')).map(|(hex, _)| hex);
        let hex: String = digits.filter(|hex| *hex != "K").collect();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        text(&(0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>())
    }
}

#[test]
fn addresses_stay_physical_and_are_so_for_the_next_debugger() {
    let (qemu, _ram) = machine();
    let front = Front::start(&qemu.gdb_socket().unwrap(), &[]);
    let (mode, look) = ("maint packet qqemu.PhyMemMode", "monitor check");
    let (out, monitor) = front.says(&["maint packet Qqemu.PhyMemMode:1", look, mode, "detach"]);
    assert!(monitor.contains("nothing found") && out.contains("received: \"1\""), "{out}{monitor}");
    // QEMU keeps it, and this one has not said a word of it.
    let (out, monitor) = front.says(&[look, mode, "detach"]);
    assert!(monitor.contains("nothing found") && out.contains("received: \"1\""), "{out}{monitor}");
}

#[test]
fn a_running_machine_is_interrupted_and_looked_at() {
    let (qemu, _ram) = machine();
    let front = Front::start(&qemu.gdb_socket().unwrap(), &[]);
    let mut debugger = Debugger::to(&front.socket);
    assert!(debugger.look().contains("nothing found"));
    // What lets it run is acknowledged, and has no answer yet.
    debugger.send("vCont;c:p1.-1");
    debugger.until("+");
    assert!(asked(&qemu).running);
    assert!(debugger.look().contains("error: the machine runs"));
    debugger.0.write_all(b"\x03").unwrap();
    assert!(debugger.until("#").contains("$T02thread:"));
    assert!(!asked(&qemu).running);
    assert!(debugger.look().contains("nothing found"));
    assert!(debugger.ask("D;1").ends_with("+$OK#"));
    assert!(asked(&qemu).running);
}

#[test]
fn a_gdb_that_is_gone_without_a_word_leaves_one_that_stands_still_and_that_is_said() {
    let (qemu, _ram) = machine();
    let front = Front::start(&qemu.gdb_socket().unwrap(), &["--once"]);
    drop(Debugger::to(&front.socket));
    let (status, told) = front.ended();
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("gdb is gone; the machine stands still"), "{told}");
    assert!(!asked(&qemu).running);
}

#[test]
fn a_connection_that_says_nothing_leaves_the_machine_alone() {
    let (qemu, _ram) = machine();
    let front = Front::start(&qemu.gdb_socket().unwrap(), &[]);
    assert!(asked(&qemu).running);
    let mut silent = UnixStream::connect(&front.socket).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(asked(&qemu).running, "it stands still");
    silent.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    silent.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(asked(&qemu).running, "it stands still for what is no debugger");
    let (_, monitor) = front.says(&["monitor check", "detach"]);
    assert!(monitor.contains("nothing found"), "{monitor}");
}

#[test]
fn a_look_that_takes_longer_than_gdb_waits_leaves_the_session_in_order() {
    let (qemu, _ram) = machine();
    let late = Break::Late(Duration::from_millis(25));
    let proxy = Proxy::start(&qemu.gdb_socket().unwrap(), late, 0, false);
    let front = Front::start(Path::new(proxy.path()), &[]);
    let mut debugger = Debugger::to(&front.socket);
    let began = Instant::now();
    debugger.send("qRcmd,636865636b");
    debugger.until("+");
    assert!(began.elapsed() < Duration::from_secs(1), "it is not acknowledged at once");
    debugger.until("$OK#9a");
    assert!(began.elapsed() > Duration::from_millis(2100), "{:?} is no long look", began.elapsed());
    assert!(debugger.ask("D;1").ends_with("+$OK#"));
    drop(debugger);
    // gdb sends again what nobody has acknowledged, and takes the second answer for that to its next packet.
    let (values, flush) = ("p $pc", "maint flush register-cache");
    let (out, monitor) = front.says(&[values, "monitor check", flush, values, "detach"]);
    let shown: Vec<&str> =
        out.lines().filter_map(|line| line.split_once("(void (*)()) ")).map(|(_, at)| at).collect();
    assert!(shown.len() == 2 && shown[0] == shown[1], "{out}{monitor}");
    assert_eq!(monitor.matches("nothing found").count(), 1, "{out}{monitor}");
}
