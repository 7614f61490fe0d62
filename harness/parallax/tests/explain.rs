//! docs/explain.md, docs/start.md and docs/schedules.md show what the commands print, and a recording tells the same as its trace.
//!
//! What any change of the hypervisor moves is not compared: line numbers, addresses of code and of tables, positions
//! in a queue, and the instructions around the one that is shown.

mod program;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use program::program;

/// The pages, and how an output begins there. Those of the start are no `console` blocks, which another test compares word by
/// word.
const PAGES: [(&str, &str); 2] = [
    ("docs/explain.md", "```console\n$ parallax explain "),
    ("docs/start.md", "```text\n$ parallax explain "),
];

fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// What the command prints.
fn parallax(args: &str) -> String {
    let output = Command::new(program())
        .args(args.split_whitespace())
        .current_dir(root())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "parallax {args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// `text` without what does not count.
fn steady(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("        0x"));
    lines.map(|line| steady_line(line) + "\n").collect()
}

fn steady_line(line: &str) -> String {
    if let Some(instruction) = line.strip_prefix("      > ") {
        // The mnemonic: registers are the compiler's choice.
        return instruction.split_whitespace().nth(1).unwrap_or_default().to_owned();
    }
    if line.starts_with("      ") {
        // What there is to say of a finding: which event of the run it was moves with anything.
        let number = |word: &str| word.starts_with("0x") || word.trim_end_matches(')').parse::<u64>().is_ok();
        let words = line.split_whitespace().map(|word| match word.split_once(".rs:") {
            Some((file, _)) => file.to_owned(),
            None if number(word) => "N".to_owned(),
            None => word.to_owned(),
        });
        return words.collect::<Vec<_>>().join(" ");
    }
    let instruction = line.starts_with("then");
    let place_of_table = line.contains("table at ");
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let word = word.split("+0x").next().filter(|_| word.starts_with('<')).unwrap_or(word);
        words.push(match word.split_once(".rs:") {
            Some((file, _)) => format!("{file}.rs"),
            None if place_of_table && word.starts_with("0x") => "0x".to_owned(),
            None if instruction && (word.starts_with("0x") || word.starts_with('x')) => "operand".to_owned(),
            None => word.to_owned(),
        });
    }
    words.join(" ")
}

#[test]
fn the_pages_show_what_the_command_prints() {
    for (page, prompt) in PAGES {
        check(page, prompt);
    }
}

fn check(page: &str, prompt: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).expect(page);
    let mut parts = text.split(prompt);
    let mut new = parts.next().unwrap_or_default().to_owned();
    let mut shown = 0;
    let mut differs = String::new();
    for part in parts {
        let (args, rest) = part.split_once('\n').expect("a command on a line");
        let (expected, after) = rest.split_once("```").expect("the end of a block");
        let actual = parallax(&format!("explain {args}"));
        if steady(expected) != steady(&actual) {
            differs += &format!("$ parallax explain {args}\n{actual}\n");
        }
        new += &format!("{prompt}{args}\n{actual}```{after}");
        shown += 1;
    }
    assert_eq!(shown, 3, "{page} shows three faults");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, new).unwrap();
    } else {
        assert!(differs.is_empty(), "{page} is out of date (UPDATE_DOCS=1 writes it anew):\n{differs}");
    }
}

#[test]
fn the_page_of_schedules_shows_what_the_command_prints() {
    let page = fs::read_to_string(root().join("docs/schedules.md")).expect("the page");
    let (_, part) = page.split_once("```text\n$ parallax schedules ").expect("a sample");
    let (args, rest) = part.split_once('\n').expect("a command on a line");
    let (expected, _) = rest.split_once("```").expect("the end of a block");
    let args: Vec<&str> = args.split_whitespace().collect();
    let folder = tempfile::tempdir().expect("a folder");
    let into = format!("{}/", folder.path().display());
    let args = args
        .iter()
        .map(|word| if word.ends_with(".trace") { into.clone() + word } else { (*word).to_owned() });
    let output =
        Command::new(program()).arg("schedules").args(args).current_dir(root()).output().expect("a command");
    let actual = String::from_utf8_lossy(&output.stdout).replace(&into, "");
    assert_eq!(output.status.code(), Some(1), "{actual}");
    assert_eq!(steady(expected), steady(&actual), "docs/schedules.md is out of date:\n{actual}");
}

#[test]
fn a_recording_tells_the_same_as_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("a.plx");
    let recording = recording.to_str().unwrap();
    let trace = "traces/good/donate.trace";
    parallax(&format!("run {trace} --no-golden --record {recording}"));
    let line = fs::read_to_string(root().join(trace)).unwrap();
    let line = 1 + line.lines().position(|line| line.starts_with("host_donate_hyp")).unwrap();
    let told = parallax(&format!("explain {recording} --op {line}"));
    assert_eq!(told, parallax(&format!("explain {trace} --op {line}")));
    assert!(told.contains("now 0x2000000000000002  annotated hyp"), "{told}");
    assert!(told.contains("then  cpu0 tlbi ipas2e1is") && told.contains("CMD_TLBI_S2_IPA"), "{told}");
    assert!(!told.contains("nothing in this operation"), "{told}");
    for (args, named) in [("--ipa ram+0x20000", "--ipa 0x40020000"), ("--sid 8", "--sid 0x8")] {
        let told = parallax(&format!("explain {recording} --op {line} {args}"));
        assert_eq!(told, parallax(&format!("explain {recording} --op {line} {named}")));
    }
    let events = parallax(&format!("events {recording} --op {line}"));
    assert_eq!(events, parallax(&format!("events {trace} --op {line}")));
    assert!(events.contains("invalidate tlbi ipas2e1is"), "{events}");
    // A recording does not say how many instructions there were before its first operation.
    let counted = |source: &str| {
        parallax(&format!("events {source}")).lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(counted(recording), counted(trace));
}
