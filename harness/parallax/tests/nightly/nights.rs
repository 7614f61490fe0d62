//! Nights with a stand-in for the command, which does as a plan says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use parallax_nightly::History;
use parallax_nightly::history::Night;
use serde_json::{Value, json};

use crate::program::program;

pub(crate) const GOOD: &str = "traces/good/a.trace";
pub(crate) const BAD: &str = "traces/bad/f.trace";
/// A short night.
pub(crate) const SHORT: &[&str] = &["run", "--short"];

/// What the stand-in does.
pub(crate) struct Plan {
    /// Verdicts of [`GOOD`] and [`BAD`].
    pub(crate) verdicts: [&'static str; 2],
    /// What is found in a trace in which something is.
    pub(crate) text: String,
    /// The trace that is in order when it is run again.
    pub(crate) flaky: &'static str,
    /// The same changed in both.
    pub(crate) alike: bool,
    /// What is complained of beside traces.
    pub(crate) complaint: &'static str,
    /// Instructions of an operation.
    pub(crate) instructions: u64,
    /// The first step that lists faults fails.
    pub(crate) once: bool,
    /// An attack does not end by itself.
    pub(crate) hang: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            verdicts: ["same"; 2],
            text: "why".to_owned(),
            flaky: "",
            alike: false,
            complaint: "",
            instructions: 166,
            once: false,
            hang: false,
        }
    }
}

/// A folder with a stand-in and histories.
pub(crate) struct Nights {
    folder: tempfile::TempDir,
}

impl Nights {
    pub(crate) fn new() -> Self {
        let nights = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(nights.at("qemu")).expect("a folder");
        fs::create_dir(nights.at("answers")).expect("a folder");
        let script = |name: &str, text: &str| {
            let path = nights.at(name);
            fs::write(&path, text).expect("a script");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a program");
        };
        script("parallax", include_str!("stand-in.sh"));
        script("qemu/qemu-system-aarch64", "#!/bin/sh\necho QEMU emulator version 99.9.9\n");
        nights
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn answer(&self, plan: &Plan) {
        let put =
            |name: &str, text: String| fs::write(self.at("answers").join(name), text).expect("an answer");
        put("run.json", run(plan).to_string());
        let wrong = !plan.complaint.is_empty() || plan.verdicts.iter().any(|verdict| *verdict != "same");
        put("status", u8::from(wrong).to_string());
        put("complaint", plan.complaint.to_owned());
        put("flaky", format!("{}\n", plan.flaky));
        let attacked = |operations: u64, status: u8| {
            json!({ "document": "attack", "schema": 2, "status": status, "seed": 1, "operations": operations,
                    "machines": 1, "digest": "d", "found": null })
        };
        put("attack.json", attacked(5000, 0).to_string());
        put("attack-fault.json", attacked(77, 1).to_string());
        let fuzzed = json!({ "document": "fuzz", "schema": 3, "status": 0, "seed": 1, "operations": 20000, "machines": 3,
            "instructions": 9, "branches": 7, "states": 8, "kept": 0, "digest": "d", "found": null });
        put("fuzz.json", fuzzed.to_string());
        let explored = json!({ "document": "explore", "schema": 2, "status": 0, "scope": "x", "states": 125,
            "transitions": 8775, "performed": 8775, "operations": 8911, "untouched": 0, "table": [],
            "found": null });
        put("explore.json", explored.to_string());
        let covered = json!({ "document": "coverage", "schema": 1, "status": 0, "lines": 200, "reached": 195, "files": [],
            "differences": [] });
        put("coverage.json", covered.to_string());
        let one = json!({ "target": "hyp", "operation": "share_hyp", "count": plan.instructions, "without_smmu": 100 });
        let rate = |how, of_bare| json!({ "operation": "host_share_hyp", "how": how, "per_second": 9.0, "of_bare": of_bare });
        let rates = [rate("bare", 1.0), rate("stream, all judges", 0.375)];
        put(
            "bench.json",
            json!({ "document": "bench", "schema": 2, "instructions": [one], "rates": rates }).to_string(),
        );
        for (name, there) in [("once", plan.once), ("hang", plan.hang)] {
            if there {
                put(name, String::new());
            } else {
                let _ = fs::remove_file(self.at("answers").join(name));
            }
        }
        let _ = fs::remove_file(self.at("answers/pid"));
    }

    /// `parallax nightly` with `words`, ready to run.
    pub(crate) fn command(&self, words: &[&str], results: &str) -> Command {
        let mut command = Command::new(program());
        command.current_dir("../..").arg("nightly").args(words);
        command.arg("--results").arg(self.at(results)).stdin(Stdio::null());
        command.env("PARALLAX_PROGRAM", self.at("parallax")).env("ANSWERS", self.at("answers"));
        command.env("PARALLAX_QEMUS", self.at("qemu")).env_remove("PARALLAX_QEMU").env("NO_COLOR", "1");
        // Casemate is asked where it is installed; here nothing is there to ask it about.
        command.env("PATH", "/usr/bin:/bin");
        command
    }

    /// Begins a short night.
    pub(crate) fn start(&self, plan: &Plan) -> Child {
        self.answer(plan);
        let mut command = self.command(SHORT, "results");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a night")
    }

    /// Runs `parallax nightly` with `words`; gives all that it said.
    pub(crate) fn nightly(&self, words: &[&str], results: &str, status: i32) -> String {
        let Output { stdout, stderr, status: ended } =
            self.command(words, results).output().expect("a night");
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_eq!(ended.code(), Some(status), "{words:?}: {said}");
        said
    }

    /// Runs a short night; gives its summary.
    pub(crate) fn night(&self, plan: &Plan, status: i32) -> String {
        self.answer(plan);
        self.nightly(SHORT, "results", status);
        self.text("results/summary.txt")
    }

    /// Runs a part of a short night into a history of its own.
    pub(crate) fn part(&self, part: usize, of: usize) {
        self.answer(&Plan::default());
        let which = format!("{part}/{of}");
        self.nightly(&[SHORT, &["--partition", &which]].concat(), &part.to_string(), 0);
    }

    pub(crate) fn nights(&self, results: &str) -> Vec<Night> {
        History::read(&self.at(results)).expect("a history").nights().expect("nights")
    }

    /// The row of the page that has `what` in it.
    pub(crate) fn row(&self, what: &str) -> String {
        let page = self.text("results/index.html");
        let row =
            page.split("<tr>").find(|row| row.contains(what)).unwrap_or_else(|| panic!("{what}: {page}"));
        row.split("</tr>").next().unwrap_or_default().to_owned()
    }
}

/// The document of a run of both traces.
fn run(plan: &Plan) -> Value {
    let entry = |trace: &str, verdict: &str| {
        let bad = trace == BAD;
        let found =
            if bad && verdict != "clean" || verdict == "found" { vec![finding(&plan.text)] } else { vec![] };
        json!({ "trace": trace, "bad": bad, "verdict": verdict, "operations": 10, "reproduce": "parallax run",
                "findings": found })
    };
    let traces: Vec<Value> =
        [GOOD, BAD].iter().zip(plan.verdicts).map(|(trace, verdict)| entry(trace, verdict)).collect();
    let what = json!([{ "text": "cpu … + RWX gone after nop", "count": 2 }]);
    let changes = if plan.alike { json!([{ "what": what, "traces": [GOOD, BAD] }]) } else { json!([]) };
    json!({ "document": "run", "schema": 6, "status": 0, "traces": traces, "changes": changes, "orphans": [] })
}

fn finding(text: &str) -> Value {
    json!({ "line": 4, "operation": "nop", "text": text, "check": "sync", "rule": "extra", "space": "ipa",
        "span": { "from": "0x0", "to": "0x1000" }, "subject": "ram", "page": null, "about": "page 0", "message": "m",
        "function": null, "views": [], "detail": [], "reproduce": "parallax run" })
}

/// Whether the process `pid` is gone after a moment.
pub(crate) fn is_gone(pid: &str) -> bool {
    (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        !Path::new("/proc").join(pid.trim()).exists()
    })
}
