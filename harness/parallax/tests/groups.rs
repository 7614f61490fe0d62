//! Any line of operations that were performed at once stands for all of them.

mod program;
mod recorded;

use std::process::Command;

use program::program;

const TRACE: &str =
    "machine cpus=2\nnop\ntogether 01\nhost_share_hyp pfn=ram+0x10\n# and\n\ncpu=1 nop\nend\nnop\n";

#[test]
fn every_line_of_a_group_is_found_in_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.plx");
    recorded::record(&path, TRACE);
    let parallax = |command: &str, op: &str| {
        let mut parallax = Command::new(program());
        parallax.arg(command).arg(&path).args(["--op", op]).env("NO_COLOR", "1").output().expect("a command")
    };
    let heading = "4: host_share_hyp pfn=ram+0x10; cpu=1 nop -> ok; ok\n";
    for command in ["dump", "events"] {
        for op in ["4", "7"] {
            let output = parallax(command, op);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.starts_with(heading), "{command} {op}: {text}{output:?}");
        }
        let error = parallax(command, "5").stderr;
        let lines = if command == "dump" { "0, 2, 4, 7, 9" } else { "2, 4, 7, 9" };
        let said = format!("error: no operation 5: operations are lines {lines}\n");
        assert_eq!(String::from_utf8_lossy(&error), said, "{command}");
    }
    let error = parallax("explain", "5").stderr;
    assert_eq!(String::from_utf8_lossy(&error), "error: no operation 5: operations are lines 2, 4, 7, 9\n");
    // It is found, and has no events.
    let error = parallax("explain", "7").stderr;
    assert!(String::from_utf8_lossy(&error).contains("recorded without the plugin"), "{error:?}");
}
