//! Published forms of JSON: docs/schema holds what is generated, and what is printed keeps to it.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use parallax::schema::{ALL, named};
use program::program;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new("../..").canonicalize().expect("the workspace")
}

/// A schema without the words that are for people only.
fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let text =
                |(name, value): &(&String, &Value)| name.as_str() == "description" && value.is_string();
            Value::Object(
                members.iter().filter(|member| !text(member)).map(|(n, v)| (n.clone(), bare(v))).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// Whether `now` may be published under the version that `before` was published under.
fn compatible(before: &Value, now: &Value) -> bool {
    bare(before) == bare(now)
}

#[test]
fn a_published_form_changes_only_with_its_version() {
    for published in ALL {
        let (text, path) = (published.text(), root().join("docs/schema").join(published.file()));
        let now: Value = serde_json::from_str(&text).expect("JSON");
        let before = fs::read_to_string(&path).ok();
        if let Some(before) = &before {
            let before = serde_json::from_str(before).expect("JSON");
            assert!(
                compatible(&before, &now),
                "{}: the form changed: raise its version (docs/exports.md says what that takes)",
                path.display()
            );
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("docs/schema");
            fs::write(&path, &text).expect("a schema");
        } else {
            assert_eq!(before.unwrap_or_default(), text, "{} is out of date: UPDATE_DOCS=1", path.display());
        }
    }
}

#[test]
fn only_words_may_change_within_a_version() {
    let old = json!({ "properties": { "description": { "type": "string", "description": "old" } } });
    let words = json!({ "properties": { "description": { "type": "string", "description": "new" } } });
    assert!(compatible(&old, &words));
    let kind = json!({ "properties": { "description": { "type": "integer", "description": "old" } } });
    let more = json!({ "properties": { "description": { "type": "string" }, "more": { "type": "string" } } });
    assert!(!compatible(&old, &kind));
    assert!(!compatible(&old, &more));
}

fn validator(name: &str) -> Validator {
    let text = named(name).expect(name).text();
    let schema = serde_json::from_str(&text).expect("JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("a schema of the draft that it names");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// What is wrong with `document`.
fn wrong(validator: &Validator, document: &Value) -> Vec<String> {
    validator
        .iter_errors(document)
        .take(5)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// `parallax run --format json` with `args`: its exit status and what it printed.
fn run(args: &[&str]) -> (i32, Value) {
    let mut command = Command::new(program());
    let output =
        command.current_dir(root()).args(["run", "--format", "json"]).args(args).output().expect("a run");
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("no signal"), document)
}

/// The findings of a document of `run`.
fn findings(document: &Value) -> impl Iterator<Item = &Value> {
    let traces = document["traces"].as_array().expect("traces");
    traces.iter().flat_map(|trace| trace["findings"].as_array().expect("findings"))
}

/// What a finding must never be shown without: operation, page (or what else it is about), both sides' view, command.
fn bare_of(finding: &Value) -> Vec<&'static str> {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let side = |name: &str| {
        let views = finding["views"].as_array();
        views.is_some_and(|views| views.iter().any(|view| view["side"] == name && text(&view["view"])))
    };
    let about = finding["about"].as_str().unwrap_or_default();
    let page = match &finding["page"] {
        Value::Null => {
            about.starts_with("no page: ") && ["ste", "regs", "el2"].iter().any(|s| finding["space"] == *s)
        }
        page => about.starts_with("page ") && text(&page["from"]) && text(&page["to"]),
    };
    let operation = finding["line"].is_u64() && text(&finding["operation"]);
    let command = finding["reproduce"].as_str().is_some_and(|text| text.starts_with("parallax run "));
    let text = finding["text"].as_str().unwrap_or_default();
    let shown = text.contains("cpu: ") && text.contains("smmu: ");
    let all = [
        ("operation", operation),
        ("page", page),
        ("the CPUs' view", side("cpu")),
        ("the SMMU's view", side("smmu")),
        ("both views in its text", shown),
        ("command", command),
    ];
    all.into_iter().filter(|(_, there)| !there).map(|(what, _)| what).collect()
}

#[test]
fn no_finding_of_any_bad_trace_is_bare_and_all_keep_to_the_schema() {
    let validator = validator("run");
    for mode in ["step", "stream"] {
        let (status, document) = run(&["--mode", mode, "traces/bad"]);
        assert_eq!(wrong(&validator, &document), Vec::<String>::new(), "{mode}");
        assert_eq!((status, &document["status"]), (0, &json!(0)), "{mode}");
        let mut checks: Vec<&str> = Vec::new();
        for finding in findings(&document) {
            assert_eq!(bare_of(finding), Vec::<&str>::new(), "{mode}: {finding:#}");
            let stream = finding["reproduce"].as_str().unwrap_or_default().contains("--mode stream");
            assert_eq!(stream, mode == "stream", "{finding:#}");
            checks.push(finding["check"].as_str().expect("a check"));
        }
        checks.sort_unstable();
        checks.dedup();
        let all = [
            "access",
            "isolation",
            "ownership",
            "protocol",
            "reach",
            "result",
            "sanity",
            "sentinel",
            "spec",
            "sync",
        ];
        assert_eq!(checks, all, "every check speaks: {mode}");
    }
}

#[test]
fn a_bare_finding_would_be_seen() {
    let (_, document) = run(&["traces/bad/smmu_no_tlbi.trace"]);
    let finding = findings(&document).next().expect("a finding");
    assert_eq!(bare_of(finding), Vec::<&str>::new());
    let without = |member: &str, value: Value| {
        let mut finding = finding.clone();
        finding[member] = value;
        bare_of(&finding)
    };
    assert_eq!(without("operation", json!("")), ["operation"]);
    assert_eq!(without("page", Value::Null), ["page"]);
    assert_eq!(without("views", json!([{ "side": "cpu", "view": "RWX" }])), ["the SMMU's view"]);
    assert_eq!(without("reproduce", json!("")), ["command"]);
}

#[test]
fn every_end_of_a_run_keeps_to_the_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a trace");
        path.to_str().expect("UTF-8").to_owned()
    };
    let project = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, "nop => ok\n").expect("a file");
    };
    project("traces/good/a.trace");
    project("golden/good/gone.snap");
    let orphaned = folder.path().join("traces").to_str().expect("UTF-8").to_owned();
    let malformed = file("malformed.trace", "nopp\n");
    let diverged = file("it's new.trace", "host_share_hyp pfn=ram+0x10 => EPERM\n");
    let unmachined = file("mmio.trace", "host_read ipa=mmio:none+0x0\n");
    let validator = validator("run");
    for (args, expected) in [
        (vec!["traces/good/share.trace"], 0),
        (vec!["--mode", "stream", "--machine", "cpus=2", "traces/good/share.trace"], 0),
        (vec!["--no-golden", &diverged], 1),
        (vec![&malformed], 2),
        (vec![&unmachined, "--no-golden"], 2),
        (vec!["--record", "x.plx", "traces/good"], 2),
        (vec!["--machine", "qemu=none", "traces/good/share.trace"], 2),
    ] {
        let (status, document) = run(&args);
        assert_eq!(wrong(&validator, &document), Vec::<String>::new(), "{args:?}");
        assert_eq!((status, &document["status"]), (expected, &json!(expected)), "{args:?}: {document:#}");
    }
    let (status, document) = run(&["--no-golden", &orphaned]);
    let orphans = document["orphans"].as_array().expect("orphans");
    assert_eq!((status, orphans.len(), &document["status"]), (1, 1, &json!(1)), "{document:#}");
    assert_eq!(wrong(&validator, &document), Vec::<String>::new());
    let (_, document) = run(&["--no-golden", "--machine", "cpus=2", &diverged]);
    let again =
        findings(&document).next().expect("a finding")["reproduce"].as_str().expect("text").to_owned();
    let words = shlex::split(&again).expect("words of a shell");
    assert_eq!(words, ["parallax", "run", "--machine", "cpus=2", &diverged]);
}

#[test]
fn what_other_commands_print_keeps_to_their_schemas() {
    for (name, args, status) in [
        ("attack", "--ops 500", 0),
        ("attack", "--ops 5000 --fault viommu_ste_unchecked", 1),
        ("fuzz", "--ops 500", 0),
        ("fuzz", "--ops 20000 --fault host_donate_checks_first_page_only", 1),
        ("explore", "--page ram+0x6000", 0),
        ("explore", "--fault host_donate_checks_first_page_only", 1),
        ("coverage", "traces/good/share.trace", 0),
        ("coverage", "traces/good/share.trace --allow ci/uncovered.txt", 1),
        ("bench", "", 0),
    ] {
        let mut command = Command::new(program());
        command.current_dir(root()).args([name, "--format", "json"]).args(args.split_whitespace());
        let output = command.output().expect("a command");
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(wrong(&validator(name), &document), Vec::<String>::new(), "{name} {args}");
        assert_eq!(output.status.code(), Some(status), "{name} {args}");
        assert_eq!(document["status"].as_i64().unwrap_or_default(), i64::from(status), "{name} {args}");
    }
}

#[test]
fn a_machine_that_cannot_be_had_is_told_of_in_json_too() {
    let mut command = Command::new(program());
    let args = ["run", "--format", "json", "--no-golden", "traces/good/share.trace"];
    // No QEMU, and no cargo to build anything with.
    let output = command.current_dir(root()).env("PATH", "/nonexistent").args(args).output().expect("a run");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(wrong(&validator("run"), &document), Vec::<String>::new());
    assert_eq!((output.status.code(), &document["status"]), (Some(125), &json!(125)), "{document:#}");
}

#[test]
fn a_document_that_does_not_keep_to_the_schema_is_seen() {
    let validator = validator("run");
    let (_, document) = run(&["traces/bad/smmu_no_tlbi.trace"]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        wrong(&validator, &document)
    };
    assert!(changed(&|_| ()).is_empty());
    let finding = "/traces/0/findings/0";
    let at = |document: &mut Value, member: &str, value: Value| {
        document.pointer_mut(finding).expect("a finding")[member] = value;
    };
    let changes: [&dyn Fn(&mut Value); 8] = [
        &|document| document["more"] = json!(1),
        &|document| document["schema"] = json!(1),
        &|document| document["status"] = json!(3),
        &|document| document["traces"][0]["verdict"] = json!("odd"),
        &|document| at(document, "more", json!(1)),
        &|document| at(document, "page", json!(4096)),
        &|document| at(document, "views", json!([{ "side": "cpu", "view": "RWX" }])),
        &|document| at(document, "operation", json!("")),
    ];
    for (index, change) in changes.iter().enumerate() {
        assert!(!changed(change).is_empty(), "change {index} is not seen");
    }
}
