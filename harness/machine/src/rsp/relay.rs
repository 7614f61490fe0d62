//! What goes between a debugger and a gdbstub: packets as they come, in both directions.

use std::io;

use bytes::{Buf, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio_util::codec::{Decoder, Encoder};

use super::client::{Client, MARK, RspError};
use super::codec::{Outgoing, RspCodec};
use super::packet::Frame;
use super::stop::StopReply;

/// The byte that stops a machine.
const INTERRUPT: u8 = 0x03;

impl Client {
    /// Sends what somebody else says; the answer is a matter of [`Self::arrived`].
    pub(crate) async fn pass(&mut self, what: Outgoing<'_>) -> Result<(), RspError> {
        Ok(self.framed.send(what).await?)
    }

    /// The answer to a first `request`, behind what a client before this one was still owed: a machine that it let run stops now, and QEMU
    /// says so to this one.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub(crate) async fn first_request(&mut self, request: &str) -> Result<Vec<u8>, RspError> {
        let mut reply = self.request(request).await?;
        while StopReply::parse(&reply).is_some() {
            reply = self.reply(request).await?;
        }
        Ok(reply)
    }

    /// Has the gdbstub answer something, whatever it understands.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub(crate) async fn settle(&mut self) -> Result<(), RspError> {
        self.first_request(MARK).await.map(|_| ())
    }

    /// The next packet, however long it takes. Nothing is lost where it is given up.
    pub(crate) async fn arrived(&mut self) -> Result<Vec<u8>, RspError> {
        loop {
            match self.framed.next().await {
                None => return Err(RspError::Closed),
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(RspError::Closed);
                }
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(Frame::Packet(data))) => return Ok(data),
                Some(Ok(Frame::Ack | Frame::Nack)) => {}
            }
        }
    }
}

/// What a debugger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A packet, or an acknowledgement.
    Frame(Frame),
    /// The machine is to stop.
    Interrupt,
}

/// What is said to a debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say<'a> {
    /// Its packet has arrived.
    Ack,
    /// A packet with this data.
    Packet(&'a [u8]),
}

/// The protocol's framing as a debugger's other side has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DebuggerCodec;

impl Decoder for DebuggerCodec {
    type Item = Heard;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<Heard>> {
        if input.first() == Some(&INTERRUPT) {
            input.advance(1);
            return Ok(Some(Heard::Interrupt));
        }
        Ok(RspCodec.decode(input)?.map(Heard::Frame))
    }
}

impl Encoder<Say<'_>> for DebuggerCodec {
    type Error = io::Error;

    fn encode(&mut self, item: Say<'_>, out: &mut BytesMut) -> io::Result<()> {
        match item {
            Say::Ack => out.extend_from_slice(b"+"),
            Say::Packet(data) => super::packet::encode(data, out),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_comes_between_packets_and_not_within_one() {
        let mut wire = BytesMut::from(&b"+\x03$a\x03b#c6\x03"[..]);
        let mut heard = Vec::new();
        while let Some(one) = DebuggerCodec.decode(&mut wire).unwrap() {
            heard.push(one);
        }
        let packet = Heard::Frame(Frame::Packet(b"a\x03b".to_vec()));
        assert_eq!(heard, [Heard::Frame(Frame::Ack), Heard::Interrupt, packet, Heard::Interrupt]);
    }
}
