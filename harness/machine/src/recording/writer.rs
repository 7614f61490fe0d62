//! Writing a recording.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parallax_addr::{ImageVa, PhysAddr};
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_table;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::format::{
    Entry, Event, Footer, Header, Hex, KEYFRAME_EVERY, Page, RequestLine, ResponseLine, SCHEMA, Site, Words,
    difference,
};
use super::limit::{MAX_EVENTS, MAX_FINDINGS, MAX_PAGES, MAX_REQUESTS};
use super::{Operation, RecordError, RecordingError, RecordingMem};
use crate::place::{draft_beside, led_to};
use crate::symbols::Symbols;
use crate::target::{Registers, Target};

/// Compression level of zstd.
const LEVEL: i32 = 3;

/// Writes a recording. Nothing is at its path before [`Self::finish`].
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: NamedTempFile,
    /// Lines of the frame that is being filled.
    frame: Vec<u8>,
    entries: u64,
    registers: Option<Registers>,
    pages: BTreeMap<PhysAddr, Box<Words>>,
    sites: BTreeMap<Hex, Site>,
}

impl Recorder {
    /// Begins a recording of `machine` that will be at `path`; `revision` names the hypervisor's source.
    ///
    /// # Errors
    /// No file can be made beside `path`.
    pub fn create(path: &Path, revision: &str, target: &Target) -> Result<Self, RecordingError> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is there and is no file");
            return Err(RecordingError::Io { path: path.to_owned(), source });
        }
        let file = draft_beside(&led_to(path), ".plx.part")
            .map_err(|source| RecordingError::Io { path: path.to_owned(), source })?;
        let mut recorder = Self {
            path: path.to_owned(),
            file,
            frame: Vec::new(),
            entries: 0,
            registers: None,
            pages: BTreeMap::new(),
            sites: BTreeMap::new(),
        };
        recorder.line(&Header {
            parallax_recording: SCHEMA,
            revision: revision.to_owned(),
            machine: target.description.clone(),
            info: target.info_or_zero(),
            told: target.info.is_none().then_some(target.told),
            keyframe_every: KEYFRAME_EVERY,
        })?;
        recorder.end_frame()?;
        Ok(recorder)
    }

    /// Adds the next operation; the first one must be the boot. `registers` and `memory` are the machine's after it,
    /// `memory` having been read by the snapshot.
    ///
    /// # Errors
    /// The file cannot be written, or a page cannot be read again.
    pub fn add(
        &mut self,
        operation: &Operation,
        registers: &Registers,
        memory: &RecordingMem<'_>,
    ) -> Result<(), RecordError> {
        if self.entries.is_multiple_of(KEYFRAME_EVERY) {
            self.end_frame()?;
            self.registers = None;
            self.pages.clear();
        }
        let entry = Entry {
            op: self.entries,
            line: operation.line,
            others_at: operation.others_at.clone(),
            text: operation.text.clone(),
            requests: operation.requests.iter().copied().map(RequestLine).collect(),
            responses: operation.responses.iter().copied().map(ResponseLine).collect(),
            sys: (self.registers.as_ref().map(|before| before.sys) != Some(registers.sys))
                .then_some(registers.sys),
            others: (self.registers.as_ref().map_or(&[][..], |before| &before.others) != registers.others)
                .then(|| registers.others.clone()),
            smmu: self.smmu_changes(registers),
            gic: registers
                .gic
                .clone()
                .filter(|gic| self.registers.as_ref().and_then(|before| before.gic.as_ref()) != Some(gic)),
            pages: self.page_changes(memory)?,
            events: operation.events.iter().copied().map(Event::from).collect(),
            findings: operation.findings.clone(),
        };
        self.registers = Some(registers.clone());
        self.check_amounts(&entry)?;
        self.line(&entry)?;
        self.entries += 1;
        Ok(())
    }

    /// Takes down which instructions the events of `operation` name.
    pub fn note_code(&mut self, operation: &Operation, symbols: &Symbols) {
        for pc in operation.events.iter().map(|event| event.pc) {
            self.sites.entry(Hex(pc)).or_insert_with(|| Site {
                place: symbols.describe(ImageVa::new(pc)),
                instruction: symbols.instruction(ImageVa::new(pc)).unwrap_or_default(),
                around: symbols.disassembly(ImageVa::new(pc)),
            });
        }
    }

    /// Completes the file and puts it at its path, in place of what was there; where a link is, of what that leads to.
    ///
    /// # Errors
    /// It cannot be written or renamed; what was at the path is still there then.
    pub fn finish(mut self) -> Result<(), RecordingError> {
        self.end_frame()?;
        let footer = Footer { entries: self.entries, sites: std::mem::take(&mut self.sites) };
        self.line(&footer)?;
        self.end_frame()?;
        let path = self.path;
        let failed = |source| RecordingError::Io { path: path.clone(), source };
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(led_to(&path)).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn smmu_changes(&self, registers: &Registers) -> Option<BTreeMap<u32, u32>> {
        let before = self.registers.as_ref().and_then(|before| before.smmu.as_ref());
        let now = &registers.smmu.as_ref()?.0;
        let changed =
            now.iter().filter(|(offset, value)| before.and_then(|regs| regs.0.get(offset)) != Some(value));
        Some(changed.map(|(offset, value)| (*offset, *value)).collect())
    }

    fn page_changes(&mut self, memory: &RecordingMem<'_>) -> Result<Vec<Page>, RecordError> {
        let mut changes = Vec::new();
        for pa in memory.pages() {
            let now = read_table(memory as &dyn PhysMem, pa)?;
            let before = self.pages.get(&pa);
            let words = difference(before.map_or(&[0; 512], |words| words), &now);
            if before.is_none() || !words.is_empty() {
                self.pages.insert(pa, Box::new(now));
                changes.push(Page { pa: Hex(pa.get()), words });
            }
        }
        Ok(changes)
    }

    /// Refuses what no reader would take.
    fn check_amounts(&self, entry: &Entry) -> Result<(), RecordingError> {
        let amounts = [
            (entry.requests.len(), MAX_REQUESTS, "requests"),
            (entry.pages.len(), MAX_PAGES, "pages"),
            (entry.events.len(), MAX_EVENTS, "events"),
            (entry.findings.len(), MAX_FINDINGS, "findings"),
        ];
        match amounts.iter().find(|(there, most, _)| there > most) {
            Some((there, most, of)) => Err(RecordingError::Malformed {
                path: self.path.clone(),
                what: format!("operation {} has {there} {of}; a recording holds at most {most}", entry.op),
            }),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), RecordingError> {
        serde_json::to_writer(&mut self.frame, line).map_err(|error| self.failed(error.into()))?;
        self.frame.push(b'\n');
        Ok(())
    }

    /// Writes the lines so far as one frame, if there are any.
    fn end_frame(&mut self) -> Result<(), RecordingError> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let written = compress(&self.frame).and_then(|bytes| self.file.as_file_mut().write_all(&bytes));
        written.map_err(|error| self.failed(error))?;
        self.frame.clear();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> RecordingError {
        RecordingError::Io { path: self.path.clone(), source }
    }
}

/// `text` as one frame with a checksum.
fn compress(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(text)
}
