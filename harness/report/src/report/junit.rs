//! Results as JUnit XML: a test case a trace.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use parallax_engine::status::Status;

use super::{TraceReport, Verdict};

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

/// Why nothing could be run, as a JUnit report with one test case: an error for each text of `errors`, of the trace
/// that it names first.
///
/// # Errors
/// As [`junit`].
pub fn junit_failure(errors: &[(String, String)]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("traces");
    suite.add_test_cases(errors.iter().map(|(name, message)| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("failed");
        status.set_message(message.lines().next().unwrap_or_default());
        status.set_description(message.as_str());
        let mut case = TestCase::new(name.as_str(), status);
        case.set_classname("malformed");
        case
    }));
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
        let end = [report.advice(), format!("\nreproduce: {}\n", report.reproduce())];
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
    use super::super::samples::sample;
    use super::*;

    #[test]
    fn failures_and_errors_are_counted() {
        let xml = junit(&sample()).unwrap();
        assert!(xml.contains(r#"tests="4""#), "{xml}");
        assert!(xml.contains(r#"failures="2""#), "{xml}");
        assert!(xml.contains(r#"errors="1""#), "{xml}");
        assert!(xml.contains("sync/extra") && xml.contains("missing: a DSB"), "{xml}");
    }

    #[test]
    fn why_nothing_could_be_run_is_an_error_of_its_trace() {
        let errors = [("a.trace".to_owned(), "a.trace:1:1: found `x`\n  |\u{1b}".to_owned())];
        let xml = junit_failure(&errors).unwrap();
        assert_eq!(wrong(&xml), [""; 0], "{xml}");
        assert!(xml.contains(r#"errors="1""#) && xml.contains(r#"name="a.trace""#), "{xml}");
    }

    /// What is wrong with `xml` by the JUnit schema that CI systems read: elements, their order of nesting, attributes
    /// that must be there, and counts that must be right.
    fn wrong(xml: &str) -> Vec<String> {
        let document = match roxmltree::Document::parse(xml) {
            Ok(document) => document,
            Err(error) => return vec![error.to_string()],
        };
        let mut wrong = Vec::new();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let name = node.tag_name().name();
            let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
            let (parents, needed): (&[&str], &[&str]) = match name {
                "testsuites" => (&[""], &["tests", "failures", "errors"]),
                "testsuite" => (&["testsuites"], &["name", "tests", "failures", "errors"]),
                "testcase" => (&["testsuite"], &["name", "classname"]),
                "failure" | "error" => (&["testcase"], &["message", "type"]),
                _ => (&[], &[]),
            };
            if !parents.contains(&parent) {
                wrong.push(format!("<{name}> in <{parent}>"));
            }
            let missing = needed.iter().filter(|attribute| node.attribute(**attribute).is_none());
            wrong.extend(missing.map(|attribute| format!("<{name}> without {attribute}")));
            let counts = [("tests", "testcase"), ("failures", "failure"), ("errors", "error")];
            for (attribute, element) in counts.into_iter().filter(|_| name.starts_with("testsuite")) {
                let count = node.descendants().filter(|below| below.has_tag_name(element)).count();
                if node.attribute(attribute) != Some(count.to_string().as_str()) {
                    wrong.push(format!("<{name}> counts {attribute} wrong"));
                }
            }
        }
        wrong
    }

    #[test]
    fn it_has_the_shape_that_ci_systems_read() {
        let mut reports = sample();
        reports[1].label = "traces/good/<a>&\"b\"\u{1b}[31m.trace".to_owned();
        let xml = junit(&reports).unwrap();
        assert_eq!(wrong(&xml), Vec::<String>::new(), "{xml}");
        let cut = |what: &str, with: &str| wrong(&xml.replacen(what, with, 1));
        assert!(!cut("</testsuite>", "").is_empty());
        assert_eq!(cut("classname=\"good\"", ""), ["<testcase> without classname"]);
        assert_eq!(cut("failures=\"2\"", "failures=\"3\""), ["<testsuites> counts failures wrong"]);
    }

    #[test]
    fn a_finding_is_told_with_operation_page_both_views_and_command() {
        let xml = junit(&sample()).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        let text = failure.text().unwrap();
        for part in [
            "after 4: host_donate_hyp pfn=ram+0x20\n",
            "page 0x40020000..0x40021000",
            "[cpu: annotated hyp; smmu: RW normal 4K]",
            "reproduce: parallax run traces/good/b.trace\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
