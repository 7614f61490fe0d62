//! Where commands write to: what takes no files is told before anything runs, a link is followed, and an error has the name that was asked for.

mod program;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::program;

fn parallax(args: &str) -> Output {
    let mut command = Command::new(program());
    command.current_dir("../..").args(args.split(' ')).env("NO_COLOR", "1").stdin(Stdio::null());
    command.output().expect("a command")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_corpus_that_can_be_no_folder_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    symlink("nowhere", at("link")).expect("a link");
    fs::write(at("file"), "x").expect("a file");
    for (name, what) in [
        (at("link"), "a link to nowhere, which is not there: make that folder, or name another one"),
        (at("file"), "it is no folder: name one, or none yet"),
        (at("file/below"), "no folder can be made there: Not a directory"),
        ("/proc/self".into(), "the folder takes no files: "),
    ] {
        let begin = Instant::now();
        let output = parallax(&format!("fuzz --corpus {}", name.display()));
        let said = error(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: --corpus ") && said.contains(what), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{said}");
    }
}
