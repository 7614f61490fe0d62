//! One client, from its first packet to its last.

use std::io;

use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, GdbStubError, MultiThreadStopReason};

use crate::debuggee::{Debuggee, Lost, Motion};
use crate::target::{Front, tid};
use crate::wire::Wire;

/// The longest packet, in bytes.
const PACKET: usize = 1 << 14;

/// How a client's connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client let go; another may come.
    Detached,
    /// The client asked for the end of the debuggee.
    Killed,
    /// The client went away without a word.
    Gone,
    /// What the client sent is not understood.
    Misunderstood(String),
    /// The server is to end.
    Cancelled,
}

type Machine<'a> = GdbStubStateMachine<'static, Front<'a>, Wire>;

/// Serves the client behind `wire` until it is done, or `cancelled` says so. The debuggee stands still afterwards.
///
/// # Errors
/// The debuggee is gone.
pub fn serve(wire: Wire, debuggee: &mut dyn Debuggee, cancelled: &dyn Fn() -> bool) -> Result<Ending, Lost> {
    let mut front = Front { debuggee, motion: Motion::Continue, moved: false, stay: false, pending: None };
    let stub = GdbStub::builder(wire).packet_buffer_size(PACKET).build();
    let mut machine = match stub
        .map_err(|error| error.to_string())
        .and_then(|stub| stub.run_state_machine(&mut front).map_err(|error| error.to_string()))
    {
        Ok(machine) => machine,
        Err(error) => return Ok(Ending::Misunderstood(error)),
    };
    let ending = loop {
        if cancelled() {
            break Ending::Cancelled;
        }
        let running = matches!(machine, GdbStubStateMachine::Running(_));
        machine = match turn(machine, &mut front) {
            Ok(Turn::Next(next)) => next,
            Ok(Turn::Ended(ending)) => break ending,
            Err(Trouble::Lost(lost)) => return Err(lost),
            Err(Trouble::Stub(error)) => break failed(error)?,
        };
        if running && cancelled() {
            break Ending::Cancelled;
        }
    };
    front.debuggee.leave()?;
    Ok(ending)
}

enum Turn<'a> {
    Next(Machine<'a>),
    Ended(Ending),
}

enum Trouble {
    Lost(Lost),
    Stub(GdbStubError<Lost, io::Error>),
}

impl From<GdbStubError<Lost, io::Error>> for Trouble {
    fn from(error: GdbStubError<Lost, io::Error>) -> Self {
        Self::Stub(error)
    }
}

/// One step of the conversation.
fn turn<'a>(machine: Machine<'a>, front: &mut Front<'a>) -> Result<Turn<'a>, Trouble> {
    let gone = |_| Turn::Ended(Ending::Gone);
    let next = match machine {
        GdbStubStateMachine::Idle(mut idle) => {
            let wire = idle.borrow_conn();
            if wire.input().is_empty()
                && let Err(error) = wire.receive(true)
            {
                return Ok(gone(error));
            }
            match qemu_packet(wire, front.debuggee) {
                Ok(()) => {}
                Err(error) => return Ok(gone(error)),
            }
            match idle.borrow_conn().input().pop_front() {
                Some(byte) => idle.incoming_data(front, byte)?,
                None => idle.into(),
            }
        }
        GdbStubStateMachine::Running(mut running) => {
            if let Some(stop) = front.poll().map_err(Trouble::Lost)? {
                return Ok(Turn::Next(running.report_stop(front, Front::reason(stop))?));
            }
            let wire = running.borrow_conn();
            if wire.input().is_empty()
                && let Err(error) = wire.receive(false)
            {
                return Ok(gone(error));
            }
            match running.borrow_conn().input().pop_front() {
                Some(byte) => running.incoming_data(front, byte)?,
                None => running.into(),
            }
        }
        GdbStubStateMachine::CtrlCInterrupt(interrupt) => {
            let cpu = front.debuggee.interrupt().map_err(Trouble::Lost)?;
            let signal = gdbstub::common::Signal::SIGINT;
            interrupt.interrupt_handled(
                front,
                Some(MultiThreadStopReason::SignalWithThread { tid: tid(cpu), signal }),
            )?
        }
        GdbStubStateMachine::Disconnected(disconnected) => {
            return Ok(Turn::Ended(match disconnected.get_reason() {
                DisconnectReason::Kill => Ending::Killed,
                _ => Ending::Detached,
            }));
        }
    };
    Ok(Turn::Next(next))
}

/// What an error of the `gdbstub` crate means.
fn failed(error: GdbStubError<Lost, io::Error>) -> Result<Ending, Lost> {
    if error.is_connection_error() {
        return Ok(Ending::Gone);
    }
    let text = error.to_string();
    error.into_target_error().map_or(Ok(Ending::Misunderstood(text)), Err)
}

/// Answers QEMU's own packets for physical memory, which scripts for QEMU send and the `gdbstub` crate does not know.
fn qemu_packet(wire: &mut Wire, debuggee: &mut dyn Debuggee) -> io::Result<()> {
    const SET: &[u8] = b"$Qqemu.PhyMemMode:";
    const ASK: &[u8] = b"$qqemu.PhyMemMode#";
    /// A digit, `#` and the checksum; the checksum.
    const REST: (usize, usize) = (4, 2);
    let input = wire.input().make_contiguous();
    let (len, reply) = if input.starts_with(SET) && input.len() >= SET.len() + REST.0 {
        *debuggee.physical() = input[SET.len()] != b'0';
        (SET.len() + REST.0, "+$OK#9a")
    } else if input.starts_with(ASK) && input.len() >= ASK.len() + REST.1 {
        (ASK.len() + REST.1, if *debuggee.physical() { "+$1#31" } else { "+$0#30" })
    } else {
        return Ok(());
    };
    wire.input().drain(..len);
    wire.write_all(reply.as_bytes())?;
    wire.flush()
}
