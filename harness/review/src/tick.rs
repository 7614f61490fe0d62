//! Waiting for keys, as long as there is somebody who could press one.

use std::io;
use std::time::Duration;

use parallax_machine::CancellationToken;
use ratatui::crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How often a signal is looked for while no key comes.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// For a look without a wait.
pub(super) const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What came of a wait.
pub(super) enum Tick {
    /// Something happened.
    Event(Event),
    /// Nothing did, for a moment.
    Nothing,
    /// The terminal is closed, or a signal asks for the end.
    End,
}

/// Waits a moment for something to happen. The terminal is asked before it is read: of one that is closed, `crossterm`
/// reads nothing for ever, and looks at no clock.
pub(super) fn tick(cancel: &CancellationToken) -> io::Result<Tick> {
    if is_closed(Some(&TICK))? || cancel.is_cancelled() {
        return Ok(Tick::End);
    }
    Ok(if event::poll(Duration::ZERO)? { Tick::Event(event::read()?) } else { Tick::Nothing })
}

/// Whether nobody is at the terminal any more; waits for a key as long as `wait` says.
pub(super) fn is_closed(wait: Option<&Timespec>) -> io::Result<bool> {
    let input = io::stdin();
    let mut inputs = [PollFd::new(&input, PollFlags::IN)];
    match poll(&mut inputs, wait) {
        // A signal, such as that of another size of the terminal.
        Ok(_) | Err(Errno::INTR) => (),
        Err(error) => return Err(error.into()),
    }
    let closed = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    Ok(inputs[0].revents().intersects(closed))
}
