//! Processor time of a process: what a loaded machine does not distort as it does wall time.

use std::fs;

use parallax_engine::status::{Failure, Status};

/// Length of a tick of /proc/PID/stat in seconds: USER_HZ is 100 on every architecture that QEMU runs on.
const TICK: f64 = 0.01;

/// Seconds that process `pid` has spent, in user and system mode, with all its threads. Exact to 10 ms.
pub(crate) fn of(pid: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/stat");
    let failure = |what: String| Failure { status: Status::Setup, message: format!("{path}: {what}") };
    let text = fs::read_to_string(&path).map_err(|error| failure(error.to_string()))?;
    // The name stands in parentheses and may hold anything; utime and stime are the 12th and 13th field behind it.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let ticks = fields.map(|fields| fields.skip(11).take(2).map(str::parse::<u64>));
    let ticks: Option<u64> =
        ticks.and_then(|ticks| ticks.collect::<Result<Vec<_>, _>>().ok()).map(|t| t.iter().sum());
    ticks.map(|ticks| ticks as f64 * TICK).ok_or_else(|| failure("not as proc(5) describes it".to_owned()))
}
