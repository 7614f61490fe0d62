//! Results as Markdown, for a comment on a pull request or a summary page: what kinds of lines changed first, then
//! what is not in order, folded, then a table of everything.

use std::fmt::Write;

use super::{TraceReport, Verdict};
use crate::golden::Kinds;
use crate::status::Status;

/// GitHub takes comments of up to 65,536 characters; some are left for whoever posts it.
const LIMIT: usize = 60_000;
/// A difference longer than this is cut, in bytes.
const DIFF_LIMIT: usize = 8_000;

/// All results as a Markdown page; the same for the same results, so without times. Longer pages than a comment
/// can be are cut, and say so.
#[must_use]
pub fn markdown(reports: &[TraceReport]) -> String {
    let wrong: Vec<&TraceReport> =
        reports.iter().filter(|report| report.verdict.status() != Status::Same).collect();
    let mut page = format!("# Parallax: {} traces, {} not as agreed\n", reports.len(), wrong.len());
    let changed: Vec<&str> = wrong.iter().filter_map(|report| diff(report)).collect();
    if !changed.is_empty() {
        let kinds = changed.iter().fold(Kinds::default(), |kinds, diff| kinds.and(&Kinds::of_diff(diff)));
        line(&mut page, format_args!("\n**{}**, in {} of them.", kinds, changed.len()));
    }
    let table = table(reports);
    for (index, report) in wrong.iter().enumerate() {
        let section = section(report);
        if page.len() + section.len() + table.len().min(LIMIT / 4) > LIMIT {
            let more = wrong.len() - index;
            line(&mut page, format_args!("\n{more} more are not as agreed: `parallax run` shows them all."));
            break;
        }
        page.push_str(&section);
    }
    if page.len() + table.len() <= LIMIT {
        page.push_str(&table);
    } else {
        line(&mut page, format_args!("\nThe table of all {} traces is left out: too long.", reports.len()));
    }
    page
}

fn diff(report: &TraceReport) -> Option<&str> {
    if let Verdict::Diverged { diff } = &report.verdict { Some(diff) } else { None }
}

fn section(report: &TraceReport) -> String {
    let mut text = String::new();
    let word = report.verdict.word();
    let kinds = diff(report).map(|diff| format!(" ({})", Kinds::of_diff(diff))).unwrap_or_default();
    line(
        &mut text,
        format_args!("\n<details><summary><code>{}</code>: {word}{kinds}</summary>\n", report.label),
    );
    for found in report.news() {
        line(&mut text, format_args!("- after line {}, `{}`: {}", found.line, found.op, found.finding));
        found.detail.iter().for_each(|detail| line(&mut text, format_args!("  - {detail}")));
    }
    let advice = report.verdict.advice(&report.label);
    let (advice, cut) = shortened(advice.trim_end());
    let language = if diff(report).is_some() { "diff" } else { "text" };
    line(&mut text, format_args!("\n```{language}\n{advice}\n```"));
    if cut > 0 {
        line(&mut text, format_args!("… and {cut} more lines."));
    }
    line(&mut text, format_args!("\nReproduce: `{}`\n</details>", report.reproduce()));
    text
}

/// The first lines, as many as fit, and how many were left out.
fn shortened(text: &str) -> (&str, usize) {
    if text.len() <= DIFF_LIMIT {
        return (text, 0);
    }
    let fits = text.char_indices().take_while(|(at, _)| *at < DIFF_LIMIT).filter(|(_, c)| *c == '\n').last();
    let end = fits.map_or(0, |(at, _)| at);
    (&text[..end], text[end..].lines().count().saturating_sub(1))
}

fn table(reports: &[TraceReport]) -> String {
    let mut text = "\n| trace | result | operations | findings |\n| --- | --- | ---: | ---: |\n".to_owned();
    for report in reports {
        let TraceReport { label, ops, findings, verdict, .. } = report;
        line(&mut text, format_args!("| `{label}` | {} | {ops} | {} |", verdict.word(), findings.len()));
    }
    text
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn what_is_wrong_has_a_section_and_everything_a_row() {
        let page = markdown(&sample());
        assert!(page.starts_with("# Parallax: 4 traces, 3 not as agreed\n"));
        assert_eq!(page.matches("<details>").count(), 3);
        assert_eq!(page.matches("</details>").count(), 3);
        assert!(page.contains("| `traces/bad/a.trace` | same | 3 | 1 |"), "{page}");
        assert!(page.contains("Reproduce: `parallax run traces/good/b.trace`"), "{page}");
    }

    #[test]
    fn the_kinds_of_changes_are_said_first() {
        let mut reports = sample();
        reports[2].verdict = Verdict::Diverged { diff: "-   smmu a\n+   smmu b\n".to_owned() };
        let page = markdown(&reports);
        assert!(page.contains("\n**only SMMU changed**, in 1 of them.\n"), "{page}");
        assert!(page.contains("<code>traces/good/c.trace</code>: diverged (only SMMU changed)"), "{page}");
    }

    #[test]
    fn a_page_never_gets_longer_than_a_comment_and_says_what_it_leaves_out() {
        let diff: String = (0..2000).map(|n| format!("-   cpu  ram+{n:#x}\n")).collect();
        let mut report = sample().swap_remove(2);
        report.verdict = Verdict::Diverged { diff };
        let page = markdown(&vec![report; 50]);
        assert!(page.len() <= LIMIT, "{}", page.len());
        assert!(page.contains("more lines."), "{page}");
        assert!(page.contains(" more are not as agreed"), "{page}");
    }
}
