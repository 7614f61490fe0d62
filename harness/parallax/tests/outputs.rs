//! What a command writes never replaces what it reads, and a file that cannot be written is told.

mod program;
mod recorded;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::program;
use tempfile::TempDir;

const TRACE: &str = "host_share_hyp pfn=ram+0x10 => ok\n";

/// A folder with a trace and its golden, two recordings, a list of lines, and other names for each: `NAME.hard`,
/// `NAME.soft`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.trace"), TRACE).expect("a trace");
    fs::write(at("a.snap"), "---\nsource: x\n---\n1: nop -> ok\n").expect("a golden");
    fs::create_dir(at("lcov")).expect("a folder");
    fs::write(at("lcov/summary.txt"), "# nothing\n").expect("a list");
    recorded::record(&at("a.plx"), TRACE);
    recorded::record(&at("b.plx"), TRACE);
    for name in ["a.trace", "a.snap", "a.plx", "b.plx"] {
        fs::hard_link(at(name), at(&format!("{name}.hard"))).expect("a hard link");
        symlink(name, at(&format!("{name}.soft"))).expect("a link");
    }
    symlink("a.plx", at("a.html")).expect("a link");
    folder
}

/// `parallax` with `args`, in which `@` is `folder`; in the source tree.
fn parallax(folder: &Path, args: &str) -> Output {
    let args = args.replace('@', folder.to_str().expect("a name"));
    let mut command = Command::new(program());
    command.current_dir("../..").args(args.split(' ')).stdin(Stdio::null());
    command.env("NO_COLOR", "1").output().expect("a command")
}

/// Every file of `folder` and what is in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true => files.extend(self::files(&entry)),
            false => files.push((entry.display().to_string(), fs::read(&entry).expect("a file"))),
        }
    }
    files.sort();
    files
}

#[test]
fn what_a_command_reads_it_does_not_write() {
    let folder = folder();
    let before = files(folder.path());
    for args in [
        "run @/a.trace --record @/a.trace",
        "run @/a.trace --record @/./a.trace",
        "run @/a.trace --record @/a.trace.hard",
        "run @/a.trace --record @/a.trace.soft",
        "run @/a.trace.soft --record @/a.trace",
        "run @/a.trace --record @/a.snap",
        "run @/a.trace --record @/a.snap.hard",
        "run @/a.trace --record @/a.snap.new",
        "run @/a.trace --export casemate @/a.trace",
        "run @/a.trace --export casemate @/a.trace.soft",
        "run @/a.trace --record @/new --export casemate @/new",
        "run @/a.trace --record @/new --export casemate @/lcov/../new",
        "report @/a.plx -o @/a.plx",
        "report @/a.plx -o @/a.plx.hard",
        "report @/a.plx -o @/a.plx.soft",
        "report @/a.plx",
        "report @/a.plx --compare @/b.plx -o @/b.plx",
        "report @/a.plx --compare @/b.plx -o @/b.plx.soft",
        "report @/a.plx --perfetto @/a.plx",
        "report @/a.plx --perfetto @/lcov/../a.plx.hard",
        "coverage @/a.trace --lcov @/lcov --allow @/lcov/summary.txt",
    ] {
        let output = parallax(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(error.starts_with("error: ") && error.ends_with(": name another file\n"), "{args}: {error}");
        assert!(files(folder.path()) == before, "{args}: a file was written");
    }
}

#[test]
fn what_a_command_wrote_before_it_writes_again() {
    let folder = folder();
    fs::remove_file(folder.path().join("a.html")).expect("a link");
    for _ in 0..2 {
        let output = parallax(folder.path(), "report @/a.plx");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}");
    }
    let output = parallax(folder.path(), "report @/a.plx --compare @/b.plx -o /dev/null");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
