//! Where commands write to: what takes no files is told before anything runs, a link is followed, and an error has the name that was asked for.

mod program;
mod recorded;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::program;

const TRACE: &str = "host_share_hyp pfn=ram+0x10 => ok\n";
/// What finds something at boot.
const FINDS: &str = "explore --page ram+0x6000 --pins 0 --jobs 1 --fault smmu_left_disabled";

/// `script` with `parallax` as `$P` and `folder` as `$F`, where it may mount what it likes; nothing where this machine forbids that.
fn mounted(folder: &Path, script: &str) -> Option<Output> {
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.env("P", program()).env("F", folder).env("NO_COLOR", "1").current_dir("../..");
        command.stdin(Stdio::null()).output()
    };
    if !run("mount -t tmpfs none \"$F\"").is_ok_and(|output| output.status.success()) {
        eprintln!("left out: this machine mounts nothing for its users");
        return None;
    }
    Some(run(script).expect("a command"))
}

fn parallax(args: &str) -> Output {
    let mut command = Command::new(program());
    command.current_dir("../..").args(args.split(' ')).env("NO_COLOR", "1").stdin(Stdio::null());
    command.output().expect("a command")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.trace"), TRACE).expect("a trace");
    recorded::record(&at("a.plx"), TRACE);
    for args in [
        "fuzz --save @",
        "fuzz --corpus $F",
        "attack --save @",
        "explore --save @",
        "explore --resume @",
        "schedules --save @",
        "mutants traces/good/share.trace --list --save @",
        "run $F/a.trace --record @",
        "report $F/a.plx -o @",
        "report $F/a.plx --perfetto @",
    ] {
        for name in ["new", "there"] {
            // What is there is of the kind that is written.
            fs::write(at("there"), "").expect("a file");
            let args = args.replace('@', &format!("$F/{name}"));
            let read_only = "mount --bind \"$F\" \"$F\" && mount -o remount,ro,bind \"$F\" || exit 77;";
            let begin = Instant::now();
            let Some(output) = mounted(folder.path(), &format!("{read_only} \"$P\" {args}")) else { return };
            let said = error(&output);
            assert_eq!(output.status.code(), Some(2), "{args}: {said}");
            assert!(said.starts_with("error: ") && said.lines().count() == 1, "{args}: {said}");
            assert!(said.contains(": name another "), "{args}: {said}");
            assert!(output.stdout.is_empty() && begin.elapsed() < Duration::from_secs(5), "{args}: {said}");
        }
    }
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
        (at("nowhere/below"), "its folder is not there: make that one first, or name another"),
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

#[test]
fn a_link_to_nothing_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.trace"), TRACE).expect("a trace");
    fs::create_dir(at("below")).expect("a folder");
    for (args, status) in [
        (format!("{FINDS} --save @"), 1),
        ("explore --page ram+0x6000 --pins 0 --jobs 1 --resume @".to_owned(), 0),
        // It has no golden.
        (format!("run {} --record @", at("a.trace").display()), 1),
    ] {
        let (link, file) = (at("link"), at("below/file"));
        symlink("below/file", &link).expect("a link");
        let output = parallax(&args.replace('@', link.to_str().expect("a name")));
        assert_eq!(output.status.code(), Some(status), "{args}: {}", error(&output));
        assert!(link.is_symlink() && file.is_file(), "{args}");
        fs::remove_file(&link).expect("a link");
        fs::remove_file(&file).expect("a file");
    }
}

#[test]
fn a_full_disk_is_told_by_the_name_that_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.trace"), TRACE).expect("a trace");
    recorded::record(&at("a.plx"), TRACE);
    fs::create_dir(at("full")).expect("a folder");
    for args in [
        format!("{FINDS} --save \"$F/full/new\""),
        "run \"$F/a.trace\" --record \"$F/full/new\"".to_owned(),
        "report \"$F/a.plx\" -o \"$F/full/new\"".to_owned(),
    ] {
        let fill = "mount -t tmpfs -o size=8k none \"$F/full\" || exit 77; cat /dev/zero >\"$F/full/rest\" 2>/dev/null;";
        let Some(output) = mounted(folder.path(), &format!("{fill} \"$P\" {args}")) else { return };
        let said = error(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("/full/new: ") && said.contains("No space left on device"), "{args}: {said}");
        assert!(!said.contains(".part"), "{args}: {said}");
        assert_eq!(output.status.code(), Some(125), "{args}: {said}");
    }
}
