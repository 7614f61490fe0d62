//! Between a debugger and the gdbstub of a QEMU that somebody else started.
//!
//! What the debugger says goes on to the gdbstub as it is, and so do the answers, but for `monitor` commands that are answered here. For
//! those the machine is read over the same connection; then the gdbstub has the thread again that the debugger had chosen, and takes
//! addresses as it did. The machine is left as the debugger leaves it.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net;
use tokio::time::sleep;
use tokio_util::codec::Framed;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::address::GdbAddress;
use super::kept::Kept;
use super::{Attached, CONNECT, failed, runtime, unanswered};
use crate::error::MachineError;
use crate::rsp::RspError;
use crate::rsp::client::Parting;
use crate::rsp::codec::Outgoing;
use crate::rsp::hex;
use crate::rsp::packet::Frame;
use crate::rsp::relay::{DebuggerCodec, Heard};

/// How often whoever waits is asked what else there is to do.
const TICK: Duration = Duration::from_millis(100);
/// Limit of having the gdbstub as it was when the user ends a look.
const PARTING: Duration = Duration::from_secs(1);
/// Bytes of an answer in one packet: a debugger takes 4096 of their digits at least.
const PART: usize = 1024;
/// What a `monitor` command begins with.
const MONITOR: &[u8] = b"qRcmd,";

/// A debugger's connection.
#[derive(Debug)]
pub enum Debugger {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// How a debugger's connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The debugger let the machine go on, ended it, or never said a word.
    Done,
    /// It is gone without a word, and the machine stands still.
    Standing,
    /// It is gone without a word, and the machine runs.
    Running,
    /// It said what is no packet, and the machine may stand still.
    Misunderstood(String),
    /// The first thing that it said is no packet. The machine was left alone.
    NoDebugger(String),
    /// The user ended it.
    Cancelled,
}

type Link = Framed<Either<net::UnixStream, net::TcpStream>, DebuggerCodec>;

/// What happens next.
enum Event {
    /// The debugger says something, or is gone.
    Heard(Option<io::Result<Heard>>),
    /// The gdbstub says something, or is gone.
    Said(Result<Frame, RspError>),
    /// Nothing for a while.
    Tick,
    /// The user ends it.
    Cancelled,
}

/// The command of a packet of `monitor`.
pub(super) fn command(data: &[u8]) -> Option<String> {
    String::from_utf8(hex::decode(data.strip_prefix(MONITOR)?)?).ok()
}

/// What a debugger may ask for besides what the gdbstub has.
pub trait Answers {
    /// Whether it answers `command` of `monitor`. What it does not know goes to the gdbstub.
    fn knows(&self, command: &str) -> bool;

    /// The answer to `command`, which it knows; [`Attached::know`] comes before any look at the machine.
    fn answer(&mut self, machine: &mut Attached, command: &str) -> String;
}

/// The two who are stood between, and what is known of them.
struct Between<'a> {
    link: Link,
    kept: Kept,
    answers: &'a mut dyn Answers,
    idle: &'a dyn Fn(),
}

impl Attached {
    /// Passes on what `debugger` and the gdbstub at `address` say, until one of them is gone. The gdbstub is connected to, and the machine
    /// stops, when the debugger says its first packet. `idle` is called ten times a second.
    ///
    /// # Errors
    /// Nobody listens there, it serves another client, is gone, or says what is no packet.
    pub fn between(
        address: &GdbAddress,
        debugger: Debugger,
        cancel: &CancellationToken,
        answers: &mut dyn Answers,
        idle: &dyn Fn(),
    ) -> Result<Left, MachineError> {
        let runtime = runtime()?;
        let mut link = runtime
            .block_on(async { link(debugger) })
            .map_err(|error| MachineError::Contract(format!("the debugger's connection: {error}")))?;
        let first = match runtime.block_on(first(&mut link, cancel, idle)) {
            Ok(heard) => heard,
            Err(left) => return Ok(left),
        };
        let (client, physical) = runtime.block_on(async {
            let mut client = address.connect(cancel, CONNECT).await?;
            let mode = client.first_request("qqemu.PhyMemMode").await.map_err(unanswered)?;
            Ok::<_, MachineError>((client, mode == b"1"))
        })?;
        let mut attached = Self::over(runtime, address, client, cancel);
        // It is the debugger that lets the machine go.
        attached.left = true;
        attached.relay(first, Between { link, kept: Kept::new(physical), answers, idle })
    }

    fn relay(&mut self, first: Heard, mut between: Between<'_>) -> Result<Left, MachineError> {
        let mut event = Event::Heard(Some(Ok(first)));
        loop {
            if let Some(left) = self.happens(event, &mut between)? {
                return Ok(left);
            }
            event = self.next(&mut between.link);
        }
    }

    /// Does what follows from `event`; says how the debugger left, if it did.
    fn happens(&mut self, event: Event, between: &mut Between<'_>) -> Result<Option<Left>, MachineError> {
        match event {
            Event::Cancelled => Ok(Some(Left::Cancelled)),
            Event::Tick => {
                (between.idle)();
                Ok(None)
            }
            Event::Heard(None) => Ok(Some(between.kept.left())),
            Event::Heard(Some(Err(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Ok(Some(Left::Misunderstood(error.to_string())))
            }
            Event::Heard(Some(Err(_))) => Ok(Some(between.kept.left())),
            Event::Heard(Some(Ok(heard))) => self.heard(heard, between),
            Event::Said(Ok(frame)) => {
                match &frame {
                    Frame::Ack => between.kept.taken(),
                    Frame::Nack => {}
                    Frame::Packet(data) => between.kept.answers(data),
                }
                Ok(self.say(between, vec![frame]))
            }
            Event::Said(Err(RspError::Closed | RspError::Io(_))) if between.kept.parted => {
                Ok(Some(Left::Done))
            }
            Event::Said(Err(error)) => Err(failed(error, "a debugger was connected")),
        }
    }

    /// Does what the debugger says. What the gdbstub gets, it acknowledges itself: it drops what stops a running machine, and the debugger
    /// sends that again.
    fn heard(&mut self, heard: Heard, between: &mut Between<'_>) -> Result<Option<Left>, MachineError> {
        let data = match heard {
            Heard::Frame(Frame::Ack | Frame::Nack) => return Ok(None),
            Heard::Interrupt => return self.pass(Outgoing::Interrupt),
            Heard::Frame(Frame::Packet(data)) => data,
        };
        let Some(command) = command(&data).filter(|command| between.answers.knows(command)) else {
            between.kept.asks(&data);
            return self.pass(Outgoing::Packet(&data));
        };
        // At once: a debugger sends again what nobody has acknowledged for two seconds, and a look may take longer.
        if let Some(left) = self.say(between, vec![Frame::Ack]) {
            return Ok(Some(left));
        }
        let text = self.answered(&command, between);
        Ok(self.say(between, told(&text)))
    }

    fn next(&mut self, link: &mut Link) -> Event {
        let (client, cancel) = (self.client.get_mut(), &self.cancel);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Event::Cancelled,
                said = client.arrived() => Event::Said(said),
                heard = link.next() => Event::Heard(heard),
                () = sleep(TICK) => Event::Tick,
            }
        })
    }

    /// Says `frames` to the debugger, however long it takes to read them; how it left, if it did.
    fn say(&self, between: &mut Between<'_>, frames: Vec<Frame>) -> Option<Left> {
        let Between { link, kept, .. } = between;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                said = said(link, frames) => said.is_err().then(|| kept.left()),
                () = self.cancel.cancelled() => Some(Left::Cancelled),
            }
        })
    }

    /// Says `what` to the gdbstub, however long it takes to read it.
    fn pass(&mut self, what: Outgoing<'_>) -> Result<Option<Left>, MachineError> {
        let (client, cancel) = (self.client.get_mut(), &self.cancel);
        let passed = self.runtime.block_on(async {
            tokio::select! {
                biased;
                passed = client.pass(what) => passed.map(|()| None),
                () = cancel.cancelled() => Ok(Some(Left::Cancelled)),
            }
        });
        passed.map_err(|error| failed(error, "a debugger was connected"))
    }

    /// The answer to `command`, which is known. The gdbstub is as it was afterwards.
    fn answered(&mut self, command: &str, between: &mut Between<'_>) -> String {
        if let Some(why) = between.kept.forbids() {
            return why.to_owned();
        }
        self.pages.forget();
        let text = between.answers.answer(self, command);
        match self.as_it_was(&between.kept) {
            Ok(()) => text,
            Err(error) => format!("{text}error: {error}\n"),
        }
    }

    /// Has the gdbstub take threads and addresses as the debugger wants them.
    fn as_it_was(&mut self, kept: &Kept) -> Result<(), MachineError> {
        // It was not looked at.
        let Some(registers) = &self.registers else { return Ok(()) };
        let thread = kept.thread.as_deref().or_else(|| registers.first());
        let mut requests: Vec<String> = thread.map(|thread| format!("Hg{thread}")).into_iter().collect();
        requests.push(format!("Qqemu.PhyMemMode:{}", u8::from(kept.physical)));
        let client = self.client.get_mut();
        self.runtime.block_on(async {
            let all = async {
                for request in &requests {
                    client.command(request).await?;
                }
                Ok(())
            };
            match all.await {
                // What the user ends must not be left half done: answers that were not read are passed over.
                Err(RspError::Cancelled) => match client.part(&requests, &[], PARTING).await {
                    Parting::Heard => Ok(()),
                    Parting::Silence | Parting::Ended => Err(MachineError::Cancelled),
                },
                done => done.map_err(|error| failed(error, "the debugger's thread was chosen again")),
            }
        })
    }
}

/// The first thing that a debugger says, or how it left before that.
async fn first(link: &mut Link, cancel: &CancellationToken, idle: &dyn Fn()) -> Result<Heard, Left> {
    loop {
        let heard = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Left::Cancelled),
            heard = link.next() => heard,
            () = sleep(TICK) => {
                idle();
                continue;
            }
        };
        match heard {
            Some(Ok(Heard::Frame(Frame::Ack | Frame::Nack))) => {}
            Some(Ok(heard)) => return Ok(heard),
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Left::NoDebugger(error.to_string()));
            }
            Some(Err(_)) | None => return Err(Left::Done),
        }
    }
}

/// What tells a debugger `text`, the answer to a command.
fn told(text: &str) -> Vec<Frame> {
    let part = |bytes: &[u8]| format!("O{}", hex::encode(bytes)).into_bytes();
    text.as_bytes().chunks(PART).map(part).chain([b"OK".to_vec()]).map(Frame::Packet).collect()
}

/// Says `frames` to the debugger.
async fn said(link: &mut Link, frames: Vec<Frame>) -> io::Result<()> {
    for frame in frames {
        link.feed(frame).await?;
    }
    link.flush().await
}

/// The debugger's connection as packets.
fn link(debugger: Debugger) -> io::Result<Link> {
    let stream = match debugger {
        Debugger::Tcp(stream) => {
            stream.set_nonblocking(true)?;
            Either::Right(net::TcpStream::from_std(stream)?)
        }
        Debugger::Unix(stream) => {
            stream.set_nonblocking(true)?;
            Either::Left(net::UnixStream::from_std(stream)?)
        }
    };
    Ok(Framed::new(stream, DebuggerCodec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_in_packets_that_any_debugger_takes() {
        let packets = told(&"x".repeat(2500));
        assert_eq!(packets.len(), 4);
        assert!(packets.iter().all(|packet| matches!(packet, Frame::Packet(data) if data.len() < 4000)));
        assert_eq!(packets[3], Frame::Packet(b"OK".to_vec()));
        assert_eq!(command(b"qRcmd,636865636b").as_deref(), Some("check"));
        assert_eq!((command(b"qRcmd,6"), command(b"qRcmd,ff"), command(b"m0,1")), (None, None, None));
    }
}
