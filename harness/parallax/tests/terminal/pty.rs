//! A program in a real pseudo-terminal, and what a person would see on its screen.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal};

/// How long a screen may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// A screen is whole when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(80);

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    last: Instant,
}

/// A terminal with a program in it.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    seen: Arc<Mutex<Seen>>,
    child: Child,
}

impl Terminal {
    /// Starts `command` in a terminal with so many columns and rows.
    pub(crate) fn start(command: Command, columns: u16, rows: u16) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let child = command.spawn(pts).expect("the program");
        let pty = Arc::new(pty);
        let parser = vt100::Parser::new(nonzero(rows), nonzero(columns), 0);
        let seen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new(), last: Instant::now() }));
        let (reader, writes) = (pty.clone(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails when the program has ended.
            while let Ok(length @ 1..) = (&*reader).read(&mut buffer) {
                let mut seen = writes.lock().unwrap();
                seen.parser.process(&buffer[..length]);
                seen.bytes.extend_from_slice(&buffer[..length]);
                seen.last = Instant::now();
            }
        });
        Self { pty, seen, child }
    }

    /// Types `keys`.
    pub(crate) fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("a terminal that takes keys");
    }

    /// What is on the screen, without blanks at the ends of lines.
    pub(crate) fn screen(&self) -> String {
        let contents = self.seen.lock().unwrap().parser.screen().contents();
        contents.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The screen, once it shows `text` and stands still.
    pub(crate) fn until(&self, text: &str) -> String {
        self.until_it(text, |screen| screen.contains(text))
    }

    /// The screen, once `wanted` holds for it and it stands still.
    pub(crate) fn until_it(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) && self.seen.lock().unwrap().last.elapsed() > QUIET {
                return screen;
            }
            assert!(begin.elapsed() < PATIENCE, "no `{what}` on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Changes its size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.seen.lock().unwrap().parser.set_size(nonzero(rows), nonzero(columns));
        self.pty.resize(Size::new(rows, columns)).expect("a size");
    }

    /// Sends `signal` to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("a running program");
    }

    /// Whether the program still has the whole screen for itself.
    pub(crate) fn in_full_screen(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Whether any colour was asked for.
    pub(crate) fn colours(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        let text = String::from_utf8_lossy(&seen.bytes);
        let styles =
            text.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m')).map(|(style, _)| style);
        let mut numbers = styles.flat_map(|style| style.split(';')).filter_map(|number| number.parse().ok());
        numbers.any(|number: u8| matches!(number, 30..=38 | 40..=48 | 90..=107))
    }

    /// The exit status, once the program has ended; 128 and the signal's number, if one ended it.
    pub(crate) fn ended(&mut self) -> i32 {
        let status = ended(&mut self.child);
        status.unwrap_or_else(|| panic!("it goes on and on:\n{}", self.screen()))
    }
}

/// The exit status of `child`, once it has ended; none if it does not.
fn ended(child: &mut Child) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code().or(status.signal().map(|signal| 128 + signal));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// The exit status of `command`, whose terminal is closed once it shows `text`; none if it goes on.
pub(crate) fn ended_when_closed(command: Command, text: &str) -> Option<i32> {
    let (mut pty, pts) = open().expect("a pseudo-terminal");
    pty.resize(Size::new(20, 100)).expect("a size");
    let mut child = command.spawn(pts).expect("the program");
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut buffer = [0; 4096];
        let length = pty.read(&mut buffer).expect("a screen");
        seen.extend_from_slice(&buffer[..length]);
    }
    drop(pty);
    let status = ended(&mut child);
    // If it goes on it would do so for ever.
    let _ = child.kill();
    let _ = child.wait();
    status
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Of a test that failed; otherwise it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal of some size")
}
