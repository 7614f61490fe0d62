//! The specification as a person reads it.

use std::fmt::Write;

use parallax_abi::errno;
use parallax_ops::{Kind, rows};

use crate::call::{CALLS, Specified};
use crate::need::Holds;

/// The specification of the call named `word`, or of all.
#[must_use]
pub fn of(word: Option<&str>) -> Option<String> {
    let known: Vec<&Specified> =
        CALLS.iter().filter(|call| word.is_none_or(|word| word == call.word)).collect();
    let texts: Vec<String> = known.into_iter().map(one).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
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
    if !call.needs.is_empty() {
        text.push_str(
            "\n  refused, and nothing changes, where one of these does not hold: first what is said of all pages, in this order, then page by page\n",
        );
        for need in call.needs {
            let each = if matches!(need.holds, Holds::Each(_)) { "each page: " } else { "" };
            let or = if need.or_region { "; EINVAL instead, where MMIO is named across regions" } else { "" };
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

fn name(error: i64) -> &'static str {
    errno::name(error).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_as_it_is_specified() {
        let text = of(Some("host_unshare_hyp")).unwrap();
        assert!(text.starts_with("host_unshare_hyp pfn\n"), "{text}");
        let at = |part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("EPERM   lent") < at("EBUSY   not-pinned"));
        assert_eq!(of(Some("host_share")), None);
        assert_eq!(of(None).unwrap().matches("\n  done\n").count(), CALLS.len());
    }
}
