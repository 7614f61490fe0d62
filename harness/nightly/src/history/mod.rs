//! The history: nights in a database, with one writer at a time.
//!
//! Each statement is committed at once: what a killed night did stays.

mod lines;
mod night;
mod rows;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use self::lines::{import, lines};
pub use self::night::{Cell, Fault, Measure, Night, Part, Problem, Qemu, SCHEMA};
use crate::error::NightError;

const TABLES: &str = include_str!("tables.sql");
const FILE: &str = "history.sqlite";
const LINES: &str = "history.jsonl";

/// A history.
#[derive(Debug)]
pub struct History {
    db: Connection,
    folder: PathBuf,
    /// Held by a writer, and given up with the process however that ends.
    _lock: Option<File>,
}

impl History {
    /// The history in `folder`, for this process alone to write to.
    ///
    /// # Errors
    /// Another process writes to it, or it cannot be opened.
    pub fn write(folder: &Path) -> Result<Self, NightError> {
        fs::create_dir_all(folder).map_err(NightError::io(folder))?;
        let path = folder.join("lock");
        // What is in a file that is called so is left alone.
        let lock = File::options().append(true).create(true).open(&path).map_err(NightError::io(&path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(NightError::Busy(folder.to_owned())),
            locked => locked.map_err(|error| NightError::io(&path)(error.into()))?,
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let history = Self::open(folder, flags, Some(lock))?;
        history.told(history.make_tables())?;
        Ok(history)
    }

    /// The history in `folder`, to be read.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn read(folder: &Path) -> Result<Self, NightError> {
        if !folder.join(FILE).is_file() {
            return Err(NightError::Unfit(format!("{} has no {FILE}", folder.display())));
        }
        // Of a night that was killed in the middle of a statement SQLite takes that back first, for which it writes.
        Self::open(folder, OpenFlags::SQLITE_OPEN_READ_WRITE, None)
    }

    fn open(folder: &Path, flags: OpenFlags, lock: Option<File>) -> Result<Self, NightError> {
        let path = folder.join(FILE);
        let db = Connection::open_with_flags(&path, flags);
        let db = db.map_err(|cause| NightError::History { path, cause })?;
        Ok(Self { db, folder: folder.to_owned(), _lock: lock })
    }

    /// Does all of `work` or, if it fails, nothing.
    fn at_once<T>(&self, work: impl FnOnce() -> Result<T, NightError>) -> Result<T, NightError> {
        self.told(self.db.execute_batch("begin immediate"))?;
        let done = work();
        self.told(self.db.execute_batch(if done.is_ok() { "commit" } else { "rollback" }))?;
        done
    }

    fn make_tables(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(TABLES)?;
        if !self.has_changes()? {
            self.db.execute("alter table problem add column change text not null default ''", [])?;
        }
        Ok(())
    }

    /// Whether problems have the column `change`: a history of before there was it does not.
    fn has_changes(&self) -> rusqlite::Result<bool> {
        let mut columns =
            self.db.prepare("select 1 from pragma_table_info('problem') where name = 'change'")?;
        columns.exists([])
    }

    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, NightError> {
        result.map_err(|cause| NightError::History { path: self.folder.join(FILE), cause })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the output of what the night with this number ran is.
    #[must_use]
    pub fn logs(&self, night: i64) -> PathBuf {
        self.folder.join("logs").join(night.to_string())
    }

    /// Writes all nights as JSON Lines beside the database.
    ///
    /// # Errors
    /// The file system refused.
    pub fn write_lines(&self) -> Result<(), NightError> {
        let path = self.folder.join(LINES);
        let text = lines(&self.nights()?);
        parallax_report::whole_file::write(&path, text.as_bytes()).map_err(NightError::io(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_of_before_there_were_changes_is_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join(FILE)).unwrap();
        let column = "    flaky integer not null,        -- 1: came out in order when run again\n";
        let (before, after) = TABLES.split_once(column).unwrap();
        let (_, after) = after.split_once("in which the same changed\n").unwrap();
        old.execute_batch(&format!("{before}    flaky integer not null);\n{after}")).unwrap();
        old.execute_batch(
            "insert into night values (1, 5, 'r', 'short', '1/1', 9.5, 1);
             insert into problem values (1, 'c', 't', 'why', 0);",
        )
        .unwrap();
        drop(old);
        let night = History::read(folder.path()).unwrap().night(1).unwrap();
        assert_eq!((night.seconds, night.status, &*night.problems[0].change), (Some(9.5), Some(1), ""));
        let history = History::write(folder.path()).unwrap();
        let second = history.add(&night).unwrap();
        assert_eq!(history.night(second).unwrap().problems, night.problems);
        assert!(matches!(History::write(folder.path()), Err(NightError::Busy(_))));
        drop(history);
        // A child that another test begins just now has the lock, too, until it runs its program.
        let again = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            History::write(folder.path()).ok()
        };
        let history = (0..500).find_map(|_| again()).unwrap();
        history.remove(1).unwrap();
        assert_eq!(history.nights().unwrap().len(), 1);
    }
}
