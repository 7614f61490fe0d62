//! Where clients come from.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use parallax_gdb::Wire;

use crate::status::{Failure, Status};

/// How long between two looks for a client.
const PAUSE: Duration = Duration::from_millis(20);

/// A socket that clients connect to. A unix socket's name goes away with it.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens at `socket`, or at `port` of this machine alone; port 0 is any that is free.
    pub(super) fn open(port: u16, socket: Option<&Path>) -> Result<Self> {
        let failed = |at: String, remedy: &str, error: io::Error| Failure {
            status: Status::Usage,
            message: format!("cannot listen at {at}: {error}\n{remedy}"),
        };
        if let Some(path) = socket {
            let listener = UnixListener::bind(path).map_err(|error| {
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

    /// What `target remote` is to be given.
    pub(super) fn address(&self) -> Result<String> {
        Ok(match self {
            Self::Tcp(listener) => listener.local_addr()?.to_string(),
            Self::Unix(_, path) => std::path::absolute(path)?.display().to_string(),
        })
    }

    /// The next client; none when `cancelled` says so first.
    pub(super) fn next(&self, cancelled: &dyn Fn() -> bool) -> Result<Option<Wire>> {
        while !cancelled() {
            let wire = match self {
                Self::Tcp(listener) => listener.accept().and_then(|(stream, _)| Wire::tcp(stream)),
                Self::Unix(listener, _) => listener.accept().and_then(|(stream, _)| Wire::unix(stream)),
            };
            match wire {
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

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It is gone already, or somebody else's business.
            let _ = std::fs::remove_file(path);
        }
    }
}
