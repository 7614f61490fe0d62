//! Results as workflow commands, which GitHub shows as annotations at the lines of the traces.

use std::fmt::Write;

use super::TraceReport;
use crate::status::Status;

/// One line for everything that is not as agreed, and a count.
#[must_use]
pub fn github(reports: &[TraceReport]) -> String {
    let mut text = String::new();
    let mut wrong = 0;
    for report in reports {
        let label = &report.label;
        for found in report.news() {
            let finding = &found.finding;
            let title = format!("{}/{}", finding.check.name(), finding.rule);
            let message = format!(
                "after {}\n{}\nreproduce: {}",
                found.op,
                found.lines().join("\n"),
                report.reproduce()
            );
            annotation(&mut text, label, found.line.max(1), &title, &message);
        }
        if report.verdict.status() != Status::Same {
            wrong += 1;
            annotation(&mut text, label, 1, report.verdict.word(), &report.verdict.advice(label));
        }
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} traces, {wrong} not as agreed", reports.len());
    text
}

fn annotation(text: &mut String, file: &str, line: usize, title: &str, message: &str) {
    let (file, title, message) = (property(file), property(title), data(message.trim_end()));
    let _ = writeln!(text, "::error file={file},line={line},title={title}::{message}");
}

/// What a message may not hold as it is: the command ends with its line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn each_finding_stands_at_the_line_of_its_operation() {
        let text = github(&sample());
        let line = text.lines().find(|line| line.contains("sync/extra")).expect("the finding");
        assert!(
            line.starts_with("::error file=traces/good/b.trace,line=4,title=sync/extra::after "),
            "{line}"
        );
        assert!(line.ends_with("%0Areproduce: parallax run traces/good/b.trace"), "{line}");
        assert!(text.ends_with("4 traces, 3 not as agreed\n"), "{text}");
    }

    #[test]
    fn a_text_cannot_end_its_annotation_early() {
        let mut text = String::new();
        annotation(&mut text, "a,b:c", 1, "t", "100%\n::error::x");
        assert_eq!(text, "::error file=a%2Cb%3Ac,line=1,title=t::100%25%0A::error::x\n");
    }
}
