//! Files that a command writes: none of them is one that it reads, whatever either is called.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_machine::place::{folder_of, led_to};
use parallax_report::whole_file;

use super::output::print;

/// Lines of a trace that are shown.
const MAX_SHOWN: usize = 100;

/// What makes two names the same file.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Device and inode of what is there.
    There(u64, u64),
    /// The folder, without links, and the name of what is not there yet.
    New(PathBuf, OsString),
}

impl Identity {
    /// The file that `path` leads to. None is what cannot be lost, such as a pipe, and what cannot be reached.
    fn at(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(there) => there.is_file().then(|| Self::There(there.dev(), there.ino())),
            Err(_) => {
                let path = led_to(path);
                let folder = fs::canonicalize(folder_of(&path)).ok()?;
                Some(Self::New(folder, path.file_name()?.to_owned()))
            }
        }
    }
}

/// Refuses `outputs`, each with the argument that names it, if one of them is one of `inputs`, or another output.
pub(super) fn apart(outputs: &[(&str, &Path)], inputs: &[&Path]) -> Result<(), Failure> {
    let mut taken: Vec<(Identity, String)> = inputs
        .iter()
        .filter_map(|path| Some((Identity::at(path)?, format!("is {}, which is read", path.display()))))
        .collect();
    for (argument, path) in outputs {
        let Some(file) = Identity::at(path) else { continue };
        if let Some((_, what)) = taken.iter().find(|(known, _)| *known == file) {
            let path = path.display();
            return Err(Failure::usage(format!("{argument} {path}: that file {what}: name another file")));
        }
        taken.push((file, format!("is written by {argument}, too")));
    }
    Ok(())
}

/// Refuses `--save path` where nothing could be written later: what is to be saved takes time to find.
pub(super) fn can_be_saved(path: Option<&PathBuf>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    if let Some(what) = waits(path) {
        return Err(Failure::usage(format!("--save {}: {what}: name a file", path.display())));
    }
    can_be_written("--save", path)
}

/// What `path` is, where a write to it fails or waits until somebody reads, maybe for good. A pipe that this process was started with has
/// no name that leads to it, and a reader.
fn waits(path: &Path) -> Option<&'static str> {
    let kind = fs::metadata(fs::canonicalize(path).ok()?).ok()?.file_type();
    match () {
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => None,
    }
}

/// Refuses the `path` that `argument` names where nothing could be written later.
pub(super) fn can_be_written(argument: &str, path: &Path) -> Result<(), Failure> {
    let refused =
        |what: &str| Failure::usage(format!("{argument} {}: {what}: name another file", path.display()));
    if path.is_dir() {
        return Err(refused("a folder"));
    }
    let here = Identity::at(path);
    if here.is_some()
        && ["/proc/self/fd/1", "/proc/self/fd/2"].iter().any(|fd| Identity::at(Path::new(fd)) == here)
    {
        return Err(refused("the output goes there"));
    }
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    // What is there is replaced: that, too, takes a file beside it.
    let path = led_to(path);
    let folder = folder_of(&path);
    if !folder.is_dir() {
        return Err(refused("its folder is not there"));
    }
    let tried = tempfile::tempfile_in(folder).is_ok();
    if tried { Ok(()) } else { Err(refused("its folder takes no files")) }
}

/// Refuses the `path` that `argument` names where nothing could be added later.
pub(super) fn can_be_added_to(argument: &str, path: &Path) -> Result<(), Failure> {
    if !path.is_file() {
        return can_be_written(argument, path);
    }
    let opened = File::options().append(true).open(path).map(drop);
    opened.map_err(|why| Failure::usage(format!("{argument} {}: {why}: name another file", path.display())))
}

/// Writes the trace `text` of what was found to `path`, and says so. It took time to find: where it cannot be written it is
/// printed.
pub(super) fn save(path: &Path, text: &str) -> Result<()> {
    say_saved(path, written(Some(path), text), text)
}

/// Writes `text` to `path`, if there is one, without a word: what is said of it, as [`say_saved`] does, may reach nobody any more.
pub(super) fn written(path: Option<&Path>, text: &str) -> io::Result<()> {
    path.map_or(Ok(()), |path| whole_file::write(path, text.as_bytes()))
}

/// Says that the trace `text` was `written` to `path`, or prints it where that failed.
pub(super) fn say_saved(path: &Path, written: io::Result<()>, text: &str) -> Result<()> {
    if let Err(error) = written {
        print(&format!("as a trace:\n{text}"))?;
        return Err(Failure::file(format_args!("{}: cannot be written", path.display()), &error).into());
    }
    print(&format!("written to {}\n", path.display()))
}

/// What is said of a trace that is no proof by itself: it was not `shown`, as it takes what `else_needed` says. Where the search for a
/// shorter one ended before that was known, that is said.
pub(super) fn of_trace(cancelled: bool, shown: Option<bool>, else_needed: &str) -> Result<Status> {
    match (cancelled, shown) {
        (true, _) => print("interrupted: the trace is as short as it was by then\n")?,
        (false, None) => print("QEMU was killed: the trace is as short as it was by then\n")?,
        (false, Some(false)) => {
            print(&format!("the trace below does not show it by itself: it takes {else_needed}\n"))?
        }
        (false, Some(true)) => (),
    }
    Ok(if cancelled { Status::Interrupted } else { Status::Diverged })
}

/// How a command ends whose document tells what was found: as it does with a text, where the user `cut` short the search for a shorter
/// trace.
pub(super) fn beside_a_document(cut: bool) -> Status {
    if cut {
        parallax_engine::note!("interrupted: the trace is as short as it was by then");
        return Status::Interrupted;
    }
    Status::Diverged
}

/// Says that the trace `text` of what was found was `written` to `path`, or prints it where there is none.
pub(super) fn tell(path: Option<&Path>, written: io::Result<()>, text: &str) -> Result<()> {
    match path {
        Some(path) => say_saved(path, written, text),
        None if text.lines().count() > MAX_SHOWN => print("the trace is long: --save FILE writes it\n"),
        None => print(&format!("as a trace:\n{text}")),
    }
}

/// As [`save`], where a program reads the output.
pub(super) fn save_silently(path: &Path, text: &str) -> Result<()> {
    let cannot = |error| Failure::file(format_args!("{}: cannot be written", path.display()), &error);
    Ok(whole_file::write(path, text.as_bytes()).map_err(cannot)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "x").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("a", at("soft")).unwrap();
        symlink(".", at("here")).unwrap();
        let refused = |output: &str| apart(&[("-o", &at(output))], &[&at("a")]).is_err();
        for output in ["a", "hard", "soft", "./a", "here/a", "here/here/soft"] {
            assert!(refused(output), "{output}");
        }
        for output in ["b", "here/b", "nowhere/a"] {
            assert!(!refused(output), "{output}");
        }
        let both = |first: &str, second: &str| apart(&[("-a", &at(first)), ("-b", &at(second))], &[]);
        assert!(both("b", "here/b").is_err() && both("hard", "soft").is_err());
        assert!(both("b", "c").is_ok());
        symlink("new", at("link")).unwrap();
        assert!(both("new", "link").is_err());
    }

    #[test]
    fn where_nothing_can_be_saved_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: PathBuf| can_be_saved(Some(&path)).is_err();
        assert!(refused(folder.path().to_owned()) && refused(folder.path().join("nowhere/a")));
        assert!(!refused(folder.path().join("a")) && can_be_saved(None).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_waits_for_a_reader_is_not_saved_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        symlink("pipe", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, what) in [("pipe", "a pipe"), ("link", "a pipe"), ("socket", "a socket")] {
            let error = can_be_saved(Some(&at(name))).unwrap_err();
            assert!(error.message.ends_with(&format!("/{name}: {what}: name a file")), "{}", error.message);
        }
        // A shell gives such names to what it starts beside a command, which reads.
        let (_reader, writer) = io::pipe().unwrap();
        let given = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        for path in [&given, "/dev/null"] {
            assert!(can_be_saved(Some(&PathBuf::from(path))).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_lost_may_be_written_twice() {
        let null = Path::new("/dev/null");
        assert!(apart(&[("-a", null), ("-b", null)], &[null]).is_ok());
    }
}
