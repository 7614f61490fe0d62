//! `parallax diff` of two recordings whose tables are the same at every moment: one lacks an invalidation.

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use program::program;

/// Exit status and what it prints.
fn parallax(args: &[&str]) -> (i32, String) {
    let output = Command::new(program()).args(args).current_dir("../..").output().expect("the command runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_missing_invalidation_is_a_difference_even_where_no_table_differs() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (trace, whole, lacking) = (at("bad/x.trace"), at("whole.plx"), at("lacking.plx"));
    fs::create_dir(Path::new(&trace).parent().expect("a folder")).expect("a folder");
    fs::write(&trace, "fault smmu_no_tlbi\nhost_donate_hyp pfn=ram+0x4000 => ok\n").expect("a trace");
    let (status, said) = parallax(&["run", &trace, "--no-golden", "--without-faults", "--record", &whole]);
    assert_eq!(status, 0, "{said}");
    let (_, said) = parallax(&["run", &trace, "--no-golden", "--record", &lacking]);
    assert!(Path::new(&lacking).is_file(), "{said}");

    let (status, text) = parallax(&["diff", &whole, &lacking]);
    assert_eq!(status, 1, "{text}");
    for line in [
        "\n-   event cpu0 SMMU CMD_TLBI_S2_IPA",
        "\n+   ! protocol/released-unclean smmu ram+0x4000000..+0x4001000: ",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    for (only, status) in [("tables", 0), ("results", 0), ("findings", 1), ("events", 1), ("counts", 1)] {
        let (came, text) = parallax(&["diff", &whole, &lacking, "--only", only]);
        assert_eq!((came, text.is_empty()), (status, status == 0), "--only {only}: {text}");
    }
    assert_eq!(parallax(&["diff", &lacking, &lacking]), (0, String::new()));
    assert_eq!(
        parallax(&["diff", &lacking, &trace]),
        (0, String::new()),
        "a trace is what was recorded of it"
    );
}

#[test]
fn a_revision_is_held_against_the_working_tree() {
    let trace = "traces/good/donate.trace";
    let (status, text) = parallax(&["diff", trace, "--rev", "no-such-revision"]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("no commit is called `no-such-revision` here"), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let recording = folder.path().join("x.plx").display().to_string();
    let (status, text) = parallax(&["run", trace, "--no-golden", "--record", &recording]);
    assert_eq!(status, 0, "{text}");
    let (status, text) = parallax(&["diff", &recording, "--rev", "HEAD"]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("--rev wants a trace"), "{text}");
}

#[test]
fn a_trace_that_a_revision_has_otherwise_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let git = Command::new("git").arg("-C").arg(root).args(who).args(words).output().expect("git");
        assert!(git.status.success(), "{words:?}: {git:?}");
    };
    for (path, text) in
        [("traces/good/a.trace", "nop\n"), ("hyp/abi/Cargo.toml", ""), ("Cargo.toml", "[workspace]\n")]
    {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "m"]);
    let diff = || {
        let mut diff = Command::new(program());
        diff.current_dir(root).args(["diff", "traces/good/a.trace", "--rev", "HEAD"]);
        String::from_utf8_lossy(&diff.output().expect("parallax").stderr).into_owned()
    };
    let note = "traces/good/a.trace is another trace at HEAD";
    assert!(!diff().contains(note));
    fs::write(root.join("traces/good/a.trace"), "nop\nnop\n").expect("a file");
    assert!(diff().contains(note), "{}", diff());
}
