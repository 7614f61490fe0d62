//! How commands end: exit status, where the words go, and colours only where they are wanted.

mod program;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use program::program;

/// Each command with something that is not there, and how it ends.
const NOT_THERE: &[(&str, i32)] = &[
    ("run nowhere.trace", 2),
    ("run --mode odd", 2),
    ("watch nowhere.trace", 2),
    ("accept nowhere", 2),
    ("bisect --good HEAD --trace nowhere", 2),
    ("attach --gdb nowhere.sock", 2),
    ("attack --ops 0", 2),
    ("fuzz --ops 0", 2),
    ("fuzz --time 8", 2),
    ("schedules --schedules 0", 2),
    ("schedules --with nowhere", 2),
    ("fuzz --seed nowhere", 2),
    ("fuzz --time 9000h", 2),
    ("dump nowhere", 2),
    ("diff nowhere nowhere", 2),
    ("check nowhere", 2),
    ("coverage nowhere", 2),
    ("nightly page --results nowhere", 2),
    ("nightly merge nowhere", 2),
    ("nightly run --partition 2/1", 2),
    ("events nowhere --op 1", 2),
    ("explain nowhere --op 1", 2),
    ("gdb nowhere", 2),
    ("report nowhere", 2),
    ("faults nowhere", 2),
    ("schema nowhere", 2),
    ("completions nowhere", 2),
    ("bench nowhere", 2),
    ("linux --kernel nowhere", 2),
    ("linux --kernel ./nowhere/Image", 2),
    ("odd", 2),
];
const ESCAPE: char = '\u{1b}';

fn parallax(args: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.current_dir("../..").args(args.split(' ')).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().expect("a command")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn what_is_not_there_is_told_on_standard_error_with_the_status_of_its_kind() {
    for (args, status) in NOT_THERE {
        let output = parallax(args, &[]);
        assert_eq!(output.status.code(), Some(*status), "{args}: {}", said(&output));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("error: "), "{args}: {error}");
        assert!(output.stdout.is_empty(), "{args}: {}", said(&output));
        assert!(!error.contains("panicked"), "{args}: {error}");
    }
}

#[test]
fn a_number_that_is_none_is_told_with_what_may_stand_there() {
    let seed = "expected a number from 0 to 18446744073709551615, such as 7 or 0x5";
    for (args, what) in [
        ("fuzz --seed 99999999999999999999", seed),
        ("attack --seed=-1", seed),
        ("schedules --seed 0x", seed),
        ("faults --score --seed x", seed),
        ("schedules --schedules 99999999999999999999", "expected a number from 1 to 10000000"),
        ("fuzz --jobs x", "expected a number from 1 to 64"),
        ("fuzz --time 99999999h", "8760h, a year, is the most"),
    ] {
        let output = parallax(args, &[]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(error.contains(what), "{args}: {error}");
    }
}

#[test]
fn a_part_without_states_says_so() {
    let output = parallax("explore --shard 126/126", &[]);
    let expected = "nothing to do in this part, 126 of 126: there are 125 states\n";
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), expected));
    let output = parallax("explore --shard 126/126 --format json", &[]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&document["performed"], &document["status"]), (&0.into(), &0.into()));
    // The last one that has a state, on a machine.
    let output = parallax("explore --shard 125/126 --jobs 1", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).ends_with("nothing found\n"), "{}", said(&output));
}

#[test]
fn three_operations_of_a_pair_are_told_in_a_line() {
    let with = ["--with"; 3].join(" host_share_hyp ");
    let output = parallax(&format!("schedules {with} host_read"), &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let said = "error: --with host_read: a pair has two operations, and two are named already\n";
    assert_eq!(error, said);
}

#[test]
fn a_full_disk_says_nothing_of_the_revision() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = Command::new(program());
    let output = command.arg("schema").stdout(full).output().expect("a command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(error.starts_with("error: standard output: No space left on device"), "{error}");
}

#[test]
fn why_nothing_was_run_is_told_in_every_form() {
    for (format, texts) in [
        (
            "junit",
            &["<testsuites", "errors=\"1\"", "name=\"harness/parallax/tests/cli/traces/word.trace\""][..],
        ),
        ("github", &["::error file=harness/parallax/tests/cli/traces/word.trace,line=1,title=failed::"]),
        ("json", &["\"error\": \"harness/parallax/tests/cli/traces/word.trace:1:23: "]),
    ] {
        let output =
            parallax(&format!("run harness/parallax/tests/cli/traces/word.trace --format {format}"), &[]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{format}: {printed}");
        assert!(texts.iter().all(|text| printed.contains(text)), "{format}: {printed}");
    }
}

#[test]
fn a_folder_that_is_no_folder_of_traces_is_refused_at_once() {
    for (folder, what) in [("/", "the root of all folders: name one further down"), ("/proc/self/fd/..", "")]
    {
        let begin = std::time::Instant::now();
        let output = parallax(&format!("run {folder}"), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(what), "{}", said(&output));
        assert!(begin.elapsed().as_secs() < 30, "{folder}");
    }
}

/// What `parallax run` says of a QEMU that is this shell script.
fn run_with(script: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("qemu-system-aarch64");
    fs::write(&program, format!("#!/bin/sh\n{script}")).expect("a script");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a program");
    parallax("run traces/good/share.trace", &[("PARALLAX_QEMU", program.to_str().expect("a name"))])
}

#[test]
fn a_qemu_that_does_not_run_the_machine_says_nothing_of_the_revision() {
    let version = "[ \"$1\" = --version ] && echo 'QEMU emulator version 10.0.2' && exit\n";
    for (script, text) in [
        (format!("{version}echo 'no such device' >&2\nexit 1"), "no such device"),
        (format!("{version}exit 0"), "QEMU said nothing"),
        (format!("{version}kill -ABRT $$"), "QEMU did not begin to run the machine"),
        (format!("{version}kill -STOP $$"), "QEMU did not begin to run the machine"),
        ("echo 'QEMU emulator version 9.2.0'".to_owned(), "9.2.0, 10.0.0 or newer is needed"),
        ("exit 1".to_owned(), "or newer is needed"),
    ] {
        let output = run_with(&script);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(125), "{script}: {said}");
        assert!(said.contains(text), "{script}: {said}");
        assert!(!said.contains("did not boot"), "{script}: {said}");
    }
}

#[test]
fn colours_are_there_on_demand_and_never_in_a_pipe() {
    let commands = NOT_THERE.iter().map(|(args, _)| *args).chain(["--help", "run --help", "doctor"]);
    for args in commands {
        assert!(!said(&parallax(args, &[])).contains(ESCAPE), "{args} in a pipe");
        let forced = said(&parallax(args, &[("CLICOLOR_FORCE", "1")]));
        assert!(forced.contains(ESCAPE), "{args}: CLICOLOR_FORCE=1");
        let none = said(&parallax(args, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!none.contains(ESCAPE), "{args}: NO_COLOR=1");
    }
}
