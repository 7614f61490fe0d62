//! `parallax report`: a recording as one HTML file, or as a Chrome trace.
//!
//! ```text
//! donate.html: 96 KiB
//! ```

use std::path::Path;

use anyhow::Result;
use parallax_machine::MachineError;
use parallax_machine::recording::Replay;

use super::print;
use crate::cli::Report;
use crate::html::{self, perfetto};
use crate::status::{Failure, Status};
use crate::whole_file;

/// Runs it.
pub(super) fn report(args: &Report) -> Result<Status> {
    if let Some(path) = &args.perfetto {
        write(path, &perfetto::trace(open(&args.recording)?)?)?;
        return Ok(Status::Same);
    }
    let path = args.output.clone().unwrap_or_else(|| args.recording.with_extension("html"));
    let other = args.compare.as_deref().map(opened).transpose()?;
    write(&path, &html::page(opened(&args.recording)?, other)?)?;
    Ok(Status::Same)
}

fn opened(path: &Path) -> Result<html::Opened, Failure> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(html::Opened { name, replay: open(path)?, back: [open(path)?, open(path)?] })
}

fn open(path: &Path) -> Result<Replay, Failure> {
    if path.extension().is_none_or(|extension| extension != "plx") {
        return Err(Failure::usage(format!(
            "{0}: a report is made of a recording: parallax run {0} --record FILE.plx",
            path.display()
        )));
    }
    Ok(Replay::open(path).map_err(MachineError::from)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    whole_file::write(path, text.as_bytes())
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    print(&format!("{}: {} KiB\n", path.display(), text.len().div_ceil(1024)))
}
