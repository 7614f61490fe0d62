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
        "explore --resume @/a.trace --save @/a.trace",
        "mutants @/a.trace --save @/a.trace --list",
        "mutants @/a.trace --allow @/lcov/summary.txt --save @/lcov/summary.txt --list",
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
fn what_is_of_another_kind_is_not_replaced() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("b.trace"), TRACE).expect("a trace");
    fs::write(at("README.md"), "# Read me\n").expect("a text");
    fs::write(at("index.html"), "<!doctype html>\n<title>Another page</title>\n").expect("a page");
    let before = files(folder.path());
    for (args, what) in [
        ("run @/a.trace --record @/b.trace", "recording"),
        ("run @/a.trace --record @/b.trace --format json", "recording"),
        ("run @/a.trace --record @/README.md", "recording"),
        ("run @/a.trace --export events @/README.md", "file of events"),
        ("run @/a.trace --export casemate @/b.plx", "file of events"),
        ("report @/a.plx -o @/README.md", "report"),
        ("report @/a.plx -o @/index.html", "report"),
        ("report @/a.plx --perfetto @/README.md", "trace for Perfetto"),
    ] {
        let output = parallax(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        let said = format!(": it is no {what}: name another file, or remove it\n");
        assert!(error.starts_with("error: ") && error.ends_with(&said), "{args}: {error}");
        assert!(files(folder.path()) == before, "{args}: a file was written");
    }
}

#[test]
fn what_is_no_file_is_told_before_anything_runs() {
    let folder = folder();
    let made = Command::new("mkfifo").arg(folder.path().join("f.trace")).status().expect("a command");
    assert!(made.success());
    let record = ["run @/a.trace --record /dev/full", "run @/a.trace --export events /dev/full"];
    let read = "it is no file: name a trace";
    let traces =
        ["run @/f.trace", "run /dev/zero", "faults @/f.trace", "dump @/f.trace", "explain @/f.trace --op 1"];
    let more = ["events @/f.trace", "diff @/a.trace @/f.trace", "gdb @/f.trace", "coverage @/f.trace"];
    let traces = traces.into_iter().chain(more).map(|args| (args, read));
    for (args, what) in
        record.into_iter().map(|args| (args, "it is no file: name another file")).chain(traces)
    {
        let args = args.replace('@', folder.path().to_str().expect("a name"));
        let mut command = Command::new("timeout");
        let output = command.args(["20", &program()]).args(args.split(' ')).current_dir("../..").output();
        let output = output.expect("a command");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(error.contains(what), "{args}: {error}");
    }
}

#[test]
fn what_is_no_text_is_no_trace() {
    let folder = folder();
    for (args, what) in [
        ("run @/a.plx", "a recording, which cannot be performed again"),
        ("faults @/a.plx", "a recording, which cannot be performed again"),
        ("run /proc/self/exe", "no text, and so no trace"),
    ] {
        let output = parallax(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(error.contains(what), "{args}: {error}");
    }
}

#[test]
fn what_a_command_wrote_before_it_writes_again() {
    let folder = folder();
    fs::remove_file(folder.path().join("a.html")).expect("a link");
    fs::write(folder.path().join("a.html"), "").expect("an empty file");
    for _ in 0..2 {
        let output = parallax(folder.path(), "report @/a.plx");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}");
    }
    let output = parallax(folder.path(), "report @/a.plx --compare @/b.plx -o /dev/null");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_full_disk_is_told_with_its_own_status() {
    let folder = folder();
    for args in ["report @/a.plx -o /dev/full", "report @/a.plx --perfetto /dev/full", "report @/a.plx -o -"]
    {
        let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let args = args.replace('@', folder.path().to_str().expect("a name"));
        let output = Command::new(program()).args(args.split(' ')).stdout(full).output().expect("a command");
        let error = String::from_utf8_lossy(&output.stderr);
        // A recording without events has no trace for Perfetto.
        let status = if args.contains("perfetto") { 2 } else { 125 };
        assert_eq!(output.status.code(), Some(status), "{args}: {error}");
        assert!(status == 2 || error.contains("No space left on device"), "{args}: {error}");
    }
}

#[test]
fn a_file_that_may_not_become_so_large_is_told() {
    let folder = folder();
    let args = "report @/a.plx -o @/large.html".replace('@', folder.path().to_str().expect("a name"));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1; exec \"$0\" \"$@\"", &program()]).args(args.split(' '));
    let output = command.output().expect("a command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{:?}: {error}", output.status);
    assert!(error.contains("File too large"), "{error}");
    assert!(!folder.path().join("large.html").exists(), "half a file was left");
}

/// What is told of a golden that cannot be written: a result waits in a folder on a disk without room.
const ON_A_FULL_DISK: &str = "
set -e
mount -t tmpfs -o size=24k none golden
mkdir golden/good
cp agreed golden/good/a.snap
cp waits golden/good/a.snap.new
cat /dev/zero >golden/rest 2>/dev/null || true
status=0
\"$1\" accept traces/good/a.trace || status=$?
cmp agreed golden/good/a.snap
cmp waits golden/good/a.snap.new
ls -A golden/good
exit $status
";

#[test]
fn a_golden_that_there_is_no_room_for_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("traces/good")).expect("a folder");
    fs::create_dir(at("golden")).expect("a folder");
    fs::write(at("traces/good/a.trace"), "nop\n").expect("a trace");
    for (name, result) in [("agreed", "EPERM"), ("waits", "ok")] {
        let text = format!("---\nsource: golden/traces.rs\n---\n1: nop -> {result}\n");
        fs::write(at(name), text).expect("a golden");
    }
    let mount = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", &program()]);
        command.current_dir(folder.path()).env("NO_COLOR", "1").output()
    };
    if !mount("mount -t tmpfs none golden").is_ok_and(|output| output.status.success()) {
        eprintln!("left out: this machine mounts nothing for its users");
        return;
    }
    let output = mount(ON_A_FULL_DISK).expect("a command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(error.contains("golden/good/a.snap: No space left on device"), "{error}");
    assert!(error.ends_with("0 taken, 1 go on waiting: say it again when that is mended\n"), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a.snap\na.snap.new\n");
}

#[test]
fn what_is_no_golden_is_refused_by_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["traces/good", "golden/good", "hyp/abi"] {
        fs::create_dir_all(at(name)).expect("a folder");
    }
    fs::write(at("hyp/abi/Cargo.toml"), "").expect("the mark of a project");
    fs::write(at("traces/good/a.trace"), "nop\n").expect("a trace");
    let result = "---\nsource: golden/traces.rs\n---\n1: nop -> ok\n";
    let large = fs::File::create(at("large")).expect("a file");
    large.set_len(3 << 30).expect("a hole");
    let made = Command::new("mkfifo").arg(at("pipe")).status().expect("a command");
    assert!(made.success());
    for (there, what) in
        [("/dev/zero", "a device"), ("../../pipe", "a pipe"), ("../../large", "larger than 64 MiB")]
    {
        for (odd, plain) in [
            ("golden/good/a.snap", "golden/good/a.snap.new"),
            ("golden/good/a.snap.new", "golden/good/a.snap"),
        ] {
            symlink(there, at(odd)).expect("a link");
            fs::write(at(plain), result).expect("a golden");
            for args in ["accept", "review --list"] {
                let output =
                    Command::new(program()).args(args.split(' ')).current_dir(folder.path()).output();
                let output = output.expect("a command");
                let error = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{args}: {odd}: {error}");
                let said = format!("{}: {what}, and no golden: remove it", at(odd).display());
                assert!(error.contains(&said), "{args}: {odd}: {error}");
                assert!(fs::symlink_metadata(at(odd)).expect("it is there").is_symlink());
                assert!(fs::symlink_metadata(at(plain)).expect("it is there").is_file());
            }
            fs::remove_file(at(odd)).expect("a link");
            fs::remove_file(at(plain)).expect("a file");
        }
    }
}
