//! The real gdb-multiarch on both kinds of debuggee.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A session takes a second or two; this is for a machine that is very busy.
const LIMIT: Duration = Duration::from_secs(120);

/// The command: where a test archive was unpacked, or where it was built.
fn program() -> String {
    std::env::var("NEXTEST_BIN_EXE_parallax").unwrap_or_else(|_| env!("CARGO_BIN_EXE_parallax").to_owned())
}

fn root() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

/// A server that waits for gdb; it ends with this.
struct Server {
    child: Child,
    address: String,
    commands: PathBuf,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(program())
            .arg("gdb")
            .args(args)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("parallax");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut after = |mark: &str| {
            let line = lines.next().unwrap_or_default();
            line.split_once(mark).unwrap_or_else(|| panic!("no `{mark}` in `{line}`")).1.to_owned()
        };
        let address = after("waiting for gdb at ");
        let commands = after("gdb-multiarch -x ").into();
        Self { child, address, commands }
    }

    /// What gdb prints when it does what `script` says.
    fn gdb(&self, script: &str) -> String {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, script).unwrap();
        // What a monitor command prints goes to the standard error; both must be seen in order.
        let mut gdb = Command::new("sh")
            .args(["-c", "exec gdb-multiarch -nx -q -batch -x \"$1\" -x \"$2\" 2>&1", "gdb"])
            .args([&self.commands, &file])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stream = gdb.stdout.take().unwrap();
        let output = std::thread::spawn(move || {
            let mut text = Vec::new();
            stream.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
        });
        let limit = Instant::now() + LIMIT;
        while gdb.try_wait().unwrap().is_none() {
            if Instant::now() > limit {
                gdb.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = output.join().unwrap().unwrap();
        assert!(Instant::now() < limit, "gdb hung:\n{output}");
        output
    }

    /// Its exit status, which it must come to by itself.
    fn ends(&mut self) -> Option<i32> {
        let limit = Instant::now() + LIMIT;
        while Instant::now() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not end");
    }

    fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `text` holds all of `parts`, one behind the other.
#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => panic!("no `{part}` where it must be in\n{text}"),
        }
    }
}

fn recording(folder: &TempDir) -> String {
    let path = folder.path().join("donate.plx").display().to_string();
    let run = Command::new(program())
        .args(["run", "traces/good/donate.trace", "--record", &path])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    path
}

#[test]
fn a_recording_goes_forward_and_back() {
    let folder = TempDir::new().unwrap();
    let path = recording(&folder);
    let mut server = Server::start(&[&path, "--port", "0", "--once"]);
    let text = server.gdb(
        "info registers pc HCR_EL2\n\
         next\nnext\nstep\n\
         monitor s2 ram+0x20000\n\
         monitor phys on\n\
         monitor op 12\n\
         python word = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('watch *(unsigned long *)' + word)\n\
         op 5\nop 12\n\
         reverse-continue\n\
         reverse-continue\n\
         continue\n\
         delete\nbreak donate.trace:7\nreverse-continue\ncontinue\n\
         reverse-step\n\
         monitor diff 4\n\
         monitor smmu walk 8 ram+0x20000\n\
         monitor page ram+0x20\n\
         monitor explain ram+0x20000\n\
         monitor check\n\
         monitor s2\n\
         monitor op 99\n\
         print $desc(0x2000000000000002)\n",
    );
    assert_in_order(
        &text,
        &[
            "trace () at donate.trace:2",
            "pc             0x10000000000000",
            "3\tdma_write",
            "4\thost_donate_hyp",
            "5\thost_read",
            "the host's CPUs at ram+0x20000: annotated hyp",
            "that was the last one",
            "after 5: host_read",
            "that was the last one",
            // Back over the two operations that changed the page's state, to the stores that did it, and forward over
            // the first one.
            "Old value = 0\nNew value = 855638016\nhyp_core::mem_protect::Hyp<",
            "::change_host<",
            "self.pages.set(&self.hw, page,",
            "Old value = 855638016\nNew value = 0\nhyp_core::mem_protect::Hyp<",
            "self.pages.set(&self.hw, page,",
            "Old value = 0\nNew value = 855638016\n0x",
            "No more reverse-execution history.\ntrace () at donate.trace:2",
            "Breakpoint 2, trace () at donate.trace:7",
            "6\thost_write",
            "4: host_donate_hyp pfn=ram+0x20 -> ok",
            "+ annotated hyp",
            "device 0x8 at ram+0x20000: nothing is mapped",
            "state host=NOPAGE hyp=OWNED",
            "owner the hypervisor",
            "changed by 4: host_donate_hyp",
            "nothing found",
            "error: usage:\ns2 IPA",
            "error: no operation stands in line 99",
            "annotated donation, owner hyp",
        ],
    );
    assert_eq!(server.ends(), Some(0));
    assert!(!server.commands.exists(), "the session's files are still there");
}

#[test]
fn a_live_run_stops_where_gdb_says() {
    let source = fs::read_to_string(root().join("hyp/core/src/pgtable/tree.rs")).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("write_release(slot, new.0)")).unwrap();
    let mut server = Server::start(&["traces/good/donate.trace", "--port", "0", "--once"]);
    let text = server.gdb(&format!(
        "monitor op 3\n\
         break tree.rs:{line}\n\
         continue\n\
         set language c\n\
         p $pc > 0xa00000000000\n\
         stepi\n\
         delete\n\
         monitor phys on\n\
         python page = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('watch *(unsigned long *)' + page)\n\
         continue\n\
         bt 1\n\
         delete\n\
         monitor op 4\n\
         monitor phys off\n\
         monitor diff\n\
         monitor explain ram+0x20000\n\
         monitor check\n\
         monitor op 2\n\
         break parallax_wait\n\
         continue\n\
         monitor ops\n\
         p/x $VTCR_EL2 != 0\n\
         x/i $pc\n"
    ));
    assert_in_order(
        &text,
        &[
            "parallax_wait ()",
            "after 3: dma_write",
            "next  4: host_donate_hyp pfn=ram+0x20",
            "Breakpoint 1, ",
            "tree.rs:",
            "$1 = 1",
            "Hardware watchpoint 2",
            "Old value = 0\nNew value = 855638016",
            "after 4: host_donate_hyp pfn=ram+0x20 -> ok",
            "+ annotated hyp",
            "stored by 4: host_donate_hyp",
            "hyp/core/src/pgtable/tree.rs:",
            "nothing found",
            "error: a live run does not go back",
            "Breakpoint 3, ",
            "   5: host_read ipa=ram+0x20000 -> abort\n=> 6: host_write",
            "= 0x1",
            "<parallax_wait>",
        ],
    );
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn clients_come_and_go() {
    let folder = TempDir::new().unwrap();
    let path = recording(&folder);
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
    server.interrupt();
    assert_eq!(server.ends(), Some(130));
    assert!(!server.commands.exists(), "the session's files are still there");
}

#[test]
fn a_unix_socket_serves_as_well_and_goes_away() {
    let folder = TempDir::new().unwrap();
    let path = recording(&folder);
    let socket = folder.path().join("gdb.sock");
    let mut server = Server::start(&[&path, "--socket", socket.to_str().unwrap(), "--once"]);
    assert!(UnixStream::connect(&socket).is_ok_and(|mut client| client.write_all(b"$D#44").is_ok()));
    assert_eq!(server.ends(), Some(0));
    assert!(!socket.exists());
}
