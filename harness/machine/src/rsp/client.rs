//! Requests and replies over a socket.
//!
//! Latency is what counts here, so requests go out in one write and their replies are read together
//! ([`Client::pipeline`], [`Client::resume`]). QEMU's gdbstub has no no-acknowledgement mode, but takes the `$` of
//! the next packet as the acknowledgement of the last reply, so none are sent; its own are skipped.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::codec::Framed;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::codec::{Outgoing, RspCodec};
use super::hex;
use super::packet::Frame;
use super::stop::StopReply;
use super::target::{Register, TargetError};

/// How many bytes of requests are under way at most. QEMU reads 4096 at once.
const WINDOW: usize = 3072;
/// CPUs of a machine, at most: QEMU's `virt` has up to 512.
const MOST_THREADS: usize = 512;
/// Replies of a machine that stands still take microseconds; this is for a host that is very busy.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// What went wrong between the client and the gdbstub.
#[derive(Debug, thiserror::Error)]
pub enum RspError {
    /// The socket failed, or what came over it was no packet.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side closed the connection.
    #[error("connection closed")]
    Closed,
    /// Nothing came in time.
    #[error("no reply to `{0}` in time")]
    Timeout(String),
    /// The run was cancelled.
    #[error("interrupted")]
    Cancelled,
    /// `E..`, or a reply that does not fit the request.
    #[error("request `{request}` was answered `{reply}`")]
    Refused {
        /// The request.
        request: String,
        /// The reply.
        reply: String,
    },
    /// The target description is malformed.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// A request that no gdbstub knows: its answer, which is empty, parts what was asked before from what follows.
const MARK: &str = "qParallax";

/// How a connection was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// The gdbstub has done what it was asked for.
    Heard,
    /// It said nothing of that in time.
    Silence,
    /// The connection has ended.
    Ended,
}

/// Whether `heard` has the answer to [`MARK`], and `count` times `OK` after it.
fn parted(heard: &[u8], count: usize) -> bool {
    let (mark, done) = (&b"$#00"[..], &b"$OK#9a"[..]);
    let Some(at) = heard.windows(mark.len()).position(|bytes| bytes == mark) else { return false };
    heard[at..].windows(done.len()).filter(|bytes| *bytes == done).count() >= count
}

/// A connection to a gdbstub.
#[derive(Debug)]
pub struct Client {
    pub(super) framed: Framed<Either<UnixStream, TcpStream>, RspCodec>,
    cancel: CancellationToken,
}

impl Client {
    /// Connects to the socket at `path`, waiting until `deadline` for it to appear.
    ///
    /// # Errors
    /// It does not appear, or the run is cancelled.
    pub async fn connect(
        path: &Path,
        cancel: CancellationToken,
        deadline: Instant,
    ) -> Result<Self, RspError> {
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self::over(Either::Left(stream), cancel)),
                Err(_) if Instant::now() >= deadline => return Err(RspError::Timeout("connect".to_owned())),
                Err(_) => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(RspError::Cancelled),
                () = sleep(Duration::from_millis(2)) => {}
            }
        }
    }

    /// Speaks over `stream`.
    pub(crate) fn over(stream: Either<UnixStream, TcpStream>, cancel: CancellationToken) -> Self {
        Self { framed: Framed::new(stream, RspCodec), cancel }
    }

    /// Negotiates features. To be called once, first.
    ///
    /// # Errors
    /// The connection failed, or the other side hands out no target description.
    pub async fn handshake(&mut self) -> Result<(), RspError> {
        let request = "qSupported:multiprocess+;vContSupported+;qXfer:features:read+";
        let reply = self.first_request(request).await?;
        let features: BTreeSet<&[u8]> = reply.split(|&byte| byte == b';').collect();
        if !features.contains(&b"qXfer:features:read+"[..]) {
            return Err(refused(request, &reply));
        }
        Ok(())
    }

    /// Sends one request and gives its reply.
    ///
    /// # Errors
    /// The connection failed or the reply did not come in time.
    pub async fn request(&mut self, request: &str) -> Result<Vec<u8>, RspError> {
        self.framed.send(Outgoing::Packet(request.as_bytes())).await?;
        self.reply(request).await
    }

    /// Sends a request that is to be answered with `OK`.
    ///
    /// # Errors
    /// As [`Self::request`], or it was answered otherwise.
    pub async fn command(&mut self, request: &str) -> Result<(), RspError> {
        let reply = self.request(request).await?;
        if reply == b"OK" { Ok(()) } else { Err(refused(request, &reply)) }
    }

    /// Sends `requests` in as few writes as the other side's buffer allows, and gives their replies in order.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn pipeline(&mut self, requests: &[String]) -> Result<Vec<Vec<u8>>, RspError> {
        let mut replies = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take_while(|request| {
                bytes += request.len() + 4;
                bytes <= WINDOW
            });
            let (now, later) = rest.split_at(count.count().max(1));
            for request in now {
                self.framed.feed(Outgoing::Packet(request.as_bytes())).await?;
            }
            self.framed.flush().await?;
            for request in now {
                replies.push(self.reply(request).await?);
            }
            rest = later;
        }
        Ok(replies)
    }

    /// Reads registers of the current thread, in one go.
    ///
    /// # Errors
    /// As [`Self::request`], or a register could not be read.
    pub async fn read_registers(&mut self, registers: &[Register]) -> Result<Vec<u64>, RspError> {
        let requests: Vec<String> =
            registers.iter().map(|register| format!("p{:x}", register.number)).collect();
        let replies = self.pipeline(&requests).await?;
        let sizes = registers.iter().map(Register::bytes);
        let replies = requests.iter().zip(replies).zip(sizes);
        replies.map(|((request, reply), bytes)| number(request, &reply, bytes)).collect()
    }

    /// Reads `len` bytes of memory (physical or virtual, as `Qqemu.PhyMemMode` says), at most 2048.
    ///
    /// # Errors
    /// As [`Self::request`], or the memory could not be read.
    pub async fn read_memory(&mut self, address: u64, len: usize) -> Result<Vec<u8>, RspError> {
        let request = format!("m{address:x},{len:x}");
        let reply = self.request(&request).await?;
        hex::decode(&reply).filter(|bytes| bytes.len() == len).ok_or_else(|| refused(&request, &reply))
    }

    /// Sends `before` (each to be answered `OK`) and a resuming `action` (`vCont;...`) in one write, then waits for
    /// the machine to stop, `limit` at most.
    ///
    /// # Errors
    /// [`RspError::Timeout`] with the action when the machine did not stop; it still runs then. Else as
    /// [`Self::command`].
    pub async fn resume(
        &mut self,
        before: &[String],
        action: &str,
        limit: Duration,
    ) -> Result<StopReply, RspError> {
        for request in before {
            self.framed.feed(Outgoing::Packet(request.as_bytes())).await?;
        }
        self.framed.feed(Outgoing::Packet(action.as_bytes())).await?;
        self.framed.flush().await?;
        for request in before {
            let reply = self.reply(request).await?;
            if reply != b"OK" {
                return Err(refused(request, &reply));
            }
        }
        let reply = self.reply_until(action, Instant::now() + limit).await?;
        StopReply::parse(&reply).ok_or_else(|| refused(action, &reply))
    }

    /// Sends a resuming `action` (`vCont;...`) and does not wait; [`Self::stopped`] does.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn start(&mut self, action: &str) -> Result<(), RspError> {
        Ok(self.framed.send(Outgoing::Packet(action.as_bytes())).await?)
    }

    /// Waits for a machine that was started to stop, `limit` at most, and gives its stop reply.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn stopped(&mut self, limit: Duration) -> Result<Option<Vec<u8>>, RspError> {
        match self.reply_until("a stop", Instant::now() + limit).await {
            Err(RspError::Timeout(_)) => Ok(None),
            reply => reply.map(Some),
        }
    }

    /// Stops a running machine and gives its stop reply.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn halt(&mut self) -> Result<Vec<u8>, RspError> {
        self.framed.send(Outgoing::Interrupt).await?;
        self.reply("interrupt").await
    }

    /// Stops a running machine.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn interrupt(&mut self) -> Result<StopReply, RspError> {
        let reply = self.halt().await?;
        StopReply::parse(&reply).ok_or_else(|| refused("interrupt", &reply))
    }

    /// Ids of all threads (CPUs), in order.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn threads(&mut self) -> Result<Vec<String>, RspError> {
        let mut ids = Vec::new();
        let mut request = "qfThreadInfo";
        loop {
            let reply = self.request(request).await?;
            match reply.split_first() {
                Some((b'm', list)) => {
                    ids.extend(String::from_utf8_lossy(list).split(',').map(str::to_owned));
                    if ids.len() > MOST_THREADS {
                        let reply = format!("more than {MOST_THREADS} threads");
                        return Err(RspError::Refused { request: request.to_owned(), reply });
                    }
                    request = "qsThreadInfo";
                }
                Some((b'l', _)) => return Ok(ids),
                _ => return Err(refused(request, &reply)),
            }
        }
    }

    /// Takes leave: sends `before`, and then `last`, each to be answered `OK`, and waits `limit` at most until the answers to `last` are
    /// there. What came before and was not read, or was no packet, is passed over. Nothing may be sent afterwards: a byte stops a
    /// machine that runs.
    pub(crate) async fn part(&mut self, before: &[String], last: &[String], limit: Duration) -> Parting {
        let mut bytes = self.framed.write_buffer().clone();
        let unknown = MARK.to_owned();
        for request in before.iter().chain([&unknown]).chain(last) {
            super::packet::encode(request.as_bytes(), &mut bytes);
        }
        let stream = self.framed.get_mut();
        let talk = async {
            stream.write_all(&bytes).await?;
            let mut heard = Vec::new();
            while !parted(&heard, last.len()) {
                if stream.read_buf(&mut heard).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            io::Result::Ok(())
        };
        match timeout(limit, talk).await {
            Ok(Ok(())) => Parting::Heard,
            Ok(Err(_)) => Parting::Ended,
            Err(_) => Parting::Silence,
        }
    }

    pub(super) async fn reply(&mut self, request: &str) -> Result<Vec<u8>, RspError> {
        self.reply_until(request, Instant::now() + REPLY_TIMEOUT).await
    }

    async fn reply_until(&mut self, request: &str, deadline: Instant) -> Result<Vec<u8>, RspError> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(RspError::Cancelled),
                frame = timeout_at(deadline, self.framed.next()) => frame,
            };
            match frame {
                Err(_) => return Err(RspError::Timeout(request.to_owned())),
                Ok(None) => return Err(RspError::Closed),
                Ok(Some(Err(error))) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(RspError::Closed);
                }
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(Some(Ok(Frame::Packet(data)))) => return Ok(data),
                Ok(Some(Ok(Frame::Ack))) => {}
                Ok(Some(Ok(Frame::Nack))) => return Err(refused(request, b"-")),
            }
        }
    }
}

/// The number of `size` bytes that `reply` to `request` holds.
pub(crate) fn number(request: &str, reply: &[u8], size: usize) -> Result<u64, RspError> {
    let bytes = hex::decode(reply).filter(|bytes| bytes.len() == size);
    bytes.and_then(|bytes| hex::little_endian(&bytes)).ok_or_else(|| refused(request, reply))
}

pub(crate) fn refused(request: &str, reply: &[u8]) -> RspError {
    RspError::Refused { request: request.to_owned(), reply: String::from_utf8_lossy(reply).into_owned() }
}
