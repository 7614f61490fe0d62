//! Where clients come from.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Wire;
use anyhow::Result;

use parallax_engine::status::{Failure, Status};

/// How long between two looks for a client.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a client waits for another to go.
const TURN: Duration = Duration::from_secs(1);

/// A socket that clients connect to. A unix socket's name goes away with it.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Where clients come from, one after the other.
pub struct Listener {
    socket: Socket,
    /// One that came while another is served, and when; the other may be about to go.
    waiting: RefCell<Option<(Wire, Instant)>>,
}

impl Socket {
    /// Listens at `socket`, or at `port` of this machine alone; port 0 is any that is free.
    fn open(port: u16, socket: Option<&Path>) -> Result<Self> {
        let failed = |at: String, remedy: &str, error: io::Error| Failure {
            status: Status::Usage,
            message: format!("cannot listen at {at}: {error}\n{remedy}"),
        };
        if let Some(path) = socket {
            let listener = bind(path).map_err(|error| {
                failed(
                    path.display().to_string(),
                    "name a file that does not exist yet, in a folder of yours",
                    error,
                )
            })?;
            listener.set_nonblocking(true)?;
            return Ok(Self::Unix(listener, path.to_owned()));
        }
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            failed(format!("port {port}"), "another server may be there; `--port 0` takes a free port", error)
        })?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    fn accept(&self) -> io::Result<Wire> {
        match self {
            Self::Tcp(listener) => listener.accept().and_then(|(stream, _)| Wire::tcp(stream)),
            Self::Unix(listener, _) => listener.accept().and_then(|(stream, _)| Wire::unix(stream)),
        }
    }
}

impl Listener {
    /// Listens at `socket`, or at `port` of this machine alone; port 0 is any that is free.
    pub fn open(port: u16, socket: Option<&Path>) -> Result<Self> {
        Ok(Self { socket: Socket::open(port, socket)?, waiting: RefCell::new(None) })
    }

    /// What `target remote` is to be given.
    pub fn address(&self) -> Result<String> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => listener.local_addr()?.to_string(),
            Socket::Unix(_, path) => std::path::absolute(path)?.display().to_string(),
        })
    }

    /// What it is called among the servers of a user.
    pub fn name(&self) -> Result<String> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => listener.local_addr()?.port().to_string(),
            Socket::Unix(..) => format!("socket-{}", std::process::id()),
        })
    }

    /// Closes the connection of a client that has been waiting for a while for another to go; false if there is none.
    pub fn turn_away(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        match &*waiting {
            Some((_, since)) if since.elapsed() < TURN => false,
            Some(_) => waiting.take().is_some(),
            None => {
                *waiting = self.socket.accept().ok().map(|wire| (wire, Instant::now()));
                false
            }
        }
    }

    /// The next client; none when `cancelled` says so first.
    pub fn next(&self, cancelled: &dyn Fn() -> bool) -> Result<Option<Wire>> {
        if let Some((wire, _)) = self.waiting.take() {
            return Ok(Some(wire));
        }
        while !cancelled() {
            match self.socket.accept() {
                Ok(wire) => return Ok(Some(wire)),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Binds to the unix socket at `path`; the socket of a server that was killed is taken away first.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Only of a socket without a listener a connection is refused; a file that is none is another error.
            match UnixStream::connect(path) {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                    if fs::symlink_metadata(path)?.file_type().is_socket() {
                        fs::remove_file(path)?;
                        return UnixListener::bind(path);
                    }
                    Err(error)
                }
                _ => Err(error),
            }
        }
        bound => bound,
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It is gone already, or somebody else's business.
            let _ = fs::remove_file(path);
        }
    }
}
