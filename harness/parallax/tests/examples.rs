//! The examples in each command's help do what they say: they are run, as far as that takes seconds and not minutes.

mod program;

use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use parallax::cmd::Cli;
use program::program;

/// Examples that are not run here, by how they begin, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("run  ", "all traces: golden/traces.rs does that"),
    ("run traces/good --jobs", "all good traces: golden/traces.rs"),
    ("run --format", "all traces"),
    ("run traces/bad --without-faults", "all bad traces: ci/test"),
    ("run --repeat 20", "twenty runs: ci/test"),
    ("run --machine", "all traces"),
    ("run --target pkvm", "it boots Linuxes: ci/test runs three of these traces"),
    ("explain --target pkvm", "it boots a Linux twice: docs/pkvm.md shows what comes out"),
    ("events --target pkvm", "it boots a Linux twice: ci/test runs it"),
    ("run --partition", "a fifth of all traces"),
    ("watch", "it ends with Ctrl-C only: tests/watch.rs"),
    ("accept", "it would take what waits in this source tree: its own tests"),
    ("review", "it needs a terminal: tests/terminal"),
    ("bisect", "it builds revisions: its own tests"),
    ("attach", "it needs a QEMU that somebody else started: tests/attach"),
    ("attack", "a hundred thousand operations: ci/test runs five thousand"),
    ("fuzz", "a hundred thousand operations, or a night: ci/test runs twenty thousand"),
    ("explore --target", "it boots a Linux, which a fresh checkout does not have: the night does"),
    ("explore --fault", "it finds something, and writes it here: ci/test finds it"),
    ("schedules", "minutes, or it finds something, and writes it here: ci/test does both"),
    ("coverage", "all traces: ci/test"),
    (
        "mutants",
        "it builds the hypervisor again and again, and needs `cargo mutants`: harness/suite, the night",
    ),
    ("nightly", "hours, or it needs a history: tests/nightly"),
    ("gdb --gdb", "it needs a QEMU that somebody else started: tests/attach"),
    ("gdb traces", "it waits for gdb: tests/gdb"),
    ("gdb donate.plx", "it waits for gdb: tests/gdb"),
    ("build", "it takes the lock of every build: ci/test"),
    ("linux", "it boots a Linux: ci/test"),
    ("bench", "minutes of measuring"),
    ("doctor --fix", "it would install packages"),
    ("man ~", "it writes into the user's home"),
];

/// What examples read and others, or a reader, have made before.
const BEFORE: &[(&str, &str)] = &[
    ("share.plx", "run traces/good/share.trace --no-golden --record"),
    ("before.plx", "run traces/good/share.trace --no-golden --record"),
    ("after.plx", "run traces/good/donate.trace --no-golden --record"),
    ("donate.plx", "run traces/good/donate.trace --no-golden --record"),
    ("events.cm", "run traces/good/share.trace --no-golden --export events"),
];

fn parallax(root: &Path, words: &[String]) -> (i32, String) {
    let output = Command::new(program()).current_dir(root).args(words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("no signal"), String::from_utf8_lossy(&said).into_owned())
}

/// The words of an example, up to its explanation or a redirection; files that it reads or writes are in `folder`.
fn words(root: &Path, folder: &Path, example: &str) -> Vec<String> {
    let command =
        example.split("  ").next().and_then(|command| command.split('>').next()).unwrap_or_default();
    let place = |word: &str| {
        let made = [".plx", ".cm", ".html", ".json", ".parts"].iter().any(|end| word.ends_with(end));
        if made && !root.join(word).exists() {
            folder.join(word).display().to_string()
        } else {
            word.to_owned()
        }
    };
    command.split_whitespace().map(place).collect()
}

#[test]
fn every_example_of_the_help_runs() {
    let root = Path::new("../..").canonicalize().expect("the root of the workspace");
    let root = root.as_path();
    let folder = tempfile::tempdir().unwrap();
    for (file, command) in BEFORE {
        let (status, said) = parallax(root, &words(root, folder.path(), &format!("{command} {file}")));
        assert_eq!(status, 0, "{command} {file}: {said}");
    }
    let mut unused: Vec<&str> = NOT_HERE.iter().map(|(begin, _)| *begin).collect();
    for command in Cli::command().get_subcommands() {
        let help = command.get_after_help().expect("an example").to_string();
        for example in help.lines().filter_map(|line| line.trim_start().strip_prefix("parallax ")) {
            if let Some((begin, _)) =
                NOT_HERE.iter().find(|(begin, _)| format!("{example}  ").starts_with(begin))
            {
                unused.retain(|other| other != begin);
                continue;
            }
            let (status, said) = parallax(root, &words(root, folder.path(), example));
            // A comparison may find a difference, a check a finding: those are answers.
            let answers = ["diff", "check", "faults"].contains(&command.get_name());
            assert!(status == 0 || status == 1 && answers, "{example}: {status}\n{said}");
        }
    }
    assert_eq!(unused, Vec::<&str>::new(), "there are no such examples any more");
}
