//! The specification as a person reads it.

use std::fmt::Write;

use parallax_abi::errno;
use parallax_ops::{Kind, rows};

use parallax_spec::Page;
use parallax_spec::call::{CALLS, Specified};
use parallax_spec::need::{Holds, Need};
use parallax_trace::similar;

/// What is specified of things that are no calls, in words.
const PAGE: &str = include_str!("../../../docs/specification.md");
/// Parts of that page: the word for each, its heading, and the words of traces that it is about, or how they begin.
const PARTS: [(&str, &str, &[&str]); 3] = [
    (
        "smmu",
        "The SMMU that the host sees",
        &["smmu_write", "smmu_read", "smmu_command", "smmu_race", "ste", "cd", "l1std", "s1_descriptor"],
    ),
    ("its", "The ITS and the redistributors that the host sees", &["gic"]),
    ("access", "Accesses", &["host_", "dma_"]),
];

/// Where MMIO is cut into regions is the implementation's choice: the error of more than one page may be another one.
const OR_REGION: &str = "; EINVAL instead, where the pages are MMIO of several regions";

/// The specification of the call named `word` or of what that word is about, or of all calls.
#[must_use]
pub fn of(word: Option<&str>) -> Option<String> {
    let known: Vec<&Specified> =
        CALLS.iter().filter(|call| word.is_none_or(|word| word == call.word)).collect();
    if known.is_empty() {
        return part(word?);
    }
    Some(known.into_iter().map(one).collect::<Vec<String>>().join("\n"))
}

/// The part of [`PAGE`] that says what is specified of `word`: a part's name, or an operation.
fn part(word: &str) -> Option<String> {
    let is_operation = rows().any(|row| row.name == word);
    let is_of =
        |begin: &&str| word == *begin || is_operation && begin.ends_with('_') && word.starts_with(begin);
    let about = |begins: &[&str]| begins.iter().any(is_of);
    let (_, heading, _) =
        PARTS.iter().find(|(name, _, begins)| name.eq_ignore_ascii_case(word) || about(begins))?;
    let (_, text) = PAGE.split_once(&format!("\n## {heading}\n\n"))?;
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    Some(format!("{heading}\n\n{}\n", text.trim_end()))
}

/// What may be asked for that is most like `word`.
#[must_use]
pub fn like(word: &str) -> Option<&'static str> {
    let names = CALLS.iter().map(|call| call.word).chain(PARTS.iter().map(|(name, ..)| *name));
    let word = word.to_ascii_lowercase();
    let names: Vec<&str> = names.collect();
    let within = || names.iter().copied().find(|name| name.split('_').any(|part| part == word));
    similar(&word, names.iter().copied()).or_else(within)
}

fn one(call: &Specified) -> String {
    let row = rows().find(|row| row.name == call.word);
    let params = row.map_or(&[][..], |row| row.params);
    let args = params.iter().map(|param| match (param.default, param.kind) {
        (Some(default), Kind::Count) => format!(" [{}={default}]", param.name),
        _ => format!(" {}", param.name),
    });
    let mut text = format!("{}{}\n", call.word, args.collect::<String>());
    let summary = row.map_or_else(String::new, |row| row.summary.concat());
    let _ = writeln!(text, "  {}", summary.trim());
    let names_several = params.iter().any(|param| param.kind == Kind::Count);
    if !call.needs.is_empty() {
        text.push_str(
            "\n  refused, and nothing changes, where one of these does not hold: first what is said of all pages, in this order, then page by page\n",
        );
        for need in call.needs {
            let each = if matches!(need.holds, Holds::Each(_)) { "each page: " } else { "" };
            let or = if need.or_region && names_several { OR_REGION } else { "" };
            let _ = writeln!(text, "    {:<7} {:<12} {each}{}{or}", name(need.error), need.name, need.says);
        }
    }
    if !call.may_fail.is_empty() {
        text.push_str("\n  may fail all the same, and nothing changes\n");
        for (error, when) in call.may_fail {
            let _ = writeln!(text, "    {:<7} {when}", name(*error));
        }
    }
    let _ = writeln!(text, "\n  done\n    {}", call.effect);
    text
}

/// What each call makes of each page that it may name: the call, the page, what it becomes, what that means to the host's CPUs and devices and
/// to EL2, and with what it may be refused.
#[must_use]
pub fn changes() -> Vec<Vec<String>> {
    let lent = |pins| Page::Lent { pins, held: 0 };
    let pages = [Page::Host, lent(0), lent(1), lent(2), Page::Given { users: 0 }, Page::HostMmio];
    let mut rows = Vec::new();
    for call in CALLS {
        let takes = |page: &Page| {
            let wrong = |need: &Need| matches!(need.holds, Holds::Each(holds) if !holds(*page));
            (call.becomes)(*page) != *page && !call.needs.iter().any(wrong)
        };
        let taken: Vec<Page> = pages.into_iter().filter(takes).collect();
        let mut errors: Vec<&str> = call.needs.iter().map(|need| name(need.error)).collect();
        errors.extend(call.may_fail.iter().map(|(error, _)| name(*error)));
        let mut seen = Vec::new();
        errors.retain(|error| {
            !seen.contains(error) && {
                seen.push(*error);
                true
            }
        });
        let row = |page: &str, becomes: &str, host: &str, el2: &str| {
            let cells = [&format!("`{}`", call.word), page, becomes, host, el2, &errors.join(", ")];
            cells.map(str::to_owned).to_vec()
        };
        if taken.is_empty() {
            rows.push(row("any", "as it was", "", ""));
        }
        for page in taken {
            let becomes = (call.becomes)(page);
            let host = changed(page.is_the_hosts(), becomes.is_the_hosts(), ["lose it", "get it"]);
            let el2 = changed(page.is_mapped_at_el2(), becomes.is_mapped_at_el2(), ["unmaps it", "maps it"]);
            rows.push(row(&page.to_string(), &becomes.to_string(), host, el2));
        }
    }
    rows
}

const fn changed(before: bool, after: bool, [gone, come]: [&'static str; 2]) -> &'static str {
    match (before, after) {
        (true, false) => gone,
        (false, true) => come,
        _ => "",
    }
}

fn name(error: i64) -> &'static str {
    errno::name(error).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_donation_takes_the_page_from_the_host_and_gives_it_to_el2() {
        let row = changes().into_iter().find(|row| row[0] == "`host_donate_hyp`").unwrap();
        let expected =
            ["the host's", "given to the hypervisor", "lose it", "maps it", "EINVAL, EPERM, ENOMEM"];
        assert_eq!(row[1..], expected);
    }

    #[test]
    fn a_call_reads_as_it_is_specified() {
        let text = of(Some("host_unshare_hyp")).unwrap();
        assert!(text.starts_with("host_unshare_hyp pfn\n"), "{text}");
        let at = |part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("EPERM   lent") < at("EBUSY   not-pinned"));
        assert!(!text.contains("regions"), "{text}");
        assert!(of(Some("hyp_pin_shared_mem")).unwrap().contains(OR_REGION));
        assert_eq!(of(Some("host_share")), None);
        assert_eq!(of(None).unwrap().matches("\n  done\n").count(), CALLS.len());
    }

    #[test]
    fn each_part_and_each_operation_is_found() {
        for (name, heading, _) in PARTS {
            assert!(part(name).is_some_and(|text| text.starts_with(heading)), "{name}");
        }
        for word in ["ITS", "smmu_write", "ste", "host_read", "dma_write"] {
            assert!(of(Some(word)).is_some(), "{word}");
        }
        assert_eq!((of(Some("smmu_")), of(Some("MAPD"))), (None, None));
    }

    #[test]
    fn what_was_meant_is_told() {
        let meant = ["pin", "HOST_DONATE_HYP", "itss", "nonsense"].map(like);
        assert_eq!(meant, [Some("hyp_pin_shared_mem"), Some("host_donate_hyp"), Some("its"), None]);
    }
}
