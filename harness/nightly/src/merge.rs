//! The parts of a night put together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::NightError;
use crate::history::{History, Night, Part};
use crate::plan::Partition;

/// A part that was found.
struct Found {
    folder: PathBuf,
    night: Night,
    logs: PathBuf,
}

/// The parts of one night, by their numbers.
pub struct Parts {
    /// How many there are of the whole night.
    count: usize,
    found: BTreeMap<usize, Found>,
}

impl Parts {
    /// The last nights of the histories in `folders`.
    ///
    /// # Errors
    /// They are not the parts of one night, or a history cannot be read.
    pub fn read(folders: &[PathBuf]) -> Result<Self, NightError> {
        let found = parts(folders)?;
        let of: Vec<(&str, &str, usize)> =
            found.values().map(|(of, found)| (&*found.night.revision, &*found.night.form, *of)).collect();
        let Some(first) = of.first().copied() else {
            return Err(NightError::Unfit("no part is named".to_owned()));
        };
        if let Some(other) = of.iter().find(|other| **other != first) {
            let what = format!("not the parts of one night (revision, form, parts): {first:?}; {other:?}");
            return Err(NightError::Unfit(what));
        }
        let count = first.2;
        let found = found.into_iter().map(|(number, (_, found))| (number, found)).collect();
        Ok(Self { count, found })
    }
}

/// Puts `parts` together as a night of `history`. Gives its number, and the parts that are missing or did not get to their ends:
/// such a night is not in order, and has no end.
///
/// # Errors
/// The history cannot be written.
pub fn merge(history: &History, parts: &Parts) -> Result<(i64, Vec<String>), NightError> {
    let Parts { count, found } = parts;
    let Some(first) = found.values().next().map(|found| &found.night) else {
        return Err(NightError::Unfit("no part is named".to_owned()));
    };
    let missing: Vec<String> = (1..=*count)
        .filter_map(|number| match found.get(&number) {
            None => Some(format!("part {number}/{count} is missing")),
            Some(found) if found.night.seconds.is_none() => {
                Some(format!("part {number}/{count} did not get to its end"))
            }
            Some(_) => None,
        })
        .collect();
    let nights = || found.values().map(|found| &found.night);
    let started = nights().map(|night| night.started).min().unwrap_or_default();
    let mut whole = Night::begun(started, &first.revision, &first.form, &Partition::WHOLE.to_string());
    for night in nights() {
        whole.parts.push(Part { part: night.part.clone(), started: night.started });
        whole.qemus.extend(night.qemus.iter().cloned());
        whole.cells.extend(night.cells.iter().cloned());
        whole.problems.extend(night.problems.iter().cloned());
        whole.measures.extend(night.measures.iter().cloned());
        whole.faults.extend(night.faults.iter().cloned());
    }
    // The same parts again: as if for the first time.
    for old in history.nights()? {
        if old.revision == whole.revision && old.parts.iter().any(|part| whole.parts.contains(part)) {
            let _ = fs::remove_dir_all(history.logs(old.night));
            history.remove(old.night)?;
        }
    }
    let id = history.add(&whole)?;
    for total in history.night(id)?.totals() {
        history.add_measure(id, &total)?;
    }
    for found in found.values() {
        copy_logs(&found.logs, &history.logs(id))?;
    }
    if missing.is_empty() {
        let bad = nights().any(|night| night.status != Some(0));
        let longest = nights().filter_map(|night| night.seconds).fold(0.0, f64::max);
        history.end(id, longest, u8::from(bad))?;
    }
    Ok((id, missing))
}

/// The last nights of `folders` by the numbers of their parts, each with how many parts there are.
fn parts(folders: &[PathBuf]) -> Result<BTreeMap<usize, (usize, Found)>, NightError> {
    let mut all: BTreeMap<usize, (usize, Found)> = BTreeMap::new();
    for folder in folders {
        let history = History::read(folder)?;
        let none = || NightError::Unfit(format!("no night in {}", folder.display()));
        let night = history.last()?.ok_or_else(none)?;
        let (number, of) = night.part.parse::<Partition>().map_err(NightError::Unfit)?.numbers();
        if let Some((_, other)) = all.get(&number) {
            let (other, folder) = (other.folder.display(), folder.display());
            return Err(NightError::Unfit(format!("part {} twice: {other} and {folder}", night.part)));
        }
        let logs = history.logs(night.night);
        all.insert(number, (of, Found { folder: folder.clone(), night, logs }));
    }
    Ok(all)
}

/// Copies the logs of a part; it may have none.
fn copy_logs(from: &Path, to: &Path) -> Result<(), NightError> {
    let Ok(files) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to).map_err(NightError::io(to))?;
    for file in files.flatten().filter(|file| file.path().is_file()) {
        fs::copy(file.path(), to.join(file.file_name())).map_err(NightError::io(to))?;
    }
    Ok(())
}
