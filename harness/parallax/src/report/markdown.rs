//! Results as Markdown: what is not in order first, then a table of everything.

use std::fmt::Write;

use super::TraceReport;
use crate::status::Status;

/// All results as a Markdown page; the same for the same results, so without times.
#[must_use]
pub fn markdown(reports: &[TraceReport]) -> String {
    let wrong: Vec<&TraceReport> =
        reports.iter().filter(|report| report.verdict.status() != Status::Same).collect();
    let mut page = format!("# Parallax: {} traces, {} not as agreed\n", reports.len(), wrong.len());
    for report in &wrong {
        section(&mut page, report);
    }
    page.push_str("\n| trace | result | operations | findings |\n| --- | --- | ---: | ---: |\n");
    for report in reports {
        let TraceReport { label, ops, findings, verdict, .. } = report;
        line(&mut page, format_args!("| `{label}` | {} | {ops} | {} |", verdict.word(), findings.len()));
    }
    page
}

fn section(page: &mut String, report: &TraceReport) {
    line(page, format_args!("\n## {}: {}\n", report.label, report.verdict.word()));
    for found in report.news() {
        line(page, format_args!("- after {}: `{}`: {}", found.line, found.op, found.finding));
    }
    let advice = report.verdict.advice(&report.label);
    line(page, format_args!("\n```\n{}\n```", advice.trim_end()));
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
        assert_eq!(page.matches("\n## ").count(), 3);
        assert!(page.contains("| `traces/bad/a.trace` | same | 3 | 1 |"), "{page}");
    }
}
