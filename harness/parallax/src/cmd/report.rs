//! `parallax report`: a recording as one HTML file, or as a Chrome trace.
//!
//! ```text
//! donate.html: 96 KiB
//! ```

use std::path::Path;

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::recording::Replay;
use parallax_report::html::{self, perfetto};
use parallax_report::whole_file;
use parallax_suite::source::is_recording;

use super::kinds::{self, Kind};
use super::output::{print, print_as_it_is};
use super::{outputs, progress};
use crate::cli::Report;

/// How the bar looks, which counts operations that were read.
const READING: &str = "reading {wide_bar} {human_pos}/{human_len}, {elapsed}";

/// Runs it.
pub(super) fn report(args: &Report) -> Result<Status> {
    let read: Vec<&Path> = std::iter::once(&args.recording).chain(&args.compare).map(AsRef::as_ref).collect();
    if let Some(path) = &args.perfetto {
        outputs::apart(&[("--perfetto", path)], &read)?;
        kinds::only_its_own("--perfetto", path, Kind::Perfetto)?;
        goes_there("--perfetto", path)?;
        let recording = open(&args.recording)?;
        let bar = progress::bar(recording.last(), READING);
        let text = perfetto::trace(recording, &|| bar.inc(1))?;
        bar.finish_and_clear();
        write(path, &text)?;
        return Ok(Status::Same);
    }
    let path = args.output.clone().unwrap_or_else(|| args.recording.with_extension("html"));
    outputs::apart(&[("--output", &path)], &read)?;
    kinds::only_its_own("--output", &path, Kind::Page)?;
    goes_there("--output", &path)?;
    let recording = opened(&args.recording)?;
    let other = args.compare.as_deref().map(opened).transpose()?;
    let total = recording.replay.last() + other.as_ref().map_or(0, |other| other.replay.last());
    let bar = progress::bar(total, READING);
    let text = html::page(recording, other, &|| bar.inc(1))?;
    bar.finish_and_clear();
    write(&path, &text)?;
    Ok(Status::Same)
}

/// Refuses the `path` that `argument` names where nothing could be written; `-` is the standard output.
fn goes_there(argument: &str, path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") { Ok(()) } else { outputs::can_be_written(argument, path) }
}

fn opened(path: &Path) -> Result<html::Opened, Failure> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(html::Opened { name, replay: open(path)?, back: [open(path)?, open(path)?] })
}

fn open(path: &Path) -> Result<Replay, Failure> {
    if !is_recording(path) {
        return Err(Failure::usage(format!(
            "{0}: a report is made of a recording: parallax run {0} --record FILE.plx",
            path.display()
        )));
    }
    Ok(Replay::open(path).map_err(MachineError::from)?)
}

/// Writes `text` to the file at `path`, and how large it is; `-` is the standard output.
fn write(path: &Path, text: &str) -> Result<()> {
    if path == Path::new("-") {
        return print_as_it_is(text);
    }
    whole_file::write(path, text.as_bytes()).map_err(|error| Failure::file(path.display(), &error))?;
    print(&format!("{}: {} KiB\n", path.display(), text.len().div_ceil(1024)))
}
