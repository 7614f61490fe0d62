//! [`packet`] as a codec: requests go out, frames come in.

use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::packet::{self, Frame};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// A packet with this data.
    Packet(&'a [u8]),
    /// The byte 0x03: stop the machine.
    Interrupt,
}

/// The protocol's framing.
#[derive(Clone, Copy, Debug, Default)]
pub struct RspCodec;

impl Decoder for RspCodec {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<Frame>> {
        packet::decode(input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Encoder<Outgoing<'_>> for RspCodec {
    type Error = io::Error;

    fn encode(&mut self, item: Outgoing<'_>, out: &mut BytesMut) -> io::Result<()> {
        match item {
            Outgoing::Packet(data) => packet::encode(data, out),
            Outgoing::Interrupt => out.extend_from_slice(&[0x03]),
        }
        Ok(())
    }
}
