//! What keeps a night from its end.

use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    /// Another process writes to the same history.
    #[error("another night is at work in {}: wait for it, or give this one a --results of its own", .0.display())]
    Busy(PathBuf),
    /// What was given is no part of a night, not of the same one, or no history.
    #[error("{0}")]
    Unfit(String),
    /// The history cannot be read or written.
    #[error("{}: {cause}: {}", .path.display(), remedy(.path, .cause))]
    History {
        /// Its file.
        path: PathBuf,
        /// Why.
        cause: rusqlite::Error,
    },
    /// A file cannot be read or written, or a program cannot be run.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A signal ended the night.
    #[error(
        "ended by a signal; what was done so far is in the history as a night that did not get to its end"
    )]
    Ended(i32),
}

/// What can be done about a database that SQLite refuses.
fn remedy(path: &Path, cause: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, PermissionDenied, ReadOnly,
    };
    let folder = path.parent().unwrap_or(path).display();
    match cause.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "another program has it open: close that".to_owned(),
        Some(DiskFull) => "make room there".to_owned(),
        Some(CannotOpen | PermissionDenied | ReadOnly) => {
            format!("{folder} and what is in it must be yours to write, to read it too")
        }
        // Pages that are none, or a table or a column that is not there.
        _ => damaged(path),
    }
}

fn damaged(path: &Path) -> String {
    let folder = path.parent().unwrap_or(path).display();
    format!(
        "it is damaged, or not a history: move it away; `parallax nightly history --import {folder}/history.jsonl \
         --results {folder}` makes it again from the lines beside it"
    )
}

impl NightError {
    /// Of a file or a program.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}

impl From<NightError> for Failure {
    fn from(error: NightError) -> Self {
        let status = match &error {
            NightError::Unfit(_) => Status::Usage,
            NightError::Busy(_) | NightError::History { .. } => Status::Setup,
            NightError::Io { path, cause } => return Self::file(path.display(), cause),
            NightError::Ended(_) => Status::Interrupted,
        };
        Self { status, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::history::History;

    #[test]
    fn a_damaged_history_is_told_with_what_can_be_done() {
        let folder = tempfile::tempdir().unwrap();
        drop(History::write(folder.path()).unwrap());
        let path = folder.path().join("history.sqlite");
        let whole = fs::read(&path).unwrap();
        let text = "words and words ".repeat(100).into_bytes();
        // No header; and pages behind it that are none.
        for bytes in [text.clone(), [&whole[..100], &vec![b'x'; whole.len() - 100]].concat()] {
            fs::write(&path, bytes).unwrap();
            let history = History::read(folder.path());
            let error = history.and_then(|history| history.nights()).unwrap_err().to_string();
            let import = format!("history --import {}/history.jsonl", folder.path().display());
            assert!(error.contains("it is damaged") && error.contains(&import), "{error}");
        }
    }
}
