//! A server that gdb, or an editor, is connected to.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parallax_machine::gdb;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::program::program;

/// A session takes a second or two; this is for a machine that is very busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn root() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

/// A server that waits for gdb; it ends with this.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Commands that load everything and connect.
    pub(crate) commands: PathBuf,
    /// Those that load everything, for an editor.
    pub(crate) alone: PathBuf,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        // Under nohup SIGHUP is ignored, and what is ignored stays so in what a test starts.
        let mut child = Command::new("env")
            .arg("--default-signal=HUP")
            .arg(program())
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
        let editor = after("gdb-multiarch -i dap -x ");
        let alone = editor.split_once(", attached to ").expect("where to").0.into();
        Self { child, address, commands, alone }
    }

    /// What gdb prints when it does what `script` says.
    pub(crate) fn gdb(&self, script: &str) -> String {
        self.script(script).0
    }

    /// The same, and whether gdb says with its exit status that all went well.
    pub(crate) fn script(&self, script: &str) -> (String, bool) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, script).unwrap();
        // What a monitor command prints goes to the standard error; both must be seen in order.
        let mut gdb = Command::new("sh")
            .args(["-c", "exec \"$0\" -nx -q -batch -x \"$1\" -x \"$2\" 2>&1"])
            .args([&gdb::program(&root()).expect("gdb-multiarch; run ci/setup"), &self.commands, &file])
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
        (output, gdb.wait().unwrap().success())
    }

    /// Its exit status, which it must come to by itself.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let limit = Instant::now() + LIMIT;
        while Instant::now() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not end");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a running server");
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
pub(crate) fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => panic!("no `{part}` where it must be in\n{text}"),
        }
    }
}

/// A recording of a trace that is known to be good.
pub(crate) fn record(folder: &TempDir, trace: &str, more: &[&str]) -> String {
    let path = folder.path().join(format!("{trace}.plx")).display().to_string();
    let run = Command::new(program())
        .args(["run", &format!("traces/good/{trace}.trace"), "--record", &path])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    path
}
