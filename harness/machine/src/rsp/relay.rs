//! What goes between a debugger and a gdbstub: packets as they come, in both directions.

use std::io;

use bytes::{Buf, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio_util::codec::{Decoder, Encoder};

use super::client::{Client, RspError};
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

    /// The next packet or acknowledgement, however long it takes. Nothing is lost where it is given up.
    pub(crate) async fn arrived(&mut self) -> Result<Frame, RspError> {
        match self.framed.next().await {
            None => Err(RspError::Closed),
            Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Err(RspError::Closed),
            Some(frame) => Ok(frame?),
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

impl Encoder<Frame> for DebuggerCodec {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> io::Result<()> {
        match frame {
            Frame::Ack => out.extend_from_slice(b"+"),
            Frame::Nack => out.extend_from_slice(b"-"),
            Frame::Packet(data) => super::packet::encode(&data, out),
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
