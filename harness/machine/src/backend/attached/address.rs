//! Where a gdbstub listens, and how it is connected to.

use std::fmt;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::error::MachineError;
use crate::rsp::Client;

/// How QEMU comes to listen.
const REMEDY: &str =
    "QEMU listens when it is started with -gdb unix:PATH,server,nowait, or with -s at localhost:1234";
/// Why one that is there does not answer.
pub(super) const BUSY: &str =
    "a gdbstub serves one client at a time: is a debugger, or another look, connected? End that one first";

/// Where a gdbstub listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GdbAddress {
    /// At a unix socket.
    Socket(PathBuf),
    /// At a port: host, colon, number.
    Tcp(String),
}

impl FromStr for GdbAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("tcp:").or_else(|| text.strip_prefix("tcp::")).unwrap_or(text);
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match text.rsplit_once(':') {
            Some((host, port)) if digits(port) && !host.contains('/') => {
                if !port.parse::<u16>().is_ok_and(|port| port != 0) {
                    return Err(format!("`{port}` is no port: those are 1 to 65535, 1234 for QEMU's -s"));
                }
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                Ok(Self::Tcp(format!("{host}:{port}")))
            }
            _ if text.is_empty() => Err("a socket, or HOST:PORT".to_owned()),
            _ => Ok(Self::Socket(text.into())),
        }
    }
}

impl fmt::Display for GdbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(host) => f.write_str(host),
        }
    }
}

impl GdbAddress {
    /// Whether a gdbstub can be there, as far as that can be known without a connection.
    ///
    /// # Errors
    /// There is no such socket. It says why, and what to do.
    pub fn check(&self) -> Result<(), String> {
        let Self::Socket(path) = self else { return Ok(()) };
        match std::fs::metadata(path) {
            Ok(file) if !file.file_type().is_socket() => Err(format!("no socket; {REMEDY}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.to_string_lossy();
                let host = !name.contains(['/', ':']);
                let port = if host { format!(" (a host has its port: {name}:1234)") } else { String::new() };
                Err(format!("no such socket{port}; {REMEDY}"))
            }
            // Connecting says what is wrong with it.
            _ => Ok(()),
        }
    }

    /// Connects, within `limit`.
    pub(super) async fn connect(
        &self,
        cancel: &CancellationToken,
        limit: Duration,
    ) -> Result<Client, MachineError> {
        let stream = async {
            match self {
                Self::Socket(path) => connect_unix(path, limit).await.map(Either::Left),
                Self::Tcp(host) => match timeout(limit, TcpStream::connect(host)).await {
                    Ok(stream) => stream.map(Either::Right),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                },
            }
        };
        let stream = tokio::select! {
            () = cancel.cancelled() => return Err(MachineError::Cancelled),
            stream = stream => stream,
        };
        let stream = stream.map_err(|error| {
            MachineError::Contract(match error.kind() {
                io::ErrorKind::WouldBlock => format!("it takes no connection: {BUSY}"),
                io::ErrorKind::TimedOut => format!("no connection within {limit:?}; {REMEDY}"),
                _ => format!("nobody listens there: {error}; {REMEDY}"),
            })
        })?;
        Ok(Client::over(stream, cancel.clone()))
    }
}

/// Connects to a unix socket, which has no room for a client while others wait for the one before them.
async fn connect_unix(path: &std::path::Path, limit: Duration) -> io::Result<UnixStream> {
    let end = Instant::now() + limit;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                sleep(Duration::from_millis(20)).await;
            }
            stream => return stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_a_socket() {
        let tcp = |text: &str| Ok(GdbAddress::Tcp(text.to_owned()));
        assert_eq!("localhost:1234".parse(), tcp("localhost:1234"));
        assert_eq!(":1234".parse(), tcp("127.0.0.1:1234"));
        assert_eq!("tcp::1234".parse(), tcp("127.0.0.1:1234"));
        assert_eq!("/tmp/a:1".parse::<GdbAddress>(), Ok(GdbAddress::Socket("/tmp/a:1".into())));
        assert_eq!("gdb.sock".parse::<GdbAddress>(), Ok(GdbAddress::Socket("gdb.sock".into())));
        assert!("".parse::<GdbAddress>().is_err());
        for bad in ["localhost:99999", ":0", "localhost:65536"] {
            assert!(bad.parse::<GdbAddress>().is_err_and(|why| why.contains("1 to 65535")), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_a_gdbstub_is_known_without_a_connection() {
        let said = |text: &str| text.parse::<GdbAddress>().unwrap().check().unwrap_err();
        assert!(said("localhost").contains("localhost:1234"));
        for text in ["/nonexistent", "localhost", "/etc/passwd", "/tmp"] {
            assert!(said(text).contains("-gdb unix:PATH,server,nowait"), "{text}");
        }
        assert_eq!(GdbAddress::Tcp("localhost:1".to_owned()).check(), Ok(()));
    }
}
