//! What docs/faults.md says is what the goldens hold.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use parallax_abi::fault::Fault;

const HEAD: &str = "\
# Switchable faults

A build with the feature `faults` contains these bugs; the trace switches one on. A normal build does not know them.
`parallax run traces/bad` shows that each is caught, and `parallax run traces/bad --without-faults` that the same operations
are in order without it. The check is named as in the golden, `check/rule`; [checks.md](checks.md) explains them.

This page is made from the goldens: `UPDATE_DOCS=1 cargo test -p parallax --test docs` writes it anew.

| fault | what it breaks | trace | caught by |
| --- | --- | --- | --- |
";

/// The checks that a golden names, in order of their names.
fn checks(golden: &str) -> BTreeSet<&str> {
    golden.lines().filter_map(|line| line.trim_start().strip_prefix("! ")?.split(' ').next()).collect()
}

#[test]
fn the_list_of_faults_names_the_checks_that_the_goldens_hold() {
    let root = Path::new("../..");
    let mut text = HEAD.to_owned();
    for fault in Fault::ALL {
        let name = fault.name();
        let golden = fs::read_to_string(root.join(format!("golden/bad/{name}.snap"))).expect(name);
        let found: Vec<String> = checks(&golden).into_iter().map(|check| format!("`{check}`")).collect();
        assert!(!found.is_empty(), "{name} is not caught");
        let (summary, found) = (fault.summary(), found.join(", "));
        writeln!(text, "| `{name}` | {summary} | `traces/bad/{name}.trace` | {found} |").unwrap();
    }
    let page = root.join("docs/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&page).unwrap_or_default(), text, "docs/faults.md is out of date");
}
