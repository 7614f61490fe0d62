//! What `parallax explain` says of an operation. It boots a machine, so that it takes a while: any key stops it.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use parallax_machine::CancellationToken;
use ratatui::crossterm::event::{Event, KeyEventKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::tick::{Tick, tick};

/// How often it is looked whether the command has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// What it says of the operation in `line` of `trace`, in the project at `root`, or why it says nothing; `None` if it
/// was stopped.
pub(super) fn explanation(
    root: &Path,
    trace: &Path,
    line: usize,
    cancel: &CancellationToken,
) -> Result<Option<String>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(root).arg("explain").arg(trace).args(["--op", &line.to_string()]);
    let child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Some(format!("parallax explain: {error}"))),
    };
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel::<io::Result<Output>>();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let mut stopped = false;
    loop {
        match receiver.try_recv() {
            Ok(_) | Err(TryRecvError::Disconnected) if stopped => return Ok(None),
            Ok(output) => return Ok(Some(said(output))),
            Err(TryRecvError::Disconnected) => return Ok(Some(String::new())),
            Err(TryRecvError::Empty) => (),
        }
        if wants_to_stop(cancel)? && !stopped {
            stopped = true;
            // It takes its machine down; that it ended just now is no error.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Whether a key was pressed within a moment, or nobody is there any more.
fn wants_to_stop(cancel: &CancellationToken) -> io::Result<bool> {
    Ok(match tick(cancel)? {
        Tick::Event(event) => matches!(event, Event::Key(key) if key.kind != KeyEventKind::Release),
        Tick::Nothing => false,
        Tick::End => {
            // There is nothing to wait for any more but the end of the command.
            std::thread::sleep(PAUSE);
            true
        }
    })
}

fn said(output: io::Result<Output>) -> String {
    match output {
        Ok(Output { stdout, stderr, .. }) => {
            anstream::adapter::strip_str(&String::from_utf8_lossy(&[stdout, stderr].concat())).to_string()
        }
        Err(error) => format!("parallax explain: {error}"),
    }
}
