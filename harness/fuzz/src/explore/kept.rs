//! What was performed of an exploration, in a file: the next run goes on behind it.
//!
//! ```text
//! of ram+0x6000, ram+0x6001, mmio:rtc, stream 8, 2 pins at most
//! on 0f3a…
//! parts 12
//! done 0 5124 568
//! done 1 5096 0
//! ```
//!
//! The first three lines say of what, the others which parts, in how many operations, and how many transitions once more on pages that
//! nobody had touched. A line without its end is one that was being written when the run was killed: it does not count.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Exploration;

/// Transitions of a part, about.
const OF_A_PART: usize = 5_000;
/// Most parts.
const MOST: usize = 1_000;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file. Nobody else writes it as long as this is there.
#[derive(Debug)]
pub struct Kept {
    file: File,
    /// How long it is, if nobody else has changed it.
    len: u64,
    /// How many parts there are.
    pub parts: usize,
    /// Those that were performed.
    pub done: BTreeMap<usize, Done>,
}

/// A part that was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Operations, those on the way from one transition to the next included.
    pub operations: u64,
    /// Transitions that were performed once more, on pages that nobody had touched.
    pub untouched: u64,
}

/// The file cannot be used.
#[derive(Debug)]
pub enum KeptError {
    /// It is of something else, or none of ours.
    Other(String),
    /// Another run writes it.
    Busy,
    /// The file system refuses.
    Io(io::Error),
}

impl From<io::Error> for KeptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Kept {
    /// Opens the file at `path`, or begins it, for `exploration` of the hypervisor whose images are called `images`.
    ///
    /// # Errors
    /// It is of something else, or the file system refuses.
    pub fn open(path: &Path, exploration: &Exploration, images: &str) -> Result<Self, KeptError> {
        let parts = exploration.graph.transitions().div_ceil(OF_A_PART).clamp(1, MOST);
        let fault = exploration.fault.map_or_else(String::new, |fault| format!(", {}", fault.name()));
        let head = format!("of {}{fault}\non {images}\nparts {parts}\n", exploration.scope());
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(KeptError::Other("it is no file".to_owned()));
        }
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(KeptError::Busy),
            locked => locked.map_err(io::Error::from)?,
        }
        let mut text = String::new();
        let read = (&file).take(LARGEST).read_to_string(&mut text);
        let none_of_ours = || KeptError::Other("it is not what `explore --resume` writes".to_owned());
        read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => none_of_ours(),
            _ => error.into(),
        })?;
        if head.starts_with(&text) {
            // A new one, or one whose beginning was being written.
            file.set_len(0)?;
            file.write_all(head.as_bytes())?;
            return Ok(Self { file, len: head.len() as u64, parts, done: BTreeMap::new() });
        }
        let Some(lines) = text.strip_prefix(&head) else {
            let names = ["of ", "on ", "parts "];
            let (wanted, mut there) = (head.lines(), text.lines());
            for (name, wanted) in names.into_iter().zip(wanted) {
                let line = there.next().filter(|line| line.starts_with(name)).ok_or_else(none_of_ours)?;
                if line != wanted {
                    return Err(KeptError::Other(format!(
                        "it is of another run: `{line}`, and this one is `{wanted}`"
                    )));
                }
            }
            return Err(none_of_ours());
        };
        let whole = lines.rfind('\n').map_or("", |end| &lines[..=end]);
        let mut done = BTreeMap::new();
        for (number, line) in (head.lines().count() + 1..).zip(whole.lines()) {
            if !line.trim().is_empty() {
                let least = |part: usize| transitions(exploration, part, parts);
                let right = |(part, done): &(usize, Done)| *part < parts && done.operations >= least(*part);
                let known = part(line).filter(right);
                let wrong = || KeptError::Other(format!("line {number}: `{line}` is none of {parts} parts"));
                done.extend([known.ok_or_else(wrong)?]);
            }
        }
        let len = (head.len() + whole.len()) as u64;
        if whole.len() != lines.len() {
            // What was being written is written again, in a line of its own.
            file.set_len(len)?;
        }
        Ok(Self { file, len, parts, done })
    }

    /// Notes that `part` was performed and nothing found in it.
    ///
    /// # Errors
    /// The file system refuses, or the file is not what it was.
    pub fn add(&mut self, part: usize, done: Done) -> io::Result<()> {
        let now = self.file.metadata()?;
        if now.nlink() == 0 || now.len() != self.len {
            return Err(io::Error::other("somebody removed or changed it meanwhile"));
        }
        let line = format!("done {part} {} {}\n", done.operations, done.untouched);
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.len += line.len() as u64;
        self.done.insert(part, done);
        Ok(())
    }
}

/// How many transitions `part` of `parts` has: it cannot have been performed in fewer operations.
fn transitions(exploration: &Exploration, part: usize, parts: usize) -> u64 {
    exploration.graph.edges.iter().skip(part).step_by(parts).map(Vec::len).sum::<usize>() as u64
}

/// The part that `line` says was performed.
fn part(line: &str) -> Option<(usize, Done)> {
    let mut numbers = line.strip_prefix("done ")?.split(' ');
    let part = numbers.next()?.parse().ok()?;
    let mut number = || numbers.next()?.parse::<u32>().ok().map(u64::from);
    let done = Done { operations: number()?, untouched: number()? };
    numbers.next().is_none().then_some((part, done))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exploration() -> Exploration {
        Exploration::new(&super::super::PAGES, 2, None).unwrap()
    }

    const DONE: Done = Done { operations: 5_124, untouched: 568 };

    #[test]
    fn what_was_done_is_there_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explored");
        let mut kept = Kept::open(&path, &exploration(), "abc").unwrap();
        assert_eq!((kept.parts, kept.done.len()), (2, 0));
        kept.add(1, DONE).unwrap();
        assert!(matches!(Kept::open(&path, &exploration(), "abc"), Err(KeptError::Busy)));
        drop(kept);
        // Killed in the middle of a line, behind one that somebody put there.
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"\ndone 0 5").unwrap();
        let mut kept = Kept::open(&path, &exploration(), "abc").unwrap();
        assert_eq!(kept.done, BTreeMap::from([(1, DONE)]));
        kept.add(0, Done { operations: 9_000, untouched: 0 }).unwrap();
        drop(kept);
        assert!(fs::read_to_string(&path).unwrap().ends_with("parts 2\ndone 1 5124 568\n\ndone 0 9000 0\n"));
        assert_eq!(Kept::open(&path, &exploration(), "abc").unwrap().done.len(), 2);
    }

    #[test]
    fn a_file_that_somebody_else_changes_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explored");
        let mut kept = Kept::open(&path, &exploration(), "abc").unwrap();
        kept.add(0, DONE).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(kept.add(1, DONE).is_err() && fs::read_to_string(&path).unwrap().is_empty());
        fs::write(&path, text).unwrap();
        kept.add(1, DONE).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(kept.add(1, DONE).is_err());
    }

    #[test]
    fn a_beginning_that_was_not_written_to_its_end_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explored");
        drop(Kept::open(&path, &exploration(), "abc").unwrap());
        let head = fs::read_to_string(&path).unwrap();
        for end in [0, 5, head.len() - 1] {
            fs::write(&path, &head[..end]).unwrap();
            assert!(Kept::open(&path, &exploration(), "abc").unwrap().done.is_empty());
            assert_eq!(fs::read_to_string(&path).unwrap(), head);
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explored");
        drop(Kept::open(&path, &exploration(), "abc").unwrap());
        let refused =
            |path: &Path, exploration: &Exploration, images| match Kept::open(path, exploration, images) {
                Err(KeptError::Other(why)) => why,
                other => panic!("{other:?}"),
            };
        assert!(refused(&path, &exploration(), "abd").contains("`on abc`, and this one is `on abd`"));
        let fewer = Exploration::new(&super::super::PAGES, 1, None).unwrap();
        assert!(refused(&path, &fewer, "abc").contains("of another run"));
        let ours = fs::read_to_string(&path).unwrap();
        for line in [
            "done 0 1 1",
            "done 0 4294967296 1",
            "done 2 9000 1",
            "done x 1 1",
            "done 0",
            "done 0 1",
            "done 0 1 1 1",
            "once 0 1 1",
        ] {
            let text = format!("{ours}{line}\n");
            fs::write(&path, &text).unwrap();
            assert_eq!(refused(&path, &exploration(), "abc"), format!("line 4: `{line}` is none of 2 parts"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        for text in ["of nothing", "a trace\n", "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert!(!refused(&path, &exploration(), "abc").is_empty(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(refused(&path, &exploration(), "abc").contains("not what"));
        assert!(refused(folder.path(), &exploration(), "abc").contains("no file"));
    }
}
