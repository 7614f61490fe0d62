//! What Tab does in a real bash.

use crate::program::program;
use crate::pty::Terminal;
use pty_process::blocking::Command;

#[test]
fn bash_completes_commands_options_values_and_traces() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("traces/good")).unwrap();
    std::fs::write(folder.path().join("traces/good/share.trace"), "nop\n").unwrap();
    let program = std::path::PathBuf::from(program());
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let bash = Command::new("bash").args(["--norc", "--noprofile", "-i"]).current_dir(folder.path());
    let bash = bash.env("PATH", path).env("PS1", "> ").env("TERM", "xterm").env("INPUTRC", "/dev/null");
    let mut terminal = Terminal::start(bash, 120, 30);
    terminal.until(">");
    terminal.keys("source <(parallax completions bash) && echo lo''aded\n");
    terminal.until("loaded\n>");
    for (typed, completed) in [
        ("parallax ru", "parallax run "),
        ("parallax comp", "parallax completions "),
        ("parallax completions fi", "parallax completions fish "),
        ("parallax run --partit", "parallax run --partition "),
        ("parallax run --format mark", "parallax run --format markdown "),
        ("parallax run tra", "parallax run traces/"),
        ("parallax run traces/good/sh", "parallax run traces/good/share.trace "),
        ("parallax dump --view sm", "parallax dump --view smmu "),
        ("parallax attack --fault smmu_snapshot_w", "parallax attack --fault smmu_snapshot_wrong_attr "),
        ("parallax bench lin", "parallax bench linux "),
    ] {
        terminal.keys(typed);
        terminal.keys("\tX");
        // What stands behind the cursor tells where it stood.
        terminal.until(&format!("> {completed}X"));
        terminal.keys("\x15");
        terminal.until_it("an empty line", |screen| screen.trim_end().ends_with("\n>"));
    }
    terminal.keys("exit\n");
    assert_eq!(terminal.ended(), 0);
}
