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
use super::{Attached, CONNECT, failed, runtime};
use crate::error::MachineError;
use crate::rsp::codec::Outgoing;
use crate::rsp::hex;
use crate::rsp::packet::Frame;
use crate::rsp::relay::{DebuggerCodec, Heard, Say};
use crate::rsp::{RspError, StopReply};

/// How often whoever waits is asked what else there is to do.
const TICK: Duration = Duration::from_millis(100);
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
    /// The debugger let the machine go on, or ended it.
    Done,
    /// It is gone without a word, and the machine stands still.
    Standing,
    /// It is gone without a word, and the machine runs.
    Running,
    /// It said what is no packet.
    Misunderstood(String),
    /// The user ended it.
    Cancelled,
}

type Link = Framed<Either<net::UnixStream, net::TcpStream>, DebuggerCodec>;

/// What happens next.
enum Event {
    Heard(Option<io::Result<Heard>>),
    Said(Result<Vec<u8>, RspError>),
    Tick,
    Cancelled,
}

/// What a gdbstub keeps for its debugger.
#[derive(Debug, Default)]
struct Kept {
    /// The thread whose registers are read.
    thread: Option<String>,
    /// Whether addresses are physical.
    physical: bool,
    /// Whether the machine runs.
    runs: bool,
    /// Whether the debugger has taken leave.
    parted: bool,
    /// What was asked last.
    asked: Vec<u8>,
}

impl Kept {
    /// The debugger asks for `data`.
    fn asks(&mut self, data: &[u8]) {
        self.runs = self.runs || resumes(data);
        self.parted = self.parted || data.starts_with(b"vKill") || data == b"k";
        self.asked = data.to_vec();
    }

    /// The gdbstub answers `data`.
    fn answers(&mut self, data: &[u8]) {
        if self.runs && StopReply::parse(data).is_some() {
            self.runs = false;
            if let Some(StopReply::Stopped { thread: Some(thread), .. }) = StopReply::parse(data) {
                self.thread = Some(thread);
            }
        }
        if data != b"OK" {
            return;
        }
        let asked = String::from_utf8_lossy(&std::mem::take(&mut self.asked)).into_owned();
        match asked.as_str() {
            "Qqemu.PhyMemMode:1" => self.physical = true,
            "Qqemu.PhyMemMode:0" => self.physical = false,
            detach if detach == "D" || detach.starts_with("D;") => (self.parted, self.runs) = (true, true),
            chosen => {
                if let Some(thread) = chosen.strip_prefix("Hg").filter(|thread| is_one(thread)) {
                    self.thread = Some(thread.to_owned());
                }
            }
        }
    }

    const fn left(&self) -> Left {
        match (self.parted, self.runs) {
            (true, _) => Left::Done,
            (false, true) => Left::Running,
            (false, false) => Left::Standing,
        }
    }
}

/// Whether `data` lets the machine run.
fn resumes(data: &[u8]) -> bool {
    let text = data.strip_prefix(b"vCont;");
    text.is_some() || matches!(data.first(), Some(b'c' | b's' | b'C' | b'S'))
}

/// Whether `thread` names one thread: `2` or `p1.2`, and not all of them (-1) or any (0).
fn is_one(thread: &str) -> bool {
    let (process, thread) = match thread.strip_prefix('p').and_then(|rest| rest.split_once('.')) {
        Some((process, thread)) => (process, thread),
        None => ("1", thread),
    };
    [process, thread].iter().all(|id| u64::from_str_radix(id, 16).is_ok_and(|id| id != 0))
}

/// The command of a packet of `monitor`.
fn command(data: &[u8]) -> Option<String> {
    String::from_utf8(hex::decode(data.strip_prefix(MONITOR)?)?).ok()
}

impl Attached {
    /// Connects to the gdbstub at `address` for a debugger that is there. The machine stops, as for any client.
    ///
    /// # Errors
    /// Nobody listens there, or it serves another client.
    pub fn for_debugger(address: &GdbAddress, cancel: &CancellationToken) -> Result<Self, MachineError> {
        let runtime = runtime()?;
        let client = runtime.block_on(async {
            let mut client = address.connect(cancel, CONNECT).await?;
            Self::greet(&mut client, false).await.map(|()| client)
        })?;
        let mut attached = Self::over(runtime, address, client, cancel);
        // It is the debugger that lets the machine go.
        attached.left = true;
        Ok(attached)
    }

    /// Passes on what `debugger` and the gdbstub say, until one of them is gone. A command of `monitor` for which `answer` has an answer
    /// does not get to the gdbstub; [`Self::know`] comes before any look at the machine. `idle` is called ten times a second.
    ///
    /// # Errors
    /// The gdbstub is gone, or says what is no packet.
    pub fn relay(
        &mut self,
        debugger: Debugger,
        answer: &mut dyn FnMut(&mut Self, &str) -> Option<String>,
        idle: &dyn Fn(),
    ) -> Result<Left, MachineError> {
        let mut link = self
            .runtime
            .block_on(async { link(debugger) })
            .map_err(|error| MachineError::Contract(format!("the debugger's connection: {error}")))?;
        let mut kept = Kept::default();
        loop {
            let say = match self.next(&mut link) {
                Event::Cancelled => return Ok(Left::Cancelled),
                Event::Tick => {
                    idle();
                    continue;
                }
                Event::Heard(None) => return Ok(kept.left()),
                Event::Heard(Some(Err(error))) if error.kind() == io::ErrorKind::InvalidData => {
                    return Ok(Left::Misunderstood(error.to_string()));
                }
                Event::Heard(Some(Err(_))) => return Ok(kept.left()),
                Event::Heard(Some(Ok(Heard::Frame(Frame::Ack | Frame::Nack)))) => continue,
                Event::Heard(Some(Ok(Heard::Interrupt))) => {
                    self.pass(Outgoing::Interrupt)?;
                    continue;
                }
                Event::Heard(Some(Ok(Heard::Frame(Frame::Packet(data))))) => {
                    let text = command(&data).and_then(|command| self.answered(&command, &kept, answer));
                    if text.is_none() {
                        kept.asks(&data);
                        self.pass(Outgoing::Packet(&data))?;
                    }
                    (true, text.map_or_else(Vec::new, |text| told(&text)))
                }
                Event::Said(Ok(data)) => {
                    kept.answers(&data);
                    (false, vec![data])
                }
                Event::Said(Err(RspError::Closed | RspError::Io(_))) if kept.parted => return Ok(Left::Done),
                Event::Said(Err(error)) => return Err(failed(error, "a debugger was connected")),
            };
            if self.runtime.block_on(said(&mut link, say)).is_err() {
                return Ok(kept.left());
            }
        }
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

    fn pass(&mut self, what: Outgoing<'_>) -> Result<(), MachineError> {
        let passed = self.runtime.block_on(self.client.get_mut().pass(what));
        passed.map_err(|error| failed(error, "a debugger was connected"))
    }

    /// What `answer` says of `command`, if it is a command of its own. The gdbstub is as it was afterwards.
    fn answered(
        &mut self,
        command: &str,
        kept: &Kept,
        answer: &mut dyn FnMut(&mut Self, &str) -> Option<String>,
    ) -> Option<String> {
        if kept.runs {
            return Some("error: the machine runs; interrupt it first\n".to_owned());
        }
        self.pages.forget();
        let text = answer(self, command)?;
        match self.as_it_was(kept) {
            Ok(()) => Some(text),
            Err(error) => Some(format!("{text}error: {error}\n")),
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
        let all = async {
            for request in &requests {
                client.command(request).await?;
            }
            Ok(())
        };
        self.runtime.block_on(all).map_err(|error| failed(error, "the debugger's thread was chosen again"))
    }
}

/// The packets that tell a debugger `text`, the answer to a command.
fn told(text: &str) -> Vec<Vec<u8>> {
    let part = |bytes: &[u8]| format!("O{}", hex::encode(bytes)).into_bytes();
    text.as_bytes().chunks(PART).map(part).chain([b"OK".to_vec()]).collect()
}

/// Says `packets` to the debugger, after an acknowledgement of its own where it is to have one.
async fn said(link: &mut Link, (ack, packets): (bool, Vec<Vec<u8>>)) -> io::Result<()> {
    if ack {
        link.feed(Say::Ack).await?;
    }
    for packet in &packets {
        link.feed(Say::Packet(packet)).await?;
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
    fn the_debuggers_thread_is_what_it_chose_or_where_the_machine_stopped() {
        let mut kept = Kept::default();
        let mut say = |ask: &str, answer: &str| {
            kept.asks(ask.as_bytes());
            kept.answers(answer.as_bytes());
            (kept.thread.clone(), kept.runs)
        };
        let of = |thread: &str| Some(thread.to_owned());
        assert_eq!(say("?", "T05thread:p01.01;"), (None, false));
        assert_eq!(say("Hgp1.2", "OK"), (of("p1.2"), false));
        for (ask, answer) in [("Hgp1.-1", "OK"), ("Hg0", "OK"), ("Hgp1.3", "E22"), ("Hcp1.1", "OK")] {
            assert_eq!(say(ask, answer), (of("p1.2"), false), "{ask}");
        }
        assert_eq!(say("vCont?", "vCont;c;C;s;S"), (of("p1.2"), false));
        assert_eq!(say("vCont;c:p1.-1", "T02thread:p01.01;"), (of("p01.01"), false));
        kept.asks(b"vCont;s:p1.1");
        assert!(kept.runs && kept.left() == Left::Running);
    }

    #[test]
    fn addresses_are_physical_as_long_as_the_debugger_has_them_so() {
        let mut kept = Kept::default();
        for (ask, answer, physical) in [("1", "OK", true), ("0", "E01", true), ("0", "OK", false)] {
            kept.asks(format!("Qqemu.PhyMemMode:{ask}").as_bytes());
            kept.answers(answer.as_bytes());
            assert_eq!(kept.physical, physical);
        }
    }

    #[test]
    fn a_debugger_that_detaches_leaves_the_machine_in_order() {
        let mut kept = Kept::default();
        assert_eq!(kept.left(), Left::Standing);
        kept.asks(b"D;1");
        kept.answers(b"OK");
        assert_eq!(kept.left(), Left::Done);
    }

    #[test]
    fn an_answer_comes_in_packets_that_any_debugger_takes() {
        let packets = told(&"x".repeat(2500));
        assert_eq!(packets.len(), 4);
        assert!(packets.iter().all(|packet| packet.len() < 4000));
        assert_eq!(packets[3], b"OK");
        assert_eq!(command(b"qRcmd,636865636b").as_deref(), Some("check"));
        assert_eq!((command(b"qRcmd,6"), command(b"qRcmd,ff"), command(b"m0,1")), (None, None, None));
    }
}
