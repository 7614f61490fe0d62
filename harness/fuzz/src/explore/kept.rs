//! What was performed of an exploration, in a file: the next run goes on behind it.
//!
//! ```text
//! of ram+0x6000, ram+0x6001, mmio:rtc, stream 8, 2 pins at most
//! on 0f3a…
//! parts 12
//! done 0
//! done 1
//! ```
//!
//! The first three lines say of what. A line without its end is one that was being written when the run was killed: it does not count.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::Exploration;

/// Transitions of a part, about.
const OF_A_PART: usize = 5_000;
/// Most parts.
const MOST: usize = 1_000;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file.
#[derive(Debug)]
pub struct Kept {
    file: File,
    /// How many parts there are.
    pub parts: usize,
    /// Those that were performed.
    pub done: BTreeSet<usize>,
}

/// The file cannot be used.
#[derive(Debug)]
pub enum KeptError {
    /// It is of something else, or none of ours.
    Other(String),
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
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut file = File::options().append(true).create_new(true).open(path)?;
                file.write_all(head.as_bytes())?;
                return Ok(Self { file, parts, done: BTreeSet::new() });
            }
            Err(error) => return Err(error.into()),
            Ok(found) if !found.is_file() => return Err(KeptError::Other("it is no file".to_owned())),
            Ok(_) => {}
        }
        let mut file = File::options().read(true).append(true).open(path)?;
        let mut text = String::new();
        let read = (&file).take(LARGEST).read_to_string(&mut text);
        let none_of_ours = || KeptError::Other("it is not what `explore --resume` writes".to_owned());
        read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => none_of_ours(),
            _ => error.into(),
        })?;
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
        let number = |line: &str| line.strip_prefix("done ")?.parse().ok().filter(|part| *part < parts);
        let done: Option<BTreeSet<usize>> = whole.lines().map(number).collect();
        if whole.len() != lines.len() {
            // What was being written is written again, in a line of its own.
            file.set_len((head.len() + whole.len()) as u64)?;
        }
        file.flush()?;
        Ok(Self { file, parts, done: done.ok_or_else(none_of_ours)? })
    }

    /// Notes that `part` was performed and nothing found in it.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn add(&mut self, part: usize) -> io::Result<()> {
        self.file.write_all(format!("done {part}\n").as_bytes())?;
        self.file.sync_data()?;
        self.done.insert(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exploration() -> Exploration {
        Exploration::new(&super::super::PAGES, 2, None).unwrap()
    }

    #[test]
    fn what_was_done_is_there_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explored");
        let mut kept = Kept::open(&path, &exploration(), "abc").unwrap();
        assert_eq!((kept.parts, kept.done.len()), (2, 0));
        kept.add(1).unwrap();
        drop(kept);
        // Killed in the middle of a line.
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"done 0").unwrap();
        let mut kept = Kept::open(&path, &exploration(), "abc").unwrap();
        assert_eq!(kept.done, BTreeSet::from([1]));
        kept.add(0).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("parts 2\ndone 1\ndone 0\n"));
        assert_eq!(Kept::open(&path, &exploration(), "abc").unwrap().done.len(), 2);
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
        let (huge, wrong) = (ours.clone() + "done 2\n", ours + "done x\n");
        for text in ["", "of nothing", "a trace\n", &huge, &wrong, "\u{0}"] {
            fs::write(&path, text).unwrap();
            assert!(!refused(&path, &exploration(), "abc").is_empty(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(refused(&path, &exploration(), "abc").contains("not what"));
        assert!(refused(folder.path(), &exploration(), "abc").contains("no file"));
    }
}
