//! A minimal QMP client: enough to see that QEMU is alive and to end it politely.
//!
//! QMP is one JSON object a line (QEMU manual, "QEMU Machine Protocol Specification"). Events are skipped.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A line has at most so many bytes: the map of a machine's memory is the longest.
const MOST: u64 = 16 << 20;

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket at `path` and leaves negotiation mode.
    ///
    /// # Errors
    /// The socket is not there or does not speak QMP.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        let mut qmp = Self { stream: BufReader::new(UnixStream::connect(path).await?) };
        if qmp.line().await?.get("QMP").is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no QMP greeting"));
        }
        qmp.execute("qmp_capabilities").await?;
        Ok(qmp)
    }

    /// Executes `command`, which has no arguments, and gives what it returns.
    ///
    /// # Errors
    /// The connection failed, or QEMU refused the command.
    pub async fn execute(&mut self, command: &str) -> io::Result<Value> {
        self.execute_with(command, json!({})).await
    }

    /// Executes `command` with `arguments`, and gives what it returns.
    ///
    /// # Errors
    /// As [`Self::execute`]; a refusal is of the kind [`io::ErrorKind::Other`].
    pub async fn execute_with(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        loop {
            let mut line = self.line().await?;
            if let Some(value) = line.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = line.get("error") {
                let text = error.get("desc").and_then(Value::as_str).unwrap_or("no description");
                return Err(io::Error::other(format!("QMP {command}: {text}")));
            }
        }
    }

    async fn line(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        let mut limited = (&mut self.stream).take(MOST);
        let read = timeout(TIMEOUT, limited.read_line(&mut line)).await;
        if line.len() as u64 == MOST && !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of QMP without end"));
        }
        if read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "QMP is silent"))?? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "QMP closed the connection"));
        }
        serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Runs `test` against a server that answers the n-th line with the n-th of `answers`.
    fn with_server(answers: &'static [&'static str], test: impl AsyncFnOnce(&Path)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let server = async {
                let mut stream = BufReader::new(listener.accept().await.unwrap().0);
                for answer in answers {
                    stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                    stream.read_line(&mut String::new()).await.unwrap();
                }
            };
            tokio::join!(server, test(&path));
        });
    }

    #[test]
    fn events_between_replies_are_skipped() {
        let answers = &[
            "{\"QMP\": {}}\n",
            "{\"return\": {}}\n",
            "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"paused\"}}\n",
        ];
        with_server(answers, async |path| {
            let mut qmp = Qmp::connect(path).await.unwrap();
            assert_eq!(qmp.execute("query-status").await.unwrap()["status"], "paused");
        });
    }

    #[test]
    fn a_refusal_says_why() {
        let answers =
            &["{\"QMP\": {}}\n", "{\"return\": {}}\n", "{\"error\": {\"desc\": \"no such command\"}}\n"];
        with_server(answers, async |path| {
            let error = Qmp::connect(path).await.unwrap().execute("nonsense").await.unwrap_err();
            assert_eq!(error.to_string(), "QMP nonsense: no such command");
        });
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let server = async {
                let mut stream = listener.accept().await.unwrap().0;
                // It goes away in the middle.
                while stream.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
            };
            let (_, said) = tokio::join!(server, async { Qmp::connect(&path).await.map(drop) });
            assert!(said.unwrap_err().to_string().contains("without end"));
        });
    }

    #[test]
    fn what_does_not_greet_is_no_qmp() {
        with_server(&["{\"hello\": 1}\n"], async |path| {
            assert_eq!(Qmp::connect(path).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        });
    }
}
