//! What stands in a recording, a log, a golden or a name steers no terminal, whichever command shows it.

mod program;
mod recorded;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use program::program;

/// What clears a screen, what does so in one byte of Latin 1, and what turns the order of letters round.
const STEERING: [&str; 3] = ["\u{1b}[2J", "\u{9b}2J", "\u{202e}"];
const TRACE: &str = "host_share_hyp pfn=ram+0x10\nnop\n";

/// All that `parallax` says on a terminal with colours.
fn said(folder: &Path, args: &str) -> String {
    let mut command = Command::new(program());
    command.current_dir(folder).args(args.split(' ')).stdin(Stdio::null());
    let output = command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").output().expect("a command");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// `line` of a recording with `what` behind the text of its operation, seen by a plugin, and with a finding.
fn with(line: &str, what: &str) -> String {
    let what = what.replace('\u{1b}', "\\u001b");
    let (before, text) = line.split_once("\"text\":\"").expect("an operation");
    let (text, after) = text.split_once('"').expect("its end");
    let event = "[1,0,8,\"0x1000\",\"0x0\",\"0x2000\",\"0x3\"]";
    let (fields, _) = after.trim_end().rsplit_once('}').expect("the end of a line");
    format!(
        "{before}\"text\":\"{text}{what}\"{fields},\"events\":[{event}],\"findings\":[{{\"rule\":\"sync/extra\",\
         \"space\":\"smmu\",\"span\":[\"0x0\",\"0x1000\"],\"subject\":\"a{what}\",\"message\":\"b{what}\",\
         \"views\":[[\"cpu\",\"c{what}\"],[\"smmu\",\"d\"]]}}]}}\n"
    )
}

#[test]
fn what_stands_in_an_argument_is_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    for steering in STEERING {
        for args in ["fuzz --seed @", "fuzz @", "@", "fuzz --fault @", "run --mode @", "explore --@"] {
            let said = said(folder.path(), &args.replace('@', steering));
            assert!(said.contains("\\u{"), "{args}: {said:?}");
            assert!(!said.contains(steering), "{args}: {said:?}");
        }
    }
}

#[test]
fn what_is_in_a_recording_is_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    recorded::record(&at("plain.plx"), TRACE);
    let lines = recorded::lines(&at("plain.plx"));
    for steering in STEERING {
        let mut hostile = lines.clone();
        for line in &mut hostile[2..4] {
            *line = with(line, steering);
        }
        recorded::write(&at("a.plx"), &hostile);
        for args in
            ["dump a.plx", "dump a.plx --op 1 --view all", "explain a.plx --op 1", "diff a.plx plain.plx"]
        {
            let said = said(folder.path(), args);
            assert!(said.contains("host_share_hyp pfn=ram+0x10") || said.contains("nop"), "{args}: {said:?}");
            assert!(said.contains("\\u{"), "{args}: {said:?}");
            assert!(!said.contains(steering), "{args}: {said:?}");
        }
    }
}

#[test]
fn what_is_in_a_log_or_a_name_is_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "../protocol/tests/rules/bad_no_tlbi.cm";
    let good = fs::read_to_string(rules).expect("a log");
    for steering in STEERING {
        let lines = [
            good.replace(" \"hyp", &format!(" \"{steering}hyp")),
            format!("({steering} 1 0)\n"),
            format!("(lock 1 0 {steering})\n"),
        ];
        for log in lines {
            let name = format!("a{steering}.cm");
            fs::write(folder.path().join(&name), log).expect("a file");
            let said = said(folder.path(), &format!("check {name}"));
            assert!(said.contains("\\u{") && !said.contains(steering), "{said:?}");
        }
        for args in ["run", "check", "dump", "report", "accept"] {
            let said = said(folder.path(), &format!("{args} nowhere{steering}.plx"));
            assert!(said.contains("nowhere\\u{") && !said.contains(steering), "{args}: {said:?}");
        }
    }
}
