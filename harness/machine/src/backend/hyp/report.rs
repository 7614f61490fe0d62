//! What is told when a machine fails: where each CPU is, what was printed.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use parallax_addr::ImageVa;
use rustix::process::Signal;

use super::{Live, stay};
use crate::error::MachineError;
use crate::qemu::Qemu;
use crate::room;
use crate::rsp::{Client, Register, RspError};
use crate::symbols::Symbols;

/// How long to wait for the exit status of a QEMU that has closed its sockets.
const DEATH: Duration = Duration::from_secs(3);
/// Lines of serial output that are shown.
const UART_LINES: usize = 24;

impl Live {
    /// The machine did not stop within `limit`: stops it and says where it is.
    pub(super) fn hang(&mut self, waiting_for: &'static str, limit: Duration) -> MachineError {
        let status = self.runtime.block_on(self.qmp.execute("query-status"));
        let report = match self.runtime.block_on(self.client.interrupt()) {
            Ok(_) => self.report(),
            Err(RspError::Cancelled) => return MachineError::Cancelled,
            Err(error) => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                format!(
                    "QEMU cannot be stopped either ({error}); it says of itself: {status}\n{}",
                    self.printed()
                )
            }
        };
        if stay::is_endless(&self.watched) {
            return MachineError::Endless { report };
        }
        MachineError::Hang { waiting_for, limit, report }
    }

    /// The gdbstub's connection failed with `error`: because QEMU died, perhaps.
    pub(crate) fn connection_lost(&mut self, error: RspError) -> MachineError {
        match error {
            RspError::Cancelled => MachineError::Cancelled,
            RspError::Closed | RspError::Io(_) => {
                if exit_status(&mut self.qemu).is_some() {
                    self.died()
                } else {
                    MachineError::Rsp(error)
                }
            }
            other => MachineError::Rsp(other),
        }
    }

    /// QEMU has ended, or is about to.
    pub(super) fn died(&mut self) -> MachineError {
        let printed = self.printed();
        death(&mut self.qemu, &printed)
    }

    /// What the machine printed, with its addresses explained.
    pub(super) fn printed(&self) -> String {
        let text = self.qemu.uart_tail();
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return "the machine printed nothing".to_owned();
        }
        let before = lines.len().saturating_sub(UART_LINES);
        let last = lines[before..].join("\n");
        let omitted = if before > 0 { format!(", after {before} lines more") } else { String::new() };
        let printed = format!("the machine printed{omitted}\n{}", indented(&self.symbols.annotate(&last)));
        match panic(&lines) {
            // Why comes before all that led to it.
            Some(why) => format!("{why}\n{printed}"),
            None => printed,
        }
    }

    /// Where each CPU of the stopped machine is, and what it printed.
    pub(super) fn report(&mut self) -> String {
        let registers = [self.registers.pc, self.registers.cpsr];
        let cpus = self.runtime.block_on(cpus(&mut self.client, &self.symbols, &registers));
        let cpus = cpus.unwrap_or_else(|error| format!("(registers cannot be read: {error})\n"));
        format!("{cpus}{}", self.printed())
    }
}

/// What the hypervisor said when it panicked.
fn panic<'a>(lines: &[&'a str]) -> Option<&'a str> {
    lines.iter().rfind(|line| line.contains("panic on cpu")).map(|line| line.trim())
}

/// The exit status of a QEMU that has closed its sockets, if it ends soon.
fn exit_status(qemu: &mut Qemu) -> Option<ExitStatus> {
    let limit = Instant::now() + DEATH;
    loop {
        let status = qemu.ended();
        if status.is_some() || Instant::now() >= limit {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What it means that connecting to `qemu` failed with `error` before the machine ran.
pub(crate) fn not_started(qemu: &mut Qemu, error: MachineError) -> MachineError {
    let MachineError::Rsp(error) = error else { return error };
    if matches!(error, RspError::Cancelled) {
        return MachineError::Cancelled;
    }
    let cause = match exit_status(qemu) {
        Some(status) => told(Some(status), &qemu.stderr_tail(), "the machine did not start to run"),
        None => MachineError::Rsp(error),
    };
    MachineError::NotStarted(Box::new(cause))
}

/// What it means that `qemu`, which has closed its sockets, ended. The machine `printed` that.
pub(crate) fn death(qemu: &mut Qemu, printed: &str) -> MachineError {
    let status = exit_status(qemu);
    told(status, &qemu.stderr_tail(), printed)
}

/// What it means that a QEMU that said `stderr` ended with `status`.
fn told(status: Option<ExitStatus>, stderr: &str, printed: &str) -> MachineError {
    let mut report = died_report(stderr, printed);
    if is_without_memory(status) {
        report = format!("{}\n{report}", room::FULL);
    }
    let killed = is_killed(status, stderr);
    let status = status
        .map_or_else(|| "it closes its connections but does not end".to_owned(), |status| status.to_string());
    if killed {
        MachineError::QemuKilled { status, report }
    } else {
        MachineError::QemuDied { status, report }
    }
}

/// Whether it touched a file that it had mapped, and the file system had no room.
fn is_without_memory(status: Option<ExitStatus>) -> bool {
    status.and_then(|status| status.signal()) == Some(Signal::BUS.as_raw())
}

/// Whether somebody else ended it: with a signal that no process sends itself when something in it goes wrong (the kernel, which lacks
/// memory, or a person). Of most of these QEMU says so, and ends in order.
fn is_killed(status: Option<ExitStatus>, stderr: &str) -> bool {
    let signals = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].map(Signal::as_raw);
    let signal = status.and_then(|status| status.signal());
    is_without_memory(status)
        || signal.is_some_and(|signal| signals.contains(&signal))
        || stderr.lines().any(|line| line.contains(": terminating on signal "))
}

/// What is told of a QEMU that died.
fn died_report(stderr: &str, printed: &str) -> String {
    if stderr.trim().is_empty() {
        return format!("QEMU said nothing\n{printed}");
    }
    format!("QEMU said\n{}{printed}", indented(stderr))
}

/// A paragraph for each CPU.
pub(crate) async fn cpus(
    client: &mut Client,
    symbols: &Symbols,
    registers: &[Register],
) -> Result<String, RspError> {
    let mut text = String::new();
    for (index, thread) in client.threads().await?.iter().enumerate() {
        client.command(&format!("Hg{thread}")).await?;
        let values = client.read_registers(registers).await?;
        let (pc, el) = (values[0], values[1] >> 2 & 3);
        let _ = writeln!(text, "cpu {index} at EL{el}: {}", symbols.describe(ImageVa::new(pc)));
        text.push_str(&symbols.disassembly(ImageVa::new(pc)));
    }
    Ok(text)
}

pub(crate) fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        out.push_str("    ");
        out.push_str(line);
        out.push('\n');
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_qemu_is_quoted_when_it_said_something() {
        assert_eq!(
            died_report("abort\n", "the machine printed nothing"),
            "QEMU said\n    abort\nthe machine printed nothing"
        );
        assert!(died_report(" \n", "x").starts_with("QEMU said nothing"));
    }

    #[test]
    fn who_ended_qemu_is_known_by_the_signal() {
        let killed = |raw| told(Some(ExitStatus::from_raw(raw)), "", "x").is_killed();
        // The exit status is in the second byte, a signal in the first one.
        assert!(killed(9) && killed(15) && killed(2));
        assert!(!killed(6) && !killed(11) && !killed(0) && !killed(1 << 8));
        assert!(!told(None, "", "x").is_killed());
        let full = told(Some(ExitStatus::from_raw(7)), "", "x");
        assert!(full.is_killed() && full.to_string().contains(room::REMEDY), "{full}");
        let said = "qemu-system-aarch64: terminating on signal 15 from pid 7 (kill)\n";
        assert!(told(Some(ExitStatus::from_raw(0)), said, "x").is_killed());
    }
}
