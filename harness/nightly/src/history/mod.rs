//! The history: nights in a database, with one writer at a time.
//!
//! Each statement is committed at once: what a killed night did stays.

mod lines;
mod night;
mod rows;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use self::lines::{import, lines, read as read_lines};
pub use self::night::{Cell, Fault, Measure, Night, Part, Problem, Qemu, SCHEMA};
use crate::error::NightError;

const TABLES: &str = include_str!("tables.sql");
const FILE: &str = "history.sqlite";
const LINES: &str = "history.jsonl";
/// What a night writes beside its logs.
const FILES: [&str; 5] = [FILE, LINES, "summary.txt", "index.html", "lock"];

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
        can_be_written(folder)?;
        let path = folder.join("lock");
        // What is in a file that is called so is left alone.
        let lock = File::options().append(true).create(true).open(&path).map_err(NightError::io(&path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(NightError::Busy(folder.to_owned())),
            locked => locked.map_err(|error| NightError::io(&path)(error.into()))?,
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let history = Self::open(folder, flags, Some(lock))?;
        history.is_ours()?;
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
        can_be_written(folder)?;
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

    /// Whether the database is empty or one of nights.
    fn is_ours(&self) -> Result<(), NightError> {
        let count =
            "select count(*), coalesce(sum(name = 'night'), 0) from sqlite_schema where type = 'table'";
        let (all, nights): (i64, i64) =
            self.told(self.db.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?))))?;
        if all > 0 && nights == 0 {
            let path = self.folder.join(FILE);
            return Err(NightError::Unfit(format!(
                "{}: a database of something else: move it away",
                path.display()
            )));
        }
        Ok(())
    }

    /// Whether the lines of its nights are those of `file`.
    #[must_use]
    pub fn has_lines_in(&self, file: &Path) -> bool {
        let own = fs::canonicalize(self.folder.join(LINES)).ok();
        own.is_some() && fs::canonicalize(file).ok() == own
    }

    /// Whether nights that were written as lines are gone from the database.
    ///
    /// # Errors
    /// They are: the error says how to get them back.
    pub fn is_whole(&self) -> Result<(), NightError> {
        let path = self.folder.join(LINES);
        let lines = fs::metadata(&path).is_ok_and(|lines| lines.len() > 0);
        if lines && self.nights()?.is_empty() {
            let (path, folder) = (path.display(), self.folder.display());
            return Err(NightError::Unfit(format!(
                "{folder}: {FILE} has no night, and {LINES} has some: \
                 `parallax nightly history --import {path} --results {folder}` puts them back, or move {LINES} away"
            )));
        }
        Ok(())
    }

    fn make_tables(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(TABLES)?;
        for name in ["change", "bisect"] {
            if !self.has_column("problem", name)? {
                self.db.execute(
                    &format!("alter table problem add column {name} text not null default ''"),
                    [],
                )?;
            }
        }
        Ok(())
    }

    /// Whether `table` has a column of this name: one of a history of an earlier version may not.
    fn has_column(&self, table: &str, name: &str) -> rusqlite::Result<bool> {
        let mut columns = self.db.prepare("select 1 from pragma_table_info(?) where name = ?")?;
        columns.exists([table, name])
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

/// Whether what a night writes into `folder` is files, or not there yet.
fn can_be_written(folder: &Path) -> Result<(), NightError> {
    for path in FILES.map(|name| folder.join(name)) {
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            let path = path.display();
            return Err(NightError::Unfit(format!(
                "{path}: it is no regular file, and a night writes one: move it away"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_night_cannot_write_is_found_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: &str| {
            let error = History::write(folder.path()).map(drop).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        for name in FILES {
            fs::create_dir(folder.path().join(name)).unwrap();
            refused(name);
            fs::write(folder.path().join(if name == FILE { "x" } else { FILE }), "").unwrap();
            let read = History::read(folder.path()).map(drop).unwrap_err().to_string();
            assert!(read.contains(name), "{read}");
            fs::remove_dir(folder.path().join(name)).unwrap();
        }
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        other.execute_batch("create table of_something_else (id integer)").unwrap();
        refused("a database of something else");
        let tables: i64 =
            other.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1, "nothing was added to it");
    }

    #[test]
    fn nights_that_are_in_the_lines_alone_are_missed() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::write(folder.path()).unwrap();
        history.is_whole().unwrap();
        let night = history.begin(&Night::begun(5, "r", "short", "1/1")).unwrap();
        history.write_lines().unwrap();
        history.is_whole().unwrap();
        history.remove(night).unwrap();
        assert!(history.is_whole().unwrap_err().to_string().contains("history --import"));
    }

    #[test]
    fn a_history_of_before_there_were_changes_is_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join(FILE)).unwrap();
        let column = "    flaky integer not null,        -- 1: came out in order when run again\n";
        let (before, after) = TABLES.split_once(column).unwrap();
        let (_, after) = after.split_once("beside the revisions\n").unwrap();
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
