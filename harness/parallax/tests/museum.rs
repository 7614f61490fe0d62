//! docs/museum.md is docs/museum.json, and what the goldens say of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parallax_abi::fault::Fault;
use parallax_model::{FindingLine, GoldenLine};
use serde_json::Value;

const ROOT: &str = "../..";

const HEAD: &str = "\
# Museum of real bugs

Bugs that others found in their hypervisors, drivers and firmware, and the switchable fault that stands for each: its trace, after how many
operations of it something is found, and which checks find it. [faults.md](faults.md) says what each fault breaks; [score.md](score.md) who else catches it.
A bug that cannot be shown yet says what is missing.

This page is made from docs/museum.json and the goldens: `UPDATE_DOCS=1 cargo test --release -p parallax --test museum` writes it anew.
";

/// The trace of `fault`, after how many of its operations something is found, and by which rules.
fn exhibit(fault: &str) -> String {
    assert!(Fault::from_name(fault).is_some(), "{fault}: no such fault");
    let path = Path::new(ROOT).join(format!("golden/bad/{fault}.snap"));
    let golden = fs::read_to_string(path).expect(fault);
    let first = golden.lines().position(|line| GoldenLine::findings(line).next().is_some());
    let before = golden.lines().take(first.unwrap_or_else(|| panic!("{fault} is not caught")));
    let is_operation =
        |line: &&str| line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    let after = before.filter(is_operation).count();
    let rules: BTreeSet<&str> = GoldenLine::findings(&golden).map(FindingLine::rule_text).collect();
    let rules: Vec<String> = rules.into_iter().map(|rule| format!("`{rule}`")).collect();
    format!("- [`{fault}`](../traces/bad/{fault}.trace): after {after}, {}\n", rules.join(", "))
}

fn page(bugs: &Value) -> String {
    let mut page = HEAD.to_owned();
    for bug in bugs.as_array().expect("a list") {
        let text = |name: &str| bug[name].as_str();
        page +=
            &format!("\n## {}\n\nSeen: {}.\n\n", text("bug").expect("a bug"), text("seen").expect("where"));
        match (bug["faults"].as_array(), text("missing")) {
            (Some(faults), None) => {
                page.extend(faults.iter().map(|fault| exhibit(fault.as_str().expect("a name"))));
            }
            (None, Some(missing)) => page += &format!("Missing: {missing}.\n"),
            _ => panic!("either faults or what is missing: {bug}"),
        }
    }
    page
}

#[test]
fn the_museum_shows_what_the_goldens_hold() {
    let docs = Path::new(ROOT).join("docs");
    let bugs = fs::read_to_string(docs.join("museum.json")).expect("the bugs");
    let page = page(&serde_json::from_str(&bugs).expect("JSON"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(docs.join("museum.md"), &page).expect("the page");
    }
    let stands = fs::read_to_string(docs.join("museum.md")).unwrap_or_default();
    assert!(
        stands == page,
        "docs/museum.md is out of date: UPDATE_DOCS=1 cargo test --release -p parallax --test museum"
    );
}
