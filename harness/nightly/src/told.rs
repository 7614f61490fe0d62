//! What a history says, in files beside it: each is written whole or not at all.

use std::path::{Path, PathBuf};

use parallax_engine::visible;
use parallax_report::whole_file;

use crate::error::NightError;
use crate::history::{History, Night};
use crate::news::compared;
use crate::page::{Sources, page};

fn save(path: &Path, text: &str) -> Result<(), NightError> {
    whole_file::write(path, text.as_bytes()).map_err(NightError::io(path))
}

/// Writes summary, page and JSON Lines after the night with this number; gives the summary.
///
/// # Errors
/// The history cannot be read, or the file system refused.
pub fn told(history: &History, night: i64, sources: &Sources) -> Result<String, NightError> {
    let nights = history.nights()?;
    let index = nights.iter().position(|other| other.night == night);
    let summary = index.map(|index| compared(&nights, index).summary(&nights)).unwrap_or_default();
    save(&history.folder().join("summary.txt"), &visible::lines(&summary))?;
    history.write_lines()?;
    write_page(history, &nights, sources)?;
    Ok(summary)
}

/// Writes the page of `nights`; gives its place.
///
/// # Errors
/// The file system refused.
pub fn write_page(history: &History, nights: &[Night], sources: &Sources) -> Result<PathBuf, NightError> {
    let path = history.folder().join("index.html");
    save(&path, &page(nights, history.folder(), sources))?;
    Ok(path)
}
