//! `parallax watch`: it goes on when a build fails, runs again at a save, and ends with Ctrl-C.

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use program::program;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What must come next among `lines` has `what` in it.
fn until(lines: &Receiver<String>, what: &str) -> Vec<String> {
    let (begin, mut seen) = (Instant::now(), Vec::new());
    while begin.elapsed() < PATIENCE {
        let Ok(line) = lines.recv_timeout(PATIENCE) else { break };
        seen.push(line.clone());
        if line.contains(what) {
            return seen;
        }
    }
    panic!("no `{what}` in {seen:?}");
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A tree with a trace, and the command that watches it.
fn watched() -> (TempDir, Child) {
    let root = tempfile::tempdir().unwrap();
    // There is no workspace here: cargo fails at once.
    put(root.path(), "hyp/abi/Cargo.toml", "[package]\nname = \"x\"\n");
    put(root.path(), "traces/good/a.trace", "nop => ok\n");
    let mut command = Command::new(program());
    command.current_dir(root.path()).args(["watch", "traces"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    (root, child)
}

#[test]
fn a_build_that_fails_shows_its_error_and_the_next_save_is_waited_for() {
    let (root, mut child) = watched();
    let (sender, lines) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    until(&lines, "error: ");
    until(&lines, "the next save, or Ctrl-C");
    // A trace that cannot be read is an edit that is under way.
    put(root.path(), "traces/good/a.trace", "nonsense\n");
    let said = until(&lines, "the next save, or Ctrl-C");
    assert!(said.iter().any(|line| line.contains("a.trace:1:1")), "{said:?}");
    put(root.path(), "traces/good/a.trace", "nop => ok\n");
    put(root.path(), "hyp/abi/src/lib.rs", "// saved\n");
    let said = until(&lines, "the next save, or Ctrl-C");
    assert!(said.iter().any(|line| line.contains("error: ")), "{said:?}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!root.path().join("golden").exists(), "nothing is written");
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let (_root, mut child) = watched();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it is still there after {first:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
