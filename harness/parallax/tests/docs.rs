//! What docs/ says of faults, checks, rules and operations is what the goldens and the tables hold.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use parallax::specified;
use parallax_abi::fault::Fault;
use parallax_machine::recording::LIMITS;
use parallax_model::{Check, FindingLine, GoldenLine, Rule};
use parallax_ops::{Kind, Param, Row};
use parallax_trace::WORDS;
use parallax_trace::spec::OPTIONS;
const ROOT: &str = "../..";

const FAULTS: &str = "\
# Switchable faults

A build with the feature `faults` contains these bugs; the trace switches one on. A normal build does not know them.
`parallax run traces/bad` shows that each is caught, and `parallax run traces/bad --without-faults` that the same operations
are in order without it. The check is named as in the golden, `check/rule`; [checks.md](checks.md) explains them.

This page is made from the goldens: `UPDATE_DOCS=1 cargo test --release -p parallax --test docs` writes it anew.

| fault | what it breaks | trace | caught by |
| --- | --- | --- | --- |
";

/// Holds `page` under docs/ against `text`, or writes it anew.
fn hold(page: &str, text: &str) {
    let path = Path::new(ROOT).join("docs").join(page);
    let mut stands = fs::read_to_string(&path).unwrap_or_default();
    // One that is as it should be is left alone: another test may read it meanwhile.
    if stands != text && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
        stands = text.to_owned();
    }
    assert!(
        stands == text,
        "docs/{page} is out of date: UPDATE_DOCS=1 cargo test --release -p parallax --test docs"
    );
}

/// `page` with `text` between the marks of its part `name`.
fn with_part(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: made from "), format!("<!-- end of {name} -->"));
    let start = page.find(&begin).unwrap_or_else(|| panic!("no part `{name}`"));
    let start = start + page[start..].find('\n').expect("the end of a mark") + 1;
    let stop = start + page[start..].find(&end).unwrap_or_else(|| panic!("no end of part `{name}`"));
    format!("{}\n{text}\n{}", &page[..start], &page[stop..])
}

/// A table of Markdown.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = line(&header) + &line(&vec!["---".to_owned(); header.len()]);
    for cells in rows {
        assert!(cells.iter().all(|cell| !cell.contains(['|', '\n'])), "{cells:?}");
        text += &line(&cells);
    }
    text
}

/// The source of `rule`; a page of docs/ as a link.
fn source(rule: Rule) -> String {
    rule.source()
        .strip_prefix("docs/")
        .map_or_else(|| rule.source().to_owned(), |page| format!("[{page}]({page})"))
}

fn golden_of(fault: Fault) -> String {
    let name = fault.name();
    fs::read_to_string(Path::new(ROOT).join(format!("golden/bad/{name}.snap"))).expect(name)
}

#[test]
fn the_list_of_faults_names_the_checks_that_the_goldens_hold() {
    let mut text = FAULTS.to_owned();
    for fault in Fault::ALL {
        let name = fault.name();
        let golden = golden_of(*fault);
        let rules: BTreeSet<&str> = GoldenLine::findings(&golden).map(FindingLine::rule_text).collect();
        let rules: Vec<String> = rules.into_iter().map(|rule| format!("`{rule}`")).collect();
        assert!(!rules.is_empty(), "{name} is not caught");
        let (summary, rules) = (fault.summary(), rules.join(", "));
        writeln!(text, "| `{name}` | {summary} | `traces/bad/{name}.trace` | {rules} |").unwrap();
    }
    hold("faults.md", &text);
}

#[test]
fn every_finding_of_a_golden_names_a_rule() {
    for fault in Fault::ALL {
        for finding in GoldenLine::findings(&golden_of(*fault)) {
            assert!(finding.rule().is_some(), "{}: {}", fault.name(), finding.text());
        }
    }
}

/// The arguments of an operation; what may be left out in brackets, with what it is then.
fn arguments(row: &Row) -> String {
    let argument = |param: &Param| match (param.kind, param.default) {
        (_, None) => format!("`{}`", param.name),
        (Kind::Value, Some(default)) => format!("[`{}={default:#x}`]", param.name),
        (_, Some(default)) => format!("[`{}={default}`]", param.name),
    };
    row.params.iter().map(argument).collect::<Vec<_>>().join(" ")
}

/// The words, and the names that stand behind them.
fn words() -> String {
    let rows = WORDS.iter().map(|word| {
        let quoted = |text: &str| format!("`{text}`");
        vec![quoted(word.name), quoted(word.arguments), quoted(word.operation), word.summary.to_owned()]
    });
    let [registers, commands] = parallax_trace::words::names();
    let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let table = table(&["word", "followed by", "stands for", "what it does"], rows);
    format!("{table}\nRegisters: {}.\n\nCommands: {}.\n", list(registers), list(commands))
}

#[test]
fn the_page_of_traces_is_made_from_the_tables_of_options_and_operations() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/traces.md")).unwrap();
    let options = OPTIONS
        .iter()
        .map(|option| vec![format!("`{}`", option.key), option.meaning(), option.default_text()]);
    let page = with_part(&page, "machine", &table(&["key", "values", "default"], options));
    let rows = parallax_ops::rows().map(|row| {
        let summary: Vec<&str> = row.summary.iter().map(|line| line.trim()).collect();
        vec![format!("`{}`", row.name), arguments(row), summary.join(" ")]
    });
    let page = with_part(&page, "operations", &table(&["operation", "arguments", "what it does"], rows));
    hold("traces.md", &with_part(&page, "words", &words()));
}

#[test]
fn the_page_of_the_specification_has_every_call() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/specification.md")).unwrap();
    let calls = specified::of(None).expect("there are calls");
    hold("specification.md", &with_part(&page, "calls", &format!("```text\n{calls}```\n")));
}

#[test]
fn the_page_of_ownership_has_what_the_specification_says_of_every_call() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/ownership.md")).unwrap();
    let titles =
        ["operation", "a page that is", "becomes", "the host's CPUs and devices", "EL2", "refused with"];
    hold("ownership.md", &with_part(&page, "changes", &table(&titles, specified::changes())));
}

#[test]
fn the_page_of_recordings_has_their_limits() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/recordings.md")).unwrap();
    let power =
        |most: u64| if most.is_power_of_two() { format!(", 2^{}", most.ilog2()) } else { String::new() };
    let rows = LIMITS.iter().map(|(of, most)| vec![(*of).to_owned(), format!("{most}{}", power(*most))]);
    hold("recordings.md", &with_part(&page, "limits", &table(&["of", "at most"], rows)));
}

#[test]
fn the_examples_of_adding_things_are_on_the_page_and_apply() {
    let root = Path::new(ROOT);
    let mut page = fs::read_to_string(root.join("docs/DEVELOPING.md")).unwrap();
    for name in ["operation", "check", "command"] {
        let file = format!("docs/examples/{name}.patch");
        let patch = fs::read_to_string(root.join(&file)).unwrap();
        let shown: Vec<&str> = patch.lines().filter(|line| !is_head(line)).collect();
        page = with_part(&page, name, &format!("```diff\n{}\n```\n", shown.join("\n")));
        let applies =
            Command::new("git").current_dir(root).args(["apply", "--check", &file]).output().unwrap();
        assert!(
            applies.status.success(),
            "{file} is an example on a page, and does not fit the sources any more. Mend it: apply it to a clean tree by hand, `git add \
             -N .`, `git diff > {file}`, take it back, and run this with UPDATE_DOCS=1.\n{}",
            String::from_utf8_lossy(&applies.stderr)
        );
    }
    hold("DEVELOPING.md", &page);
}

/// Whether a line of a patch says nothing to a person that `+++` does not say.
fn is_head(line: &str) -> bool {
    ["diff ", "new file ", "--- "].iter().any(|head| line.starts_with(head))
}

#[test]
fn the_page_of_the_checks_is_made_from_their_tables() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/checks.md")).unwrap();
    let checks =
        Check::ALL.iter().map(|check| vec![format!("`{}`", check.name()), check.question().to_owned()]);
    let page = with_part(&page, "checks", &table(&["check", "question"], checks));
    let rules = Rule::all().filter(|rule| rule.check() != Check::Protocol);
    let rules = rules.map(|rule| vec![format!("`{rule}`"), rule.summary().to_owned(), source(rule)]);
    let page =
        with_part(&page, "rules", &table(&["rule", "what is wrong where it is broken", "source"], rules));
    hold("checks.md", &page);
}

#[test]
fn the_page_of_the_order_of_events_is_made_from_the_table_of_its_rules() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/protocol.md")).unwrap();
    let rules = Rule::all().filter_map(|rule| match rule {
        Rule::Protocol(order) => {
            // A register's `<n>` is no tag.
            let broken_when = order.broken_when().replace('<', "\\<");
            Some(vec![order.name().to_owned(), broken_when, source(rule)])
        }
        _ => None,
    });
    hold("protocol.md", &with_part(&page, "rules", &table(&["rule", "broken when", "source"], rules)));
}

#[test]
fn the_book_has_every_page_once() {
    let docs = Path::new(ROOT).join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<&str> =
        summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(page, _)| page).collect();
    listed.sort_unstable();
    let files = fs::read_dir(&docs).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = files.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    pages.sort_unstable();
    assert_eq!(listed, pages, "docs/SUMMARY.md is the table of contents of the book");
}
