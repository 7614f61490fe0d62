//! Reads the console while the machine runs: what is said is dated when it is said, not when somebody inspections.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parallax_machine::CpuClock;

use crate::guest::{Moment, Said};

/// How often it inspections.
const PERIOD: Duration = Duration::from_millis(5);

/// A thread that reads a console.
#[derive(Debug)]
pub(super) struct ConsoleReader {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Said>,
}

impl ConsoleReader {
    /// Starts to read `console`; wall time counts from now, CPU time is that of `clock`. `tell` gets every line.
    pub(super) fn start(console: File, clock: CpuClock, tell: impl Fn(&str) + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (end, begin) = (Arc::clone(&done), Instant::now());
        let thread = std::thread::spawn(move || {
            let (mut said, mut reader) = (Said::default(), Lines { console, position: 0, rest: Vec::new() });
            loop {
                // Asked for before the last look, so that nothing that was printed until then is missed.
                let last = end.load(Relaxed);
                reader.read(|line| {
                    said.line(Moment { wall: begin.elapsed(), cpu: clock.now() }, line);
                    tell(line);
                });
                if last {
                    return said;
                }
                std::thread::sleep(PERIOD);
            }
        });
        Self { done, thread }
    }

    /// What was said until now; the end of reading.
    pub(super) fn finish(self) -> Said {
        self.done.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

struct Lines {
    console: File,
    position: u64,
    rest: Vec<u8>,
}

impl Lines {
    /// Gives `tell` the complete lines that have come.
    fn read(&mut self, mut tell: impl FnMut(&str)) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.console.read_at(&mut buffer, self.position) {
            self.position += count as u64;
            self.rest.extend_from_slice(&buffer[..count]);
        }
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            tell(String::from_utf8_lossy(&line).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn everything_printed_before_the_end_is_heard() {
        let mut file = tempfile::tempfile().unwrap();
        let reader = ConsoleReader::start(
            file.try_clone().unwrap(),
            CpuClock::of(std::process::id()).unwrap(),
            |_| (),
        );
        writeln!(file, "noise\r\nPLX step one ok\r\nPLX verdict ok\r").unwrap();
        let said = reader.finish();
        assert_eq!(said.verdict, Some(true));
        assert_eq!(said.steps, [("one".to_owned(), true)]);
    }
}
