//! The CPU time that a process takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The CPU time of a process: all its threads, user and system.
#[derive(Debug)]
pub struct CpuClock {
    stat: File,
    ticks_per_second: f64,
}

impl CpuClock {
    /// That of process `id`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(id: u32) -> io::Result<Self> {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Self { stat: File::open(format!("/proc/{id}/stat"))?, ticks_per_second })
    }

    /// Its value; zero when the process is gone.
    #[must_use]
    pub fn now(&self) -> Duration {
        let mut buffer = [0; 1024];
        let length = self.stat.read_at(&mut buffer, 0).unwrap_or(0);
        Duration::from_secs_f64(
            ticks(&String::from_utf8_lossy(&buffer[..length])) as f64 / self.ticks_per_second,
        )
    }
}

/// utime and stime of proc_pid_stat(5): fields 14 and 15. Field 2 is a name in parentheses, which may hold anything.
fn ticks(stat: &str) -> u64 {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_process_is_called() {
        assert_eq!(ticks("7 (a) b 1) R 1 2 3 4 5 6 7 8 9 10 40 2 99 99 20"), 42);
        assert_eq!(ticks(""), 0);
    }

    #[test]
    fn this_process_has_a_clock() {
        assert!(CpuClock::of(std::process::id()).unwrap().now() < Duration::from_secs(3600));
    }
}
