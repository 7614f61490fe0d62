//! `parallax review` in a real terminal: what is on the screen, and what is in the files afterwards.

use std::fs;
use std::path::Path;

use parallax_report::golden::{self, Place};

use crate::program::program;
use crate::pty::{Terminal, ended_when_closed};
use pty_process::blocking::Command;
use rustix::process::Signal;
use tempfile::TempDir;

const SHARE: &str = "\
2: host_share_hyp pfn=ram+0x10 -> ok
   page ram+0x10000..+0x11000   - host=OWNED hyp=NOPAGE
   page ram+0x10000..+0x11000   + host=SHARED_OWNED hyp=SHARED_BORROWED
3: host_share_hyp pfn=ram+0x10 -> EPERM
4: host_unshare_hyp pfn=ram+0x10 -> ok
   page ram+0x10000..+0x11000   - host=SHARED_OWNED hyp=SHARED_BORROWED
   page ram+0x10000..+0x11000   + host=OWNED hyp=NOPAGE
5: host_unshare_hyp pfn=ram+0x10 -> EPERM
";
const FINDING: &str = "   ! sync/extra smmu ram+0x10000..+0x11000: the SMMU maps what the CPU does not \
                       [cpu: annotated hyp; smmu: RW normal 4K]\n";

fn trace(result: &str) -> String {
    let op = |line: &str| Some(line.split_once(": ")?.1.split_once(" -> ")?.0.to_owned());
    let ops: Vec<String> = result.lines().filter(|line| !line.starts_with(' ')).filter_map(op).collect();
    format!("machine cpus=1\n{}\n", ops.join("\n"))
}

/// A project in which a changed result, one with a finding, one whose trace is gone and a new one wait, and a golden
/// without a trace stands.
fn project() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, old: Option<&str>, new: Option<&str>| {
        let path = root.path().join("traces/good").join(name).with_extension("trace");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let place = Place::of(&path);
        if let Some(text) = new.filter(|_| !name.starts_with("gone")) {
            fs::write(&path, trace(text)).unwrap();
        }
        [(old, place.golden.clone()), (new, place.pending())].into_iter().for_each(|(text, path)| {
            text.into_iter().for_each(|text| golden::save(&place, &path, text).unwrap());
        });
    };
    let changed = SHARE.replacen("EPERM", "ok", 1);
    let found = SHARE.replacen("3: host", &format!("{FINDING}3: host"), 1);
    put("changed", Some(SHARE), Some(&changed));
    put("found", Some(SHARE), Some(&found));
    put("gone", None, Some(SHARE));
    put("new", None, Some(SHARE));
    put("orphan", Some(SHARE), None);
    fs::create_dir_all(root.path().join("hyp/abi")).unwrap();
    fs::write(root.path().join("hyp/abi/Cargo.toml"), "").unwrap();
    root
}

fn command(root: &Path) -> Command {
    // Under nohup SIGHUP is ignored, and what is ignored stays so in what a test starts.
    let command = Command::new("env").args(["--default-signal=HUP", &program()]).current_dir(root);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").arg("review")
}

/// Every file under `golden/` and what is in it.
fn files(root: &Path) -> Vec<(String, String)> {
    let folder = root.join("golden/good");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The screens that a person saw, to be read by one.
fn agreed(name: &str, screen: &str) {
    insta::with_settings!({ snapshot_path => "screens", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, screen);
    });
}

#[test]
fn a_whole_review_leaves_what_cargo_insta_would_leave() {
    let root = project();
    let before = files(root.path());
    let mut terminal = Terminal::start(command(root.path()), 120, 24);
    agreed("wide", &terminal.until("1/4 traces/good/changed.trace"));
    terminal.keys("?");
    agreed("keys", &terminal.until("take the last decision back"));
    terminal.keys("x");
    terminal.until("came out");
    terminal.keys("a");
    terminal.until("2/4 traces/good/found.trace");
    terminal.keys("a");
    agreed("found", &terminal.until("A accepts it even so"));
    terminal.keys("\x1b[D");
    terminal.until("1/4 accepted traces/good/changed.trace");
    terminal.keys("u");
    terminal.until("taken back");
    terminal.keys("asa");
    agreed("gone", &terminal.until("cannot be accepted"));
    terminal.keys("ra");
    agreed("summary", &terminal.until("q write it"));
    assert_eq!(files(root.path()), before, "nothing is written before the end");
    terminal.keys("q");
    assert_eq!(terminal.ended(), 1, "one still waits");
    terminal.until("2 accepted, 1 rejected, 1 goes on waiting");

    let text = |name: &str| before.iter().find(|(file, _)| file == name).unwrap().1.clone();
    let expected = [
        ("changed.snap", text("changed.snap.new")),
        ("found.snap", text("found.snap")),
        ("found.snap.new", text("found.snap.new")),
        ("new.snap", text("new.snap.new")),
        ("orphan.snap", text("orphan.snap")),
    ];
    assert_eq!(files(root.path()), expected.map(|(name, text)| (name.to_owned(), text)));
    assert!(text("changed.snap.new").starts_with("---\nsource: golden/traces.rs\ndescription: "), "metadata");
}

#[test]
fn one_key_accepts_all_in_which_the_same_changed() {
    let root = project();
    for name in ["b", "c"] {
        let path = root.path().join(format!("traces/good/{name}.trace"));
        let changed = SHARE.replacen("EPERM", "ok", 1);
        fs::write(&path, trace(&changed)).unwrap();
        let place = Place::of(&path);
        golden::save(&place, &place.golden, SHARE).unwrap();
        golden::save(&place, &place.pending(), &changed).unwrap();
    }
    let mut terminal = Terminal::start(command(root.path()), 100, 20);
    agreed("group", &terminal.until("group 1/4: 3 × host_share_hyp -> ok instead of EPERM"));
    terminal.keys("g");
    terminal.until("4/6 traces/good/found.trace");
    terminal.keys("qq");
    assert_eq!(terminal.ended(), 1);
    terminal.until("3 accepted, 0 rejected, 3 go on waiting");
    let waiting = files(root.path()).into_iter().filter(|(name, _)| name.ends_with(".new"));
    let waiting: Vec<String> = waiting.map(|(name, _)| name).collect();
    assert_eq!(waiting, ["found.snap.new", "gone.snap.new", "new.snap.new"]);
}

#[test]
fn a_narrow_terminal_and_one_that_changes_its_size_show_everything() {
    let root = project();
    let mut terminal = Terminal::start(command(root.path()), 60, 18);
    agreed("narrow", &terminal.until("1/4 traces/good/changed.trace"));
    terminal.keys("s");
    let found = terminal.until("2/4");
    agreed("narrow_found", &found);
    for word in ["+ ", "annotated hyp", "4K]"] {
        assert!(found.contains(word), "{word} is cut off:\n{found}");
    }
    terminal.resize(120, 18);
    terminal.until("  agreed");
    terminal.keys("w");
    terminal.until("1 of 9");
    terminal.keys("jj");
    terminal.until("3 of 9");
    terminal.keys(" ");
    terminal.until("9 of 9");
    terminal.resize(40, 8);
    // The last line is drawn anew. Sooner, a key may reach the program together with the change of size.
    let small = terminal.until("? keys  q end");
    assert!(small.lines().all(|line| line.chars().count() <= 40), "{small}");
    terminal.keys("q");
    terminal.until("write it");
    terminal.keys("q");
    assert_eq!(terminal.ended(), 1);
}

/// A review in which the first of four results is accepted.
fn one_accepted(root: &Path) -> Terminal {
    let terminal = Terminal::start(command(root), 100, 20);
    terminal.until("1/4");
    terminal.keys("a");
    terminal.until("2/4");
    terminal
}

#[test]
fn leaving_half_way_writes_nothing() {
    for (leave, status) in [("\x03", 130), ("q\x03", 130), ("?\x03", 130)] {
        let root = project();
        let before = files(root.path());
        let mut terminal = one_accepted(root.path());
        terminal.keys(leave);
        assert_eq!(terminal.ended(), status);
        let screen = terminal.until("left without a change");
        assert!(!screen.contains("2/4"), "the screen from before is back:\n{screen}");
        assert_eq!(files(root.path()), before);
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP] {
        let root = project();
        let before = files(root.path());
        let mut terminal = one_accepted(root.path());
        terminal.signal(signal);
        assert_eq!(terminal.ended(), 130, "{signal:?}");
        terminal.until("left without a change");
        assert!(!terminal.in_full_screen(), "{signal:?}");
        assert_eq!(files(root.path()), before, "{signal:?}");
    }
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let root = project();
    let before = files(root.path());
    assert_eq!(ended_when_closed(command(root.path()), "1/4"), Some(130));
    assert_eq!(files(root.path()), before);
}

#[test]
fn an_explanation_is_shown_and_a_key_stops_it() {
    let root = project();
    let mut terminal = Terminal::start(command(root.path()), 100, 20);
    terminal.until("1/4");
    terminal.keys("e");
    // There is no hypervisor in this project: what `parallax explain` says of that is shown.
    let screen = terminal.until("any other key: back");
    assert!(screen.contains("error: "), "{screen}");
    terminal.keys("x");
    terminal.until("came out");
    terminal.keys("\x03");
    assert_eq!(terminal.ended(), 130);
}

#[test]
fn no_color_means_none() {
    for (set, colours) in [(None, true), (Some("1"), false)] {
        let root = project();
        let command =
            set.map_or_else(|| command(root.path()), |set| command(root.path()).env("NO_COLOR", set));
        let mut terminal = Terminal::start(command, 100, 20);
        terminal.until("1/4");
        terminal.keys("sr");
        terminal.until("3/4");
        terminal.keys("\x03");
        terminal.ended();
        assert_eq!(terminal.colours(), colours, "NO_COLOR={set:?}");
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let root = project();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(program());
        command.current_dir(root.path()).arg("review").args(args).output().unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("parallax review --list") && said.contains("parallax accept"), "{said}");
    let output = run(&["--list"]);
    assert_eq!(output.status.code(), Some(1));
    agreed("list", &String::from_utf8(output.stdout).unwrap());
}
