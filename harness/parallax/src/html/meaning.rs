//! What a check asks, from the pages that describe the checks, so that both say the same.

const CHECKS: &str = include_str!("../../../../docs/checks.md");
const RULES: &str = include_str!("../../../../docs/protocol.md");

/// What is wrong where the finding `check/rule` stands.
pub(super) fn of(finding: &str) -> Option<String> {
    let (check, rule) = finding.split(' ').next()?.split_once('/')?;
    match check {
        "protocol" => Some(format!("The rule is broken when {}.", row(RULES, rule)?.trim_end_matches('.'))),
        _ => Some(format!("The check asks: {}", row(CHECKS, check)?)),
    }
}

/// The second cell of the row whose first one names `name`.
fn row(page: &str, name: &str) -> Option<String> {
    page.lines().find_map(|line| {
        let (names, text) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        let mut names = names.split(", ");
        (!text.contains(" | ") && names.any(|one| one.trim_matches('`') == name))
            .then(|| text.replace('`', "\""))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_finding_of_every_golden_has_a_meaning() {
        let folder = Path::new("../../golden/bad").to_owned();
        let mut names = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            names.extend(text.lines().filter_map(|line| Some(line.trim().strip_prefix("! ")?.to_owned())));
        }
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(of(&name).is_some_and(|text| text.len() > 20), "{name}");
        }
    }

    #[test]
    fn a_rule_is_told_as_its_page_tells_it() {
        let told = of("protocol/unclean-remake cpu ram+0x0: level 3").unwrap();
        assert_eq!(told, "The rule is broken when an entry becomes valid while it is unclean.");
        assert_eq!(of("protocol/no-such-rule cpu"), None);
        assert_eq!(of("nothing"), None);
    }
}
