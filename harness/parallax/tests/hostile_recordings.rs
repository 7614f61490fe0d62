//! Recordings that were made to do harm: each command refuses them with the line, within its memory.

mod program;
mod recorded;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use parallax_abi::journal::kind;
use program::program;

const TRACE: &str = "host_share_hyp pfn=ram+0x10\nnop\n";
/// Every command that reads a recording to its end, and all of it.
const COMMANDS: [&str; 6] = [
    "dump a.plx",
    "diff a.plx plain.plx",
    "events a.plx",
    "explain a.plx --op 2",
    "report a.plx -o -",
    "report a.plx --perfetto -",
];
/// This one reads texts and results first, and the rest where its user goes.
const GDB: &str = "gdb a.plx --port 0";
/// Address space that a command may take, in KiB.
const MEMORY: u64 = 2 << 20;

/// What becomes of `parallax` with `args` in `folder`.
fn parallax(folder: &Path, args: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh", &program()]).args(args.split(' '));
    command.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", "1").env_remove("RUST_BACKTRACE");
    command.output().expect("a command")
}

/// A folder with the recording `plain.plx`, and its lines.
fn plain() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plain.plx");
    recorded::record(&path, TRACE);
    let mut lines = recorded::lines(&path);
    // What was found at the imaginary machine is of no interest here.
    for line in &mut lines {
        if let Some((before, _)) = line.split_once(",\"findings\":") {
            *line = format!("{before}}}\n");
        }
    }
    (folder, lines)
}

/// All of `commands` refuse the recording of `lines` in `folder`, with `what`.
fn assert_refused(folder: &Path, commands: &[&str], lines: &[String], what: &str) {
    recorded::write(&folder.join("a.plx"), lines);
    for args in commands {
        let output = parallax(folder, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {args}: {error}");
        assert!(error.starts_with("error: a.plx:") && error.contains(what), "{what}: {args}: {error}");
        assert!(output.stdout.is_empty(), "{what}: {args}");
    }
}

/// `line` with `fields` at its end.
fn with(line: &str, fields: &str) -> String {
    let (line, _) = line.trim_end().rsplit_once('}').expect("the end of a line");
    format!("{line},{fields}}}\n")
}

/// A list of `count` times `item`.
fn list(item: &str, count: usize) -> String {
    format!("[{}]", vec![item; count].join(","))
}

#[test]
fn what_is_malformed_ends_with_2_wherever_it_stands() {
    let (folder, lines) = plain();
    for (number, line) in lines.iter().enumerate().skip(1).take(3) {
        let mut damaged = lines.clone();
        damaged[number] = line.replacen("\"text\"", "\"colour\"", 1);
        let what = format!("a.plx:{}: column ", number + 1);
        assert_refused(folder.path(), &[&COMMANDS[..], &[GDB]].concat(), &damaged, &what);
    }
}

#[test]
fn no_list_takes_more_memory_than_it_may() {
    let (folder, mut lines) = plain();
    let version = "\"parallax_recording\":";
    let (before, behind) = lines[0].split_once(version).expect("the version of its form");
    let behind = behind.trim_start_matches(|c: char| c.is_ascii_digit());
    lines[0] = format!("{before}{version}2{behind}");
    let millions = [
        ("findings", list("\"\"", 4_000_000), "more than 16384 items in a list"),
        (
            "events",
            list("[1,0,8,\"0x0\",\"0x0\",\"0x0\",\"0x0\"]", 4_500_000),
            "more than 4194304 items in a list",
        ),
    ];
    for (field, list, what) in millions {
        let mut hostile = lines.clone();
        hostile[3] = with(&lines[3], &format!("\"{field}\":{list}"));
        assert_refused(folder.path(), &COMMANDS, &hostile, "a.plx:4: column ");
        let error = parallax(folder.path(), "dump a.plx").stderr;
        assert!(String::from_utf8_lossy(&error).contains(what), "{field}");
    }
    // No operation has too many of them, but all have.
    let findings = format!("\"findings\":{}", list("\"\"", 16_000));
    let entry = |number: usize| {
        let line = lines[2].replacen("\"op\":1", &format!("\"op\":{number}"), 1);
        with(&line.replacen("\"line\":1", &format!("\"line\":{number}"), 1), &findings)
    };
    let mut hostile = vec![lines[0].clone(), lines[1].clone()];
    hostile.extend((1..20).map(entry));
    hostile.push("{\"entries\":20}\n".to_owned());
    recorded::write(&folder.path().join("a.plx"), &hostile);
    let output = parallax(folder.path(), "report a.plx -o -");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error, "error: a.plx:19: more than 262144 findings up to here\n");
}

#[test]
fn numbers_at_their_end_are_refused_or_shown_and_never_a_panic() {
    let (folder, lines) = plain();
    for kind in [kind::ERET, kind::MARK] {
        for count in [u64::MAX, (1 << 56) + 1] {
            let mut hostile = lines.clone();
            hostile[2] =
                with(&lines[2], &format!("\"events\":[[{kind},0,8,\"0x0\",\"0x0\",\"{count:#x}\",\"0x0\"]]"));
            assert_refused(
                folder.path(),
                &COMMANDS,
                &hostile,
                &format!("a.plx:3: an event that counts {count:#x} instructions"),
            );
        }
    }
    // Whatever else is a number: the command may show it or refuse it.
    for number in 0..lines.len() {
        let digits: Vec<usize> = numbers(&lines[number]);
        for at in digits {
            let mut hostile = lines.clone();
            hostile[number] = with_number(&lines[number], at);
            recorded::write(&folder.path().join("a.plx"), &hostile);
            for args in ["dump a.plx --view all", "explain a.plx --op 1", "report a.plx -o -"] {
                let output = parallax(folder.path(), args);
                let error = String::from_utf8_lossy(&output.stderr);
                let status = output.status.code();
                assert!(matches!(status, Some(0..=2)), "{args}: {status:?} {error}: {}", hostile[number]);
            }
        }
    }
}

/// Where numbers begin in `line`: decimal ones, and hexadecimal ones behind their `0x`.
fn numbers(line: &str) -> Vec<usize> {
    let bytes = line.as_bytes();
    let starts = |&at: &usize| {
        let before = &line[..at];
        let decimal = bytes[at].is_ascii_digit() && before.ends_with([':', ',', '[']);
        let hexadecimal = bytes[at].is_ascii_hexdigit() && before.ends_with("\"0x");
        decimal || hexadecimal
    };
    (1..bytes.len()).filter(starts).collect()
}

/// `line` with the largest number in place of that at `at`.
fn with_number(line: &str, at: usize) -> String {
    let (before, rest) = line.split_at(at);
    let (largest, digits): (&str, fn(char) -> bool) = match before.ends_with("\"0x") {
        true => ("ffffffffffffffff", |c| c.is_ascii_hexdigit()),
        false => ("18446744073709551615", |c| c.is_ascii_digit()),
    };
    format!("{before}{largest}{}", rest.trim_start_matches(digits))
}

#[test]
fn a_text_that_is_longer_than_any_recordings_is_refused_before_it_is_read() {
    let (folder, lines) = plain();
    let path = folder.path().join("a.plx");
    recorded::write(&path, &lines);
    let mut bytes = fs::read(&path).expect("a recording");
    // A frame that says that it is unpacked to 100 GiB: magic number,
    // a descriptor with a size of eight bytes and one segment, and an empty last block (RFC 8878).
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    bomb.extend((100_u64 << 30).to_le_bytes());
    bomb.extend([1, 0, 0]);
    bytes.extend(bomb);
    fs::write(&path, bytes).expect("a file");
    for args in COMMANDS.iter().chain([&GDB]) {
        let output = parallax(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {error}");
        assert!(error.starts_with("error: a.plx: more than 4 GiB, unpacked"), "{args}: {error}");
    }
}
