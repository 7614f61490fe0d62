//! A proxy in front of a gdbstub, which breaks what its first client hears. Clients after that hear all.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// The data of a whole part of a page, in digits: 2048 bytes.
const PART: usize = 4096;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// It does not come, and the connection ends.
    Close,
    /// It does not come, nor does anything after it; what is asked still arrives.
    Stall,
    /// It has half its data.
    Short,
    /// It has no data.
    Empty,
    /// It has a wrong checksum.
    Checksum,
    /// Something that is no packet comes before it.
    Junk,
    /// It comes as it is, and so do all others, to later clients too, each of them so much later.
    Late(Duration),
}

/// The proxy.
pub(crate) struct Proxy {
    _folder: TempDir,
    path: PathBuf,
    /// Answers to the first client so far, and those among them that are parts of pages.
    counts: Arc<[AtomicUsize; 2]>,
}

impl Proxy {
    /// In front of the socket `stub`: the answer `number` (from 0) to the first client is broken, or of those that are `memory` the one
    /// with this number.
    pub(crate) fn start(stub: &Path, how: Break, number: usize, memory: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gdb");
        let (listener, stub) = (UnixListener::bind(&path).unwrap(), stub.to_owned());
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            let mut first = true;
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&stub).unwrap());
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let requests = std::thread::spawn(move || {
                    let _whatever = (std::io::copy(&mut from, &mut to), to.shutdown(Shutdown::Write));
                });
                let breaks =
                    (first || matches!(how, Break::Late(_))).then_some((how, number, usize::from(memory)));
                answers(server, client, breaks, &counted);
                let _whatever = requests.join();
                first = false;
            }
        });
        Self { _folder: folder, path, counts }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// How many answers the first client got, and how many of them were parts of pages.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.counts[0].load(Ordering::SeqCst), self.counts[1].load(Ordering::SeqCst))
    }
}

/// Hands on what the stub says, until one of both is gone.
fn answers(
    mut server: UnixStream,
    mut client: UnixStream,
    breaks: Option<(Break, usize, usize)>,
    counts: &[AtomicUsize; 2],
) {
    let (mut rest, mut buffer, mut silent) = (Vec::new(), vec![0; 1 << 16], false);
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        rest.extend_from_slice(&buffer[..count]);
        while let Some(end) = rest.iter().position(|byte| *byte == b'#').filter(|end| rest.len() >= end + 3) {
            let frame: Vec<u8> = rest.drain(..end + 3).collect();
            let data = frame.iter().position(|byte| *byte == b'$').unwrap() + 1..end;
            let part = data.len() == PART;
            let mut out = frame.clone();
            if let Some((Break::Late(late), ..)) = breaks {
                std::thread::sleep(late);
            }
            if let Some((how, number, which)) = breaks {
                let now = [counts[0].fetch_add(1, Ordering::SeqCst), counts[1].load(Ordering::SeqCst)];
                if part {
                    counts[1].fetch_add(1, Ordering::SeqCst);
                }
                if (which == 0 || part) && now[which] == number {
                    match how {
                        Break::Close => {
                            let _whatever =
                                (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
                            return;
                        }
                        Break::Stall => silent = true,
                        Break::Short => out = packet(&frame[data.start..data.start + data.len() / 2]),
                        Break::Empty => out = packet(b""),
                        Break::Checksum => *out.last_mut().unwrap() ^= 1,
                        Break::Late(_) => {}
                        Break::Junk => out.splice(0..0, *b"junk").for_each(drop),
                    }
                }
            }
            if !silent && client.write_all(&out).is_err() {
                return;
            }
        }
    }
    let _whatever = client.shutdown(Shutdown::Both);
}

fn packet(data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    [b"$", data, format!("#{sum:02x}").as_bytes()].concat()
}
