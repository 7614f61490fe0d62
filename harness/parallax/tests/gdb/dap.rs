//! An editor's side of the Debug Adapter Protocol: what VS Code or nvim-dap say to gdb.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use parallax_machine::gdb;
use serde_json::{Value, json};

use super::server::{LIMIT, Server, root};

/// What an editor starts gdb with, before the name of the file that the server prints.
pub(crate) const ARGUMENTS: [&str; 5] = ["-nx", "-q", "-i", "dap", "-x"];

/// A gdb that speaks the protocol: gdb 14 and newer.
fn program() -> PathBuf {
    let fetched = gdb::fetched(&root());
    if fetched.exists() {
        return fetched;
    }
    let program = gdb::program(&root()).expect("gdb-multiarch; run ci/setup");
    let version = Command::new(&program).arg("--version").output().expect("gdb-multiarch");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let number = version
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next()?.split('.').next()?.parse::<u32>().ok());
    assert!(
        number.is_some_and(|number| number >= 14),
        "no gdb here speaks the protocol; run `ci/fetch-debian gdb`"
    );
    program
}

/// gdb behind an editor; it ends with this.
pub(crate) struct Editor {
    gdb: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    /// Events that were not asked for yet.
    events: VecDeque<Value>,
    sent: u64,
    /// What gdb says that it can do.
    pub(crate) capabilities: Value,
}

impl Editor {
    /// gdb with the arguments that `server` prints for an editor, connected to it: `configure` sets breakpoints in between.
    pub(crate) fn attach(server: &Server, configure: impl FnOnce(&mut Self)) -> Self {
        let mut gdb = Command::new(program())
            .args(ARGUMENTS)
            .arg(&server.alone)
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("gdb");
        let (sender, messages) = mpsc::channel();
        let mut stdout = BufReader::new(gdb.stdout.take().unwrap());
        thread::spawn(move || {
            while let Some(message) = message(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let stdin = gdb.stdin.take().unwrap();
        let events = VecDeque::new();
        let mut editor = Self { gdb, stdin, messages, events, sent: 0, capabilities: Value::Null };
        let arguments = json!({"clientID": "test", "adapterID": "gdb"});
        editor.capabilities = editor.ask("initialize", arguments);
        let attach = editor.send("attach", json!({"target": server.address}));
        editor.event("initialized");
        configure(&mut editor);
        editor.ask("configurationDone", json!({}));
        editor.event("stopped");
        editor.response(attach).expect("attach");
        editor
    }

    fn send(&mut self, command: &str, arguments: Value) -> u64 {
        self.sent += 1;
        let request =
            json!({"seq": self.sent, "type": "request", "command": command, "arguments": arguments});
        let text = request.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.stdin.flush().unwrap();
        self.sent
    }

    fn next(&mut self, wanted: &str) -> Value {
        self.messages.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("no {wanted}: {error}"))
    }

    fn response(&mut self, request: u64) -> Result<Value, String> {
        loop {
            let message = self.next("response");
            if message["type"] == "event" {
                self.events.push_back(message);
            } else if message["request_seq"] == request {
                return match message["success"] == true {
                    true => Ok(message["body"].clone()),
                    false => Err(message["message"].as_str().unwrap_or_default().to_owned()),
                };
            }
        }
    }

    /// The next event with this name; what came before it is forgotten.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let message = self.events.pop_front().unwrap_or_else(|| self.next(name));
            if message["event"] == name {
                return message["body"].clone();
            }
        }
    }

    /// What is answered, or why nothing is.
    pub(crate) fn try_ask(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let request = self.send(command, arguments);
        self.response(request)
    }

    /// What is answered to a request that is carried out.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str, arguments: Value) -> Value {
        self.try_ask(command, arguments.clone())
            .unwrap_or_else(|error| panic!("{command} {arguments}: {error}"))
    }

    /// What the console says to `text`.
    pub(crate) fn console(&mut self, text: &str) -> Result<String, String> {
        let body = self.try_ask("evaluate", json!({"expression": text, "context": "repl"}))?;
        Ok(body["result"].as_str().unwrap_or_default().to_owned())
    }

    /// Presses the button `command`, and gives why and in which thread it stopped then.
    #[track_caller]
    pub(crate) fn press(&mut self, command: &str, thread: u64) -> (String, u64) {
        self.events.clear();
        self.ask(command, json!({"threadId": thread}));
        self.stopped()
    }

    /// The next stop: why, and in which thread.
    pub(crate) fn stopped(&mut self) -> (String, u64) {
        let body = self.event("stopped");
        (
            body["reason"].as_str().unwrap_or_default().to_owned(),
            body["threadId"].as_u64().unwrap_or_default(),
        )
    }

    /// The frames of `thread`.
    pub(crate) fn frames(&mut self, thread: u64) -> Vec<Value> {
        let body = self.ask("stackTrace", json!({"threadId": thread}));
        body["stackFrames"].as_array().cloned().unwrap_or_default()
    }

    /// The line that is shown of `thread`, with its file's name.
    pub(crate) fn line(&mut self, thread: u64) -> String {
        let frame = self.frames(thread).first().cloned().unwrap_or_default();
        format!("{}:{}", frame["source"]["name"].as_str().unwrap_or("?"), frame["line"])
    }

    /// The registers that are shown of `thread`, each with its value.
    pub(crate) fn registers(&mut self, thread: u64) -> Vec<(String, String)> {
        let frame = self.frames(thread)[0]["id"].clone();
        let scopes = self.ask("scopes", json!({"frameId": frame}))["scopes"].clone();
        let registers = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "Registers");
        let reference = registers.expect("registers")["variablesReference"].clone();
        let variables = self.ask("variables", json!({"variablesReference": reference}))["variables"].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        variables.as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
    }

    /// Sets the breakpoints of `file`, which must all be real ones.
    #[track_caller]
    pub(crate) fn breakpoints(&mut self, file: &std::path::Path, lines: &[usize]) {
        let wanted: Vec<Value> = lines.iter().map(|line| json!({"line": line})).collect();
        let body = self.ask("setBreakpoints", json!({"source": {"path": file}, "breakpoints": wanted}));
        let set = body["breakpoints"].as_array().unwrap();
        assert!(set.len() == lines.len() && set.iter().all(|one| one["verified"] == true), "{body}");
    }

    /// Lets go; gdb ends by itself.
    pub(crate) fn disconnect(mut self) {
        self.ask("disconnect", json!({}));
        let status = self.gdb.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.gdb.kill();
        let _ = self.gdb.wait();
    }
}

/// The next message; none at the end.
fn message(stream: &mut impl BufRead) -> Option<Value> {
    let mut len = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => {
                let (name, value) = header.split_once(':')?;
                if name.eq_ignore_ascii_case("content-length") {
                    len = value.trim().parse().ok();
                }
            }
        }
    }
    let mut body = vec![0; len?];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
