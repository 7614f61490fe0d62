//! What QEMU's monitor knows of a machine that somebody else started, and its gdbstub does not: its version, whether it runs, its CPUs,
//! where its memory and its SMMU are. Nothing is changed: the monitor is asked, and left.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_addr::{PhysAddr, Span};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::beside::RamFile;
use crate::error::MachineError;
use crate::qmp::Qmp;

/// What QEMU calls the registers of an SMMUv3 in its map of memory.
const SMMU: &str = "arm-smmuv3";
/// The address space of the CPUs there.
const CPUS: &str = " AS \"cpu-memory-0\"";
/// All of it takes so long at most.
const LIMIT: Duration = Duration::from_secs(30);
/// More pieces of RAM are not asked for.
const MOST_PIECES: usize = 16;

/// What the monitor said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    /// QEMU's version.
    pub version: String,
    /// `running`, `paused`, or another of QEMU's words.
    pub status: String,
    /// Whether the CPUs run.
    pub running: bool,
    /// How many CPUs there are.
    pub cpus: usize,
    /// RAM, by address.
    pub ram: Vec<Piece>,
    /// Where the SMMU's registers are, if there is one.
    pub smmu: Option<PhysAddr>,
}

/// A piece of RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub span: Span<PhysAddr>,
    /// What QEMU calls it.
    pub name: String,
    /// The file that others may read it from (share=on), if there is one.
    pub file: Option<PathBuf>,
}

impl Monitor {
    /// Asks the monitor whose socket is at `path`.
    ///
    /// # Errors
    /// Nobody listens there, what does speaks no QMP or does not come to an end, the machine quits meanwhile, or the user cancelled.
    pub fn ask(path: &Path, cancel: &CancellationToken) -> Result<Self, MachineError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asked = runtime.and_then(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    asked = timeout(LIMIT, ask(path)) => asked.unwrap_or_else(|_| {
                        Err(io::Error::new(io::ErrorKind::TimedOut, "QMP does not come to an end"))
                    }),
                    () = cancel.cancelled() => Err(io::ErrorKind::Interrupted.into()),
                }
            })
        });
        asked.map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => MachineError::Cancelled,
            _ => MachineError::Contract(why(&error)),
        })
    }

    /// The file that has the lowest RAM, where others may read it.
    #[must_use]
    pub fn ram_file(&self) -> Option<RamFile> {
        let piece = self.ram.first()?;
        Some(RamFile { path: piece.file.clone()?, base: piece.span.base })
    }
}

async fn ask(path: &Path) -> io::Result<Monitor> {
    let mut qmp = Qmp::connect(path).await?;
    let version = qmp.execute("query-version").await?;
    let status = qmp.execute("query-status").await?;
    let cpus = qmp.execute("query-cpus-fast").await?;
    let flat = json!({ "command-line": "info mtree -f" });
    let flat = qmp.execute_with("human-monitor-command", flat).await?;
    let (mut ram, smmu) = map(flat.as_str().unwrap_or_default());
    for piece in &mut ram {
        piece.file = file(&mut qmp, &piece.name).await?;
    }
    let part = |name: &str| version["qemu"][name].as_u64().unwrap_or_default();
    Ok(Monitor {
        version: format!("{}.{}.{}", part("major"), part("minor"), part("micro")),
        status: status["status"].as_str().unwrap_or("in no state that it names").to_owned(),
        running: status["running"].as_bool().unwrap_or_default(),
        cpus: cpus.as_array().map_or(0, Vec::len),
        ram,
        smmu,
    })
}

/// The file behind the memory backend `name`, where it is shared. What is no such backend has none.
async fn file(qmp: &mut Qmp, name: &str) -> io::Result<Option<PathBuf>> {
    let property = |property: &str| json!({ "path": format!("/objects/{name}"), "property": property });
    let mut values = [Value::Null, Value::Null];
    for (value, name) in values.iter_mut().zip(["mem-path", "share"]) {
        match qmp.execute_with("qom-get", property(name)).await {
            Ok(got) => *value = got,
            Err(error) if error.kind() == io::ErrorKind::Other => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let shared = values[1].as_bool().unwrap_or_default();
    Ok(values[0].as_str().filter(|path| shared && !path.is_empty()).map(PathBuf::from))
}

/// RAM and the SMMU in `text`, what `info mtree -f` prints.
fn map(text: &str) -> (Vec<Piece>, Option<PhysAddr>) {
    let views = text.split("FlatView #");
    let view = views.into_iter().find(|view| view.lines().any(|line| line.starts_with(CPUS)));
    let (mut ram, mut smmu) = (Vec::new(), None);
    for (span, kind, name) in view.into_iter().flat_map(str::lines).filter_map(line) {
        match kind {
            "ram" if ram.len() < MOST_PIECES => {
                ram.push(Piece { span, name: name.to_owned(), file: None });
            }
            "i/o" if name == SMMU && smmu.is_none() => smmu = Some(span.base),
            _ => {}
        }
    }
    ram.sort_by_key(|piece| piece.span.base);
    (ram, smmu)
}

/// `FIRST-LAST (prio N, KIND): NAME`; a part of a region has its offset behind the name.
fn line(line: &str) -> Option<(Span<PhysAddr>, &str, &str)> {
    let (range, rest) = line.trim().split_once(" (prio ")?;
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (first, end) = (number(first)?, number(last)?.checked_add(1)?);
    let (kind, name) = rest.split_once(", ")?.1.split_once("): ")?;
    let name = name.split_once(" @").map_or(name, |(name, _)| name);
    (first < end).then(|| (Span::between(PhysAddr::new(first), PhysAddr::new(end)), kind, name))
}

/// What to say, and to do.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            format!("{error}: it is no QMP; QEMU has that with -qmp unix:PATH,server=on,wait=off")
        }
        io::ErrorKind::TimedOut => {
            format!("{error}: a monitor has one client at a time: is there another?")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("{error}: the machine has quit, or it has ended this connection")
        }
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("nobody listens there: {error}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    const FLAT: &str = "FlatView #0\n AS \"I/O\", root: io\n  0000000000000000-000000000000ffff (prio 0, ram): other\n\n\
        FlatView #1\n AS \"memory\", root: system\n AS \"cpu-memory-0\", root: system\n Root memory region: system\n  \
        0000000009050000-000000000906ffff (prio 0, i/o): arm-smmuv3\n  \
        0000000009000000-0000000009000fff (prio 0, i/o): pl011\n  \
        0000000080000000-00000000bfffffff (prio 0, ram): ram0 @0000000040000000\n  \
        0000000040000000-000000007fffffff (prio 0, ram): ram0\n  x-y (prio 0, ram): z\n";

    /// A monitor that answers the n-th request with the n-th of `answers`, and then quits.
    fn monitor(greeting: &'static str, answers: Vec<String>) -> Result<Monitor, MachineError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            stream.get_mut().write_all(greeting.as_bytes()).unwrap();
            for answer in answers {
                stream.read_line(&mut String::new()).unwrap();
                stream.get_mut().write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
        });
        let asked = Monitor::ask(&path, &CancellationToken::new());
        server.join().unwrap();
        asked
    }

    fn answers() -> Vec<String> {
        let flat = json!({ "return": FLAT }).to_string();
        let file = ["{\"return\": \"/tmp/ram\"}", "{\"return\": true}"];
        let none = ["{\"error\": {\"desc\": \"no such object\"}}"];
        let first = [
            "{\"return\": {}}",
            "{\"return\": {\"qemu\": {\"major\": 10, \"minor\": 0, \"micro\": 2}}}",
            "{\"return\": {\"status\": \"paused\", \"running\": false}}",
            "{\"return\": [{}, {}]}",
            &flat,
        ];
        first.iter().chain(&file).chain(&none).map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn it_is_asked_for_what_a_gdbstub_does_not_know() {
        let monitor = monitor("{\"QMP\": {}}\n", answers()).unwrap();
        assert_eq!(
            (monitor.version.as_str(), monitor.status.as_str(), monitor.running),
            ("10.0.2", "paused", false)
        );
        assert_eq!((monitor.cpus, monitor.smmu), (2, Some(PhysAddr::new(0x905_0000))));
        let bases: Vec<u64> = monitor.ram.iter().map(|piece| piece.span.base.get()).collect();
        assert_eq!(bases, [0x4000_0000, 0x8000_0000]);
        let file = RamFile { path: "/tmp/ram".into(), base: PhysAddr::new(0x4000_0000) };
        assert_eq!(monitor.ram_file(), Some(file));
        assert_eq!(monitor.ram[1].file, None);
    }

    #[test]
    fn who_is_no_monitor_or_quits_is_said() {
        let said = |greeting, answers| monitor(greeting, answers).unwrap_err().to_string();
        assert!(said("QEMU 10.0.2 monitor\n", Vec::new()).contains("no QMP"));
        assert!(said("{\"hello\": 1}\n", Vec::new()).contains("-qmp unix:"));
        for number in 0..answers().len() {
            let said = said("{\"QMP\": {}}\n", answers()[..number].to_vec());
            assert!(said.contains("the machine has quit"), "{number}: {said}");
        }
        let nobody =
            Monitor::ask(Path::new("/nowhere/qmp"), &CancellationToken::new()).unwrap_err().to_string();
        assert!(nobody.contains("nobody listens there"), "{nobody}");
    }

    #[test]
    fn what_is_no_line_of_the_map_is_none() {
        for text in
            ["", "0-1", "0-x (prio 0, ram): a", "2-0 (prio 0, ram): a", "0-ffffffffffffffff (prio 0, ram): a"]
        {
            assert_eq!(line(text), None, "{text}");
        }
        assert_eq!(map("").0, []);
    }
}
