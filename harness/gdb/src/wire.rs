//! The client's socket, as the `gdbstub` crate writes to it and [`crate::server`] reads from it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gdbstub::conn::Connection;
use parallax_machine::Debugger;

/// How long one look for input takes at most.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a client may take nothing of what is written to it: longer, and it is gone.
const DEAF: Duration = Duration::from_secs(2);
/// How much is read at once.
const CHUNK: usize = 4096;

/// A socket.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection with a client.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Wire {
    /// Over TCP.
    ///
    /// # Errors
    /// The socket is of no use any more.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(DEAF))?;
        Ok(Self { socket: Socket::Tcp(stream), input: VecDeque::new(), output: Vec::new() })
    }

    /// Over a unix socket.
    ///
    /// # Errors
    /// The socket is of no use any more.
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(DEAF))?;
        Ok(Self { socket: Socket::Unix(stream), input: VecDeque::new(), output: Vec::new() })
    }

    /// The connection itself, for one who passes on what comes. Nothing has been taken from it yet.
    #[must_use]
    pub fn into_debugger(self) -> Debugger {
        match self.socket {
            Socket::Tcp(stream) => Debugger::Tcp(stream),
            Socket::Unix(stream) => Debugger::Unix(stream),
        }
    }

    /// What has arrived and is not taken yet.
    pub(crate) const fn input(&mut self) -> &mut VecDeque<u8> {
        &mut self.input
    }

    /// Looks for more input; waits a moment for it if `wait`. False when there is none yet.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) fn receive(&mut self, wait: bool) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        self.nonblocking(!wait)?;
        let read = match &mut self.socket {
            Socket::Tcp(stream) => stream.read(&mut chunk),
            Socket::Unix(stream) => stream.read(&mut chunk),
        };
        self.nonblocking(false)?;
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.input.extend(&chunk[..len]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn nonblocking(&self, on: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_nonblocking(on),
            Socket::Unix(stream) => stream.set_nonblocking(on),
        }
    }
}

impl Connection for Wire {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.output.push(byte);
        if self.output.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.output);
        match &mut self.socket {
            Socket::Tcp(stream) => Write::write_all(stream, &bytes),
            Socket::Unix(stream) => Write::write_all(stream, &bytes),
        }
    }
}
