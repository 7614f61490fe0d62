//! Reading that must come to an end.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, process, thread};

/// How long the reading of one input may take: all take less than a hundredth of it.
const LIMIT: Duration = Duration::from_secs(30);

/// What is being read, and since when.
type Read = Mutex<Option<(Instant, Vec<u8>)>>;

thread_local! {
    /// What this thread reads; somebody watches it as long as the thread is there.
    static READ: Arc<Read> = {
        let read = Arc::new(Read::default());
        let watched = Arc::downgrade(&read);
        thread::spawn(move || {
            while let Some(read) = watched.upgrade() {
                give_up(&read);
                drop(read);
                thread::sleep(LIMIT / 10);
            }
        });
        read
    };
}

/// What comes of `read`, which reads `input`: if it does not come to an end, the tests end here, and say with what.
pub fn ending<T>(input: &(impl AsRef<[u8]> + ?Sized), read: impl FnOnce() -> T) -> T {
    let now = |what| READ.with(|read| *read.lock().unwrap_or_else(PoisonError::into_inner) = what);
    now(Some((Instant::now(), input.as_ref().to_vec())));
    let read = read();
    now(None);
    read
}

fn give_up(read: &Read) {
    let read = read.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, input)) = read.as_ref()
        && since.elapsed() > LIMIT
    {
        // Not as a test prints, which is kept until the test has ended.
        let _ = writeln!(io::stderr(), "reading does not end: {}", input.escape_ascii());
        process::exit(101);
    }
}
