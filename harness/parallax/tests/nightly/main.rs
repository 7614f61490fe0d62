//! What `parallax nightly` says against what happened, with a stand-in for the command that does as a plan says.

mod elsewhere;
mod nights;
#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;
use std::process::Child;
use std::thread;
use std::time::Duration;

use nights::{BAD, GOOD, Nights, Plan, SHORT, is_gone};
use rustix::process::{Pid, Signal, kill_process};

/// What was run, without the time that it took.
fn cells(nights: &Nights, results: &str) -> BTreeSet<(String, i64, i64, i64)> {
    let nights = nights.nights(results);
    let cells = nights.last().map(|night| night.cells.clone()).unwrap_or_default();
    cells.into_iter().map(|cell| (cell.name, cell.traces, cell.operations, cell.status)).collect()
}

#[test]
fn a_night_in_order_has_no_news() {
    let nights = Nights::new();
    assert!(nights.night(&Plan::default(), 0).starts_with("the first night"));
    assert_eq!(nights.night(&Plan::default(), 0), "since night 1: nothing is new\n");
    let all = nights.nights("results");
    assert_eq!(all.iter().map(|night| night.status).collect::<Vec<_>>(), [Some(0), Some(0)]);
    assert_eq!(all[0].qemus[0].version, "99.9.9");
    assert!(all[0].cells.iter().any(|cell| cell.name == "qemu 99.9.9, stream, own machines, goldens"));
    for (measure, value) in [
        ("instructions of share_hyp", 166.0),
        ("operations a second, of bare: host_share_hyp, stream, all judges", 0.375),
        ("lines reached, percent", 97.5),
        ("explored states, a few pages", 125.0),
        ("explored transitions, an SMMU of the host's own", 8775.0),
        ("faults caught", 1.0),
    ] {
        assert_eq!(all[1].measure(measure), Some(value), "{measure}");
    }
}

#[test]
fn what_is_new_still_there_and_gone_is_told() {
    let nights = Nights::new();
    let found = |text: &str| Plan { verdicts: ["found", "same"], text: text.to_owned(), ..Plan::default() };
    nights.night(&Plan::default(), 0);
    assert!(nights.night(&found("why"), 1).contains("\n  new: "));
    assert!(nights.night(&found("why"), 1).contains("\n  still there: "));
    assert!(nights.night(&found("other"), 1).contains("still there, otherwise than before"));
    assert!(nights.night(&Plan::default(), 0).contains("\n  gone: "));
}

#[test]
fn the_page_says_of_each_step_what_the_night_says() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    // A hostile host is to find a fault, and says so with 1.
    let all = nights.nights("results");
    let finds =
        all[0].cells.iter().find(|cell| cell.name.starts_with("a hostile host finds")).expect("it ran");
    assert_eq!((finds.status, finds.operations), (1, 77));
    assert!(nights.row("a hostile host finds").contains("✓ in order"));
    let page = nights.text("results/index.html");
    assert!(!page.contains('✗'));
    assert!(nights.row("a hostile host, seed 1, 5000 operations").contains("5,000"));
    // Operations a second are those of traces.
    let trend = page.split("Trend").nth(1).and_then(|rest| rest.split("What night").next()).expect("a trend");
    assert!(trend.contains("operations a second") && !trend.contains("5,000"));
    nights.night(&Plan { verdicts: ["found", "same"], ..Plan::default() }, 1);
    assert!(nights.row("qemu 99.9.9, step, own machines").contains("✗ not in order"));
    nights.night(&Plan { verdicts: ["diverged", "same"], flaky: GOOD, ..Plan::default() }, 0);
    assert!(nights.row("qemu 99.9.9, step, own machines").contains("~ flaky"));
}

#[test]
fn what_each_piece_said_is_kept_and_the_page_leads_to_it() {
    let nights = Nights::new();
    nights.night(&Plan { complaint: "old.snap: no trace refers to it", ..Plan::default() }, 1);
    let log = "logs/1/qemu-99.9.9-step-own-machines-goldens.txt";
    assert!(nights.row("qemu 99.9.9, step, own machines").contains(&format!("href=\"{log}\"")));
    let said = nights.text(&format!("results/{log}"));
    assert!(said.contains("no trace refers to it") && said.contains("= exit status 1"), "{said}");
    // Nothing waits for a review in the source tree.
    assert!(said.contains("parallax run --format json --look --mode step traces"), "{said}");
    assert!(said.contains("PARALLAX_QEMU="), "{said}");
}

#[test]
fn what_a_neighbour_changes_of_a_finding_is_not_told_as_new() {
    let nights = Nights::new();
    let night = |place: &str, view: &str| {
        let text = format!("sync/extra smmu {place}: devices reach it [cpu: RWX; smmu: {view}]");
        nights.night(&Plan { verdicts: ["found", "same"], text, ..Plan::default() }, 1)
    };
    night("ram", "RW");
    for (view, place, otherwise) in [("RW", "ram", false), ("R- 4K", "ram", false), ("R- 4K", "hyp", true)] {
        let said = night(place, view);
        assert!(said.contains("\n  still there"), "{said}");
        assert_eq!(said.contains("otherwise than before"), otherwise, "{said}");
        assert_eq!(nights.text("results/index.html").contains("otherwise the night before"), otherwise);
    }
}

#[test]
fn what_changed_alike_is_one_row_and_one_line() {
    let nights = Nights::new();
    let said = nights.night(&Plan { verdicts: ["diverged"; 2], alike: true, ..Plan::default() }, 1);
    let line = "step, own machines, goldens: traces/good/a.trace and 1 more: 2 × cpu … + RWX gone after nop";
    assert_eq!(said.matches(line).count(), 1, "{said}");
    let row = nights.row("step, own machines");
    for part in [
        "traces/good/a.trace and 1 more",
        "<b>2 × cpu … + RWX gone after nop</b>",
        "<summary>the same in 1 more</summary>",
        "✗ not in order</td><td><pre>new</pre>",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
}

#[test]
fn what_comes_out_in_order_again_is_flaky_and_no_error() {
    let nights = Nights::new();
    let said = nights.night(&Plan { verdicts: ["diverged", "same"], flaky: GOOD, ..Plan::default() }, 0);
    assert!(said.contains("new, flaky: "), "{said}");
    assert!(nights.nights("results")[0].problems.iter().all(|problem| problem.flaky));
    assert!(nights.text("results/index.html").contains("~ flaky"));
    let said = nights.night(&Plan { verdicts: ["same", "diverged"], flaky: BAD, ..Plan::default() }, 0);
    assert!(said.contains("gone, flaky: ") && said.contains(BAD), "{said}");
}

#[test]
fn another_step_that_fails_once_is_flaky_too() {
    let nights = Nights::new();
    let said = nights.night(&Plan { once: true, ..Plan::default() }, 0);
    assert!(said.contains("new, flaky: every switchable fault has a trace"), "{said}");
}

#[test]
fn a_fault_that_its_trace_does_not_find_is_not_caught() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    let said = nights.night(&Plan { verdicts: ["same", "clean"], ..Plan::default() }, 1);
    assert!(said.contains("changed: faults caught: 1 -> 0"), "{said}");
    let caught: Vec<bool> = nights.nights("results").iter().map(|night| night.faults[0].caught).collect();
    assert_eq!(caught, [true, false]);
    assert!(nights.text("results/index.html").contains("Faults that nothing caught"));
}

#[test]
fn a_complaint_about_no_trace_that_ran_is_not_in_order() {
    let nights = Nights::new();
    let said = nights.night(&Plan { complaint: "old.snap: no trace refers to it", ..Plan::default() }, 1);
    assert!(said.contains("(all): old.snap: no trace refers to it"), "{said}");
}

#[test]
fn more_instructions_are_told() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    let said = nights.night(&Plan { instructions: 170, ..Plan::default() }, 0);
    assert!(said.contains("changed: instructions of share_hyp: 166 -> 170"), "{said}");
}

/// Waits until the night runs what does not end by itself; gives that process.
fn hanging(nights: &Nights, night: &mut Child) -> String {
    loop {
        assert!(night.try_wait().expect("a night").is_none(), "it ended");
        let pid = nights.text("answers/pid");
        if pid.ends_with('\n') {
            return pid;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_night_leaves_a_sound_history_and_no_process() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    let mut night = nights.start(&Plan { hang: true, ..Plan::default() });
    let pid = hanging(&nights, &mut night);
    // Another one must not write to the same history.
    assert!(nights.nightly(SHORT, "results", 125).contains("another night is at work"));
    night.kill().expect("it runs");
    night.wait().expect("it ended");
    assert!(is_gone(&pid), "what the night ran is still there");
    assert_eq!(nights.night(&Plan::default(), 0), "since night 1: \n  night 2 did not get to its end\n");
    let statuses: Vec<Option<u8>> = nights.nights("results").iter().map(|night| night.status).collect();
    assert_eq!(statuses, [Some(0), None, Some(0)]);
    assert!(nights.text("results/index.html").contains("… not at its end"));
}

#[test]
fn a_night_that_is_told_to_end_does_so_and_says_how() {
    let nights = Nights::new();
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut night = nights.start(&Plan { hang: true, ..Plan::default() });
        let pid = hanging(&nights, &mut night);
        kill_process(Pid::from_child(&night), signal).expect("it runs");
        assert_eq!(night.wait().expect("it ended").code(), Some(status));
        assert!(is_gone(&pid), "what the night ran is still there");
    }
    let log = nights.text("results/logs/1/a-hostile-host-seed-1-5000-operations.txt");
    assert!(log.contains("= ended with the night"), "{log}");
    let said = nights.night(&Plan::default(), 0);
    assert!(said.contains("night 1 did not get to its end") && said.contains("night 2 did not"), "{said}");
    assert!(nights.nights("results")[0].cells.len() > 4);
}

#[test]
fn the_parts_of_a_night_are_the_night() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    (1..=3).for_each(|part| nights.part(part, 3));
    let whole = cells(&nights, "results");
    let parts: Vec<_> = ["1", "2", "3"].iter().map(|part| cells(&nights, part)).collect();
    assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), whole.len());
    assert_eq!(parts.into_iter().flatten().collect::<BTreeSet<_>>(), whole);
    let folders: Vec<String> = ["1", "2", "3"].map(|part| nights.at(part).display().to_string()).to_vec();
    let merge = |which: &[usize], results, status| {
        let mut words = vec!["merge"];
        words.extend(which.iter().map(|index| &*folders[*index]));
        nights.nightly(&words, results, status)
    };
    for _ in 0..2 {
        merge(&[0, 1, 2], "results", 0);
        assert_eq!(nights.text("results/summary.txt"), "since night 1: nothing is new\n");
    }
    let all = nights.nights("results");
    assert_eq!((all.len(), all[1].parts.len()), (2, 3));
    assert_eq!(cells(&nights, "results"), whole);
    // What the parts said is there, too.
    assert!(nights.row("qemu 99.9.9, step, own machines").contains("href=\"logs/"));
    let said = merge(&[0, 1], "less", 1);
    assert!(said.contains("NOT IN ORDER: part 3/3 is missing"), "{said}");
    assert_eq!(nights.nights("less")[0].status, None);
    merge(&[0, 0], "results", 2);
    let nowhere = nights.at("nowhere").display().to_string();
    nights.nightly(&["merge", &folders[0], &nowhere], "results", 2);
    let whole_night = nights.at("results").display().to_string();
    let said = nights.nightly(&["merge", &folders[0], &whole_night], "other", 2);
    assert!(said.contains("twice") || said.contains("not the parts of one night"), "{said}");
}

#[test]
fn a_part_that_is_none_is_refused() {
    for part in ["0/3", "4/3", "x"] {
        Nights::new().nightly(&[SHORT, &["--partition", part]].concat(), "results", 2);
    }
}

#[test]
fn a_history_is_lines_of_json_that_keep_to_their_schema_and_come_back() {
    let nights = Nights::new();
    nights.night(&Plan::default(), 0);
    nights.night(&Plan { verdicts: ["found", "same"], ..Plan::default() }, 1);
    let text = parallax::schema::named("night").expect("it is published").text();
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema");
    let lines = nights.nightly(&["history", "--format", "json"], "results", 0);
    assert_eq!(lines, nights.text("results/history.jsonl"));
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let night = serde_json::from_str(line).expect("JSON");
        let wrong: Vec<String> = validator.iter_errors(&night).map(|error| error.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
    let file = nights.at("results/history.jsonl").display().to_string();
    let back = nights.nightly(&["history", "--format", "json", "--import", &file], "again", 0);
    assert_eq!(back, lines);
    assert!(nights.text("again/index.html").contains("Night 2: ✗ not in order"));
    let listed = nights.nightly(&["history"], "results", 0);
    for part in ["not in order", "short", "measured in night 2", "instructions of share_hyp"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    // A database that lost its nights takes none but those of its own lines.
    std::fs::remove_file(nights.at("again/history.sqlite")).expect("a database");
    let refused = nights.nightly(&["history", "--import", &file], "again", 2);
    assert!(refused.contains("history.sqlite has no night, and history.jsonl has some"), "{refused}");
    let own = nights.at("again/history.jsonl").display().to_string();
    assert_eq!(nights.nightly(&["history", "--format", "json", "--import", &own], "again", 0), lines);
    std::fs::write(&file, "{\"document\":\"run\"}\n").expect("a file");
    assert!(nights.nightly(&["history", "--import", &file], "again", 2).contains("line 1: "));
    nights.nightly(&["history", "--import", &file], "fresh", 2);
    nights.nightly(&["merge", &file], "fresh", 2);
    assert!(!nights.at("fresh").exists(), "nothing is left of what was refused");
}

#[test]
fn a_page_is_written_again_and_needs_a_history() {
    let nights = Nights::new();
    assert!(nights.nightly(&["page"], "results", 2).contains("has no history.sqlite"));
    nights.night(&Plan::default(), 0);
    let before = nights.text("results/index.html");
    std::fs::remove_file(nights.at("results/index.html")).expect("a page");
    nights.nightly(&["page"], "results", 0);
    assert_eq!(nights.text("results/index.html"), before);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut page = nights.command(&["page"], "results");
    let status = page.stdout(full).status().expect("it runs");
    assert_eq!(status.code(), Some(125), "where its page is could not be said");
}
