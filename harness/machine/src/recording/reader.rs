//! Reading a recording, as a [`Machine`](crate::Machine).
//!
//! A file may come from anywhere: its size, its lines and the memory that it describes are limited, and whatever is
//! wrong with it is an error that names the line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallax_abi::journal::{Record, kind};
use parallax_addr::{ImageVa, PAGE_SIZE, PhysAddr};
use parallax_vmsa::{PhysMem, SparseMem};
use serde::de::DeserializeOwned;
use zstd::stream::read::Decoder;
use zstd::zstd_safe;

use super::format::{Entry, Footer, Header, Hex, OLDEST, Run, SCHEMA, Site, TYPED_FINDINGS};
use super::limit::{
    MAX_ALL_FINDINGS, MAX_FILE, MAX_HEADER, MAX_INSTRUCTIONS, MAX_LINE, MAX_OPERATIONS, MAX_PAGES,
    MAX_REDISTRIBUTORS, MAX_REGIONS, MAX_REGISTERS, MAX_UNPACKED,
};
use super::{Operation, RecordingError};
use crate::target::{Registers, Target};

/// The largest window that a frame may ask the decoder for, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;

pub(super) type Lines = BufReader<Take<Decoder<'static, Cursor<Arc<[u8]>>>>>;

/// A recording, standing after one of its operations.
pub struct Replay {
    pub(crate) path: PathBuf,
    pub(super) data: Arc<[u8]>,
    /// Offset of each frame.
    pub(super) frames: Vec<usize>,
    header: Header,
    pub(crate) target: Target,
    entries: u64,
    sites: BTreeMap<Hex, Site>,
    lines: Lines,
    line: u64,
    op: u64,
    operation: Operation,
    pub(crate) registers: Registers,
    pub(crate) memory: SparseMem,
    pages: usize,
    /// The operation up to which findings were counted, and how many there are until then.
    counted: Option<u64>,
    findings: u64,
}

impl Replay {
    /// Opens the recording at `path`; it stands after its boot.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole recording.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let malformed =
            |what: &str| RecordingError::Malformed { path: path.to_owned(), what: what.to_owned() };
        let failed = |source| RecordingError::Io { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(malformed("a pipe or a device: a recording is a file"));
        }
        let mut data = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut data)).map_err(failed)?;
        if data.len() as u64 > MAX_FILE {
            return Err(malformed("larger than 1 GiB"));
        }
        let frames = frames(&data).ok_or_else(|| malformed("not a recording, or cut off (zstd)"))?;
        let data: Arc<[u8]> = data.into();
        let (Some(&first), Some(&last)) = (frames.first(), frames.last()) else {
            return Err(malformed("empty"));
        };
        if unpacked(&data, &frames) > MAX_UNPACKED {
            return Err(malformed(&too_long()));
        }
        let header = {
            let mut lines = lines_from(&data, first).map_err(failed)?;
            let text = read_line_up_to(MAX_HEADER, &mut lines, path, 1)?.ok_or_else(|| malformed("empty"))?;
            check_schema(&text, path)?;
            parse::<Header>(&text, path, 1)?
        };
        let footer = {
            let mut lines = lines_from(&data, last).map_err(failed)?;
            let text = read_line(&mut lines, path, 0)?.ok_or_else(|| malformed("without an end"))?;
            let footer = serde_json::from_str::<Footer>(&text);
            footer.map_err(|error| match error.to_string().split_once(" at line ") {
                Some((what, _)) if what.starts_with("more than ") => {
                    malformed(&format!("its last line: {what}"))
                }
                _ => malformed("cut off: its last line is missing"),
            })?
        };
        if footer.entries > MAX_OPERATIONS {
            return Err(malformed(&format!("more than {MAX_OPERATIONS} operations")));
        }
        let config = &header.machine.config;
        if [
            header.machine.regions.len(),
            config.devices.len(),
            config.extra.len(),
            config.hyp.donate_mmio.len(),
        ]
        .iter()
        .any(|length| *length > MAX_REGIONS)
        {
            let what = format!("more than {MAX_REGIONS} regions, devices or arguments of its machine");
            return Err(RecordingError::Line { path: path.to_owned(), line: 1, what });
        }
        let chunks = frames.len().saturating_sub(2) as u64;
        if header.keyframe_every == 0
            || footer.entries == 0
            || footer.entries.div_ceil(header.keyframe_every) != chunks
        {
            return Err(malformed("cut off: operations are missing"));
        }
        let lines = lines_from(&data, frames[1]).map_err(failed)?;
        let machine = header.machine.clone();
        let target = match header.told {
            Some(told) => Target { description: machine, told, info: None, calls: Vec::new() },
            None => Target::new(machine, header.info),
        };
        let mut replay = Self {
            target,
            path: path.to_owned(),
            data,
            frames,
            header,
            entries: footer.entries,
            sites: footer.sites,
            lines,
            line: 1,
            op: 0,
            operation: Operation::default(),
            registers: Registers::default(),
            memory: SparseMem::new(),
            pages: 0,
            counted: None,
            findings: 0,
        };
        replay.read_entry(0)?;
        Ok(replay)
    }

    /// Revision of the hypervisor's source.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.header.revision
    }

    /// Number of the last operation; 0 is the boot.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.entries - 1
    }

    /// Number of the operation after which it stands.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.op
    }

    /// The operation after which it stands.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The instruction at `pc`, if an event names it.
    #[must_use]
    pub fn site(&self, pc: ImageVa) -> Option<&Site> {
        self.sites.get(&Hex(pc.get()))
    }

    /// How many operations lie between two moments that it can begin at.
    pub(super) const fn keyframe_every(&self) -> u64 {
        self.header.keyframe_every
    }

    /// Goes on to the next operation; false when there is none.
    ///
    /// # Errors
    /// The next line is malformed.
    pub fn step(&mut self) -> Result<bool, RecordingError> {
        if self.op >= self.last() {
            return Ok(false);
        }
        self.read_entry(self.op + 1)?;
        Ok(true)
    }

    /// Goes to the moment after operation `op`, forward or back.
    ///
    /// # Errors
    /// There is no such operation, or a line on the way is malformed.
    pub fn go_to(&mut self, op: u64) -> Result<(), RecordingError> {
        if op > self.last() {
            return Err(RecordingError::End { path: self.path.clone(), operation: op, last: self.last() });
        }
        let keyframe = op / self.header.keyframe_every;
        if op < self.op || keyframe > self.op / self.header.keyframe_every {
            let first = keyframe * self.header.keyframe_every;
            let offset = usize::try_from(keyframe + 1).ok().and_then(|frame| self.frames.get(frame)).copied();
            let offset = offset.ok_or_else(|| self.wrong("a frame is missing".to_owned()))?;
            self.lines = lines_from(&self.data, offset)
                .map_err(|source| RecordingError::Io { path: self.path.clone(), source })?;
            self.line = 1 + first;
            self.read_entry(first)?;
        }
        while self.op < op {
            self.read_entry(self.op + 1)?;
        }
        Ok(())
    }

    /// Reads the next line, which must be that of operation `op`.
    fn read_entry(&mut self, op: u64) -> Result<(), RecordingError> {
        self.line += 1;
        let text = read_line(&mut self.lines, &self.path, self.line)?;
        let text = text.ok_or_else(|| self.wrong("the recording ends here".to_owned()))?;
        let entry: Entry = parse(&text, &self.path, self.line)?;
        if entry.op != op {
            return Err(self.wrong(format!("operation {} where {op} must be", entry.op)));
        }
        self.check_amounts(&entry)?;
        let typed = self.header.parallax_recording >= TYPED_FINDINGS;
        if entry.findings.iter().any(|finding| finding.finding().is_some() != typed) {
            let schema = self.header.parallax_recording;
            return Err(self.wrong(format!("a finding in another form than schema {schema} has")));
        }
        if op.is_multiple_of(self.header.keyframe_every) {
            self.memory = SparseMem::new();
            self.pages = 0;
            self.registers = Registers::default();
            if entry.sys.is_none() {
                return Err(self.wrong("an entry without registers where a complete one must be".to_owned()));
            }
        }
        if let Some(sys) = entry.sys {
            self.registers.sys = sys;
        }
        if let Some(others) = entry.others {
            self.registers.others = others;
        }
        self.registers.smmu = entry.smmu.map(|changed| {
            let mut now = self.registers.smmu.take().unwrap_or_default();
            now.0.extend(changed);
            now
        });
        if self.registers.smmu.as_ref().is_some_and(|known| known.0.len() > MAX_REGISTERS) {
            return Err(self.wrong(format!("more than {MAX_REGISTERS} registers of the SMMU")));
        }
        if let Some(gic) = entry.gic {
            if gic.redistributors.len() > MAX_REDISTRIBUTORS {
                return Err(self.wrong(format!("more than {MAX_REDISTRIBUTORS} redistributors")));
            }
            self.registers.gic = Some(gic);
        }
        for page in entry.pages {
            self.write_page(PhysAddr::new(page.pa.0), &page.words)?;
        }
        self.op = op;
        self.operation = Operation {
            line: entry.line,
            others_at: entry.others_at,
            text: entry.text,
            requests: entry.requests.into_iter().map(|line| line.0).collect(),
            responses: entry.responses.into_iter().map(|line| line.0).collect(),
            events: entry.events.into_iter().map(Record::from).collect(),
            findings: entry.findings,
        };
        Ok(())
    }

    /// Refuses an entry that counts more than there can be.
    fn check_amounts(&mut self, entry: &Entry) -> Result<(), RecordingError> {
        if self.counted.is_none_or(|counted| entry.op > counted) {
            self.counted = Some(entry.op);
            self.findings = self.findings.saturating_add(entry.findings.len() as u64);
            if self.findings > MAX_ALL_FINDINGS {
                return Err(self.wrong(format!("more than {MAX_ALL_FINDINGS} findings up to here")));
            }
        }
        let mut events = entry.events.iter().map(|event| Record::from(*event));
        match events.find(|event| matches!(event.kind, kind::ERET | kind::MARK) && event.b > MAX_INSTRUCTIONS)
        {
            Some(event) => Err(self.wrong(format!("an event that counts {:#x} instructions", event.b))),
            None => Ok(()),
        }
    }

    fn write_page(&mut self, pa: PhysAddr, words: &[(u16, Run)]) -> Result<(), RecordingError> {
        if pa.offset() != 0 {
            return Err(self.wrong(format!("{pa:#x} is not the address of a page")));
        }
        if self.memory.read(pa, &mut [0; 8]).is_err() {
            self.pages += 1;
            if self.pages > MAX_PAGES {
                return Err(self.wrong(format!("more than {MAX_PAGES} pages")));
            }
            self.memory.write(pa, &[0; PAGE_SIZE as usize]);
        }
        for (first, Run(run)) in words {
            if usize::from(*first) + run.len() > 512 {
                return Err(self.wrong(format!("{} words from word {first} of a page on", run.len())));
            }
            let values: Vec<u64> = run.iter().map(|word| word.0).collect();
            self.memory.write_table(pa.wrapping_add(8 * u64::from(*first)), &values);
        }
        Ok(())
    }

    fn wrong(&self, what: String) -> RecordingError {
        RecordingError::Line { path: self.path.clone(), line: self.line, what }
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("path", &self.path).field("op", &self.op).finish_non_exhaustive()
    }
}

/// Offsets of the frames of `data`; none if it does not consist of whole frames.
fn frames(data: &[u8]) -> Option<Vec<usize>> {
    let mut offsets = Vec::new();
    let mut offset = 0;
    while offset < data.len() {
        offsets.push(offset);
        let size = zstd_safe::find_frame_compressed_size(&data[offset..]).ok().filter(|size| *size > 0)?;
        offset = offset.checked_add(size).filter(|end| *end <= data.len())?;
    }
    Some(offsets)
}

/// What the frames say that they are unpacked, in bytes; a frame need not say.
fn unpacked(data: &[u8], frames: &[usize]) -> u64 {
    let sizes =
        frames.iter().filter_map(|offset| zstd_safe::get_frame_content_size(&data[*offset..]).ok()?);
    sizes.fold(0, u64::saturating_add)
}

fn too_long() -> String {
    format!("more than {} GiB, unpacked", MAX_UNPACKED >> 30)
}

/// The lines from the frame at `offset` on; no more is unpacked than a file may have, whatever its frames say.
pub(super) fn lines_from(data: &Arc<[u8]>, offset: usize) -> io::Result<Lines> {
    let mut cursor = Cursor::new(Arc::clone(data));
    cursor.set_position(offset as u64);
    let mut decoder = Decoder::with_buffer(cursor)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(BufReader::with_capacity(1 << 16, decoder.take(MAX_UNPACKED)))
}

/// The next line without its end; none at the end of the file.
pub(super) fn read_line(lines: &mut Lines, path: &Path, line: u64) -> Result<Option<String>, RecordingError> {
    read_line_up_to(MAX_LINE, lines, path, line)
}

fn read_line_up_to(
    most: u64,
    lines: &mut Lines,
    path: &Path,
    line: u64,
) -> Result<Option<String>, RecordingError> {
    let wrong = |what: String| RecordingError::Line { path: path.to_owned(), line, what };
    let mut bytes = Vec::new();
    if lines.get_ref().limit() == 0 && lines.buffer().is_empty() {
        return Err(wrong(too_long()));
    }
    lines.take(most).read_until(b'\n', &mut bytes).map_err(|error| wrong(error.to_string()))?;
    match bytes.pop() {
        None => Ok(None),
        Some(b'\n') => String::from_utf8(bytes).map(Some).map_err(|_| wrong("not UTF-8".to_owned())),
        Some(_) if bytes.len() as u64 + 1 == most => Err(wrong(format!("longer than {} MiB", most >> 20))),
        Some(_) if lines.get_ref().limit() == 0 => Err(wrong(too_long())),
        Some(_) => Err(wrong("a line without its end".to_owned())),
    }
}

pub(super) fn parse<T: DeserializeOwned>(text: &str, path: &Path, line: u64) -> Result<T, RecordingError> {
    serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
        let what = format!("column {}: {what}", error.column());
        RecordingError::Line { path: path.to_owned(), line, what }
    })
}

/// Refuses other schemas before anything else of the header is looked at.
fn check_schema(text: &str, path: &Path) -> Result<(), RecordingError> {
    #[derive(serde::Deserialize)]
    struct Start {
        parallax_recording: u32,
    }
    let start: Start = parse(text, path, 1)?;
    if (OLDEST..=SCHEMA).contains(&start.parallax_recording) {
        return Ok(());
    }
    Err(RecordingError::Schema { path: path.to_owned(), found: start.parallax_recording })
}
