//! Every rule on small files: `good_*.cm` has no finding, `bad_*.cm` exactly those of its `! RULE ID` lines, and what
//! its `! missing` lines say. With `_repeat_`
//! in its name, TLBI and DSB are required twice; with `_maps_first_`, EL2 may map what the host loses afterwards.

use std::fs;
use std::path::Path;

use parallax_protocol::casemate::parse;
use parallax_protocol::{Allowances, Checker, Config, Finding, Requirements, Rule};

/// What breaks a rule in a file.
fn judge(name: &str, text: &str) -> Vec<Finding> {
    let repeat_tlbi = name.contains("_repeat_");
    let allow = Allowances { maps_first: name.contains("_maps_first_") };
    let require = Requirements { repeat_tlbi };
    let mut checker = Checker::new(Config { require, allow, ..Config::default() });
    for event in &parse(text).unwrap().events {
        checker.event(event);
    }
    checker.findings().to_vec()
}

/// `RULE ID`, for each place each rule was broken.
fn places(found: &[Finding]) -> Vec<String> {
    found.iter().map(|finding| format!("{} {}", finding.rule.name(), finding.at.seq)).collect()
}

/// What was missing, and what came close.
fn missing(finding: &Finding) -> String {
    let near = finding.near.as_ref().map(|near| {
        let at = near.at.map(|at| format!(" {}", at.seq));
        format!("; but{} {}", at.unwrap_or_default(), near.what)
    });
    format!("{}{}", finding.missing, near.unwrap_or_default())
}

#[test]
fn good_files_are_clean_and_bad_ones_break_what_they_say() {
    let mut broken = Vec::new();
    let mut wrong = Vec::new();
    let folder = Path::new("tests/rules");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let of_rules = |line: &&str| !line.starts_with("missing ");
        let expected: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("! "))
            .filter(of_rules)
            .map(str::to_owned)
            .collect();
        assert_eq!(name.starts_with("good_"), expected.is_empty(), "{name}");
        let found = judge(&name, &text);
        let told: Vec<String> = found.iter().map(missing).collect();
        let unsaid = |line: &&str| !told.iter().any(|told| told == line);
        wrong.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("! missing "))
                .filter(unsaid)
                .map(|line| format!("{name}: {line:?} is not among {told:?}")),
        );
        let found = places(&found);
        if found != expected {
            wrong.push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
        broken.extend(expected.iter().filter_map(|line| Rule::from_name(line.split(' ').next()?)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in Rule::ALL {
        assert!(broken.contains(rule), "no file breaks {}", rule.name());
    }
}
