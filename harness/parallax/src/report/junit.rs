//! Results as JUnit XML: a test case a trace.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{TraceReport, Verdict};
use crate::status::Status;

/// All results as a JUnit report.
///
/// # Errors
/// None in practice: the text is made in memory.
pub fn junit(reports: &[TraceReport]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("traces");
    suite.add_test_cases(reports.iter().map(case));
    let mut report = Report::new("parallax");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(report: &TraceReport) -> TestCase {
    let status = if report.verdict.status() == Status::Same {
        TestCaseStatus::success()
    } else {
        let kind = match report.verdict {
            Verdict::Failed { .. } => NonSuccessKind::Error,
            _ => NonSuccessKind::Failure,
        };
        let mut status = TestCaseStatus::non_success(kind);
        let findings = report
            .news()
            .iter()
            .map(|found| format!("after {}: {}\n  {}\n", found.line, found.op, found.lines().join("\n  ")));
        let end = [report.verdict.advice(&report.label), format!("\nreproduce: {}\n", report.reproduce())];
        let text: String = findings.chain(end).collect();
        status.set_type(report.verdict.word());
        status.set_message(text.lines().next().unwrap_or_default());
        status.set_description(text);
        status
    };
    let mut case = TestCase::new(report.label.clone(), status);
    case.set_classname(if report.bad { "bad" } else { "good" });
    case
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn failures_and_errors_are_counted() {
        let xml = junit(&sample()).unwrap();
        assert!(xml.contains(r#"tests="4""#), "{xml}");
        assert!(xml.contains(r#"failures="2""#), "{xml}");
        assert!(xml.contains(r#"errors="1""#), "{xml}");
        assert!(xml.contains("sync/extra") && xml.contains("missing: a DSB"), "{xml}");
    }
}
