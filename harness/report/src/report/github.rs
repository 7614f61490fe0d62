//! Results as workflow commands, which GitHub shows as annotations at the lines of the traces.

use std::fmt::Write;

use parallax_engine::status::Status;

use super::TraceReport;

/// One line for everything that is not as agreed, and a count.
#[must_use]
pub fn github(reports: &[TraceReport]) -> String {
    let mut text = String::new();
    let mut wrong = 0;
    for report in reports {
        let label = &report.label;
        for found in report.news() {
            let finding = &found.finding;
            let title = finding.rule.to_string();
            let message = format!(
                "after {}: {}\n{}\nreproduce: {}",
                found.line,
                found.op,
                found.lines().join("\n"),
                found.reproduce()
            );
            annotation(&mut text, label, found.line.max(1), &title, &message);
        }
        if report.verdict.status() != Status::Same {
            wrong += 1;
            annotation(&mut text, label, 1, report.verdict.word(), &report.advice());
        }
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} traces, {wrong} not as agreed", reports.len());
    text
}

/// Why nothing could be run, at a line of a file where it is known.
#[must_use]
pub fn github_failure(errors: &[(Option<(String, usize)>, String)]) -> String {
    let mut text = String::new();
    for (place, message) in errors {
        match place {
            Some((file, line)) => annotation(&mut text, file, *line, "failed", message),
            // Writing to a string cannot fail.
            None => _ = writeln!(text, "::error title=failed::{}", data(message.trim_end())),
        }
    }
    text + "nothing was run\n"
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
    use super::super::samples::sample;
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
    fn why_nothing_could_be_run_stands_at_its_line() {
        let errors = [
            (Some(("a.trace".to_owned(), 3)), "a.trace:3:1: found `x`\nno".to_owned()),
            (None, "no cargo".to_owned()),
        ];
        assert_eq!(
            github_failure(&errors),
            "::error file=a.trace,line=3,title=failed::a.trace:3:1: found `x`%0Ano\n\
             ::error title=failed::no cargo\nnothing was run\n"
        );
    }

    #[test]
    fn a_finding_is_told_with_operation_page_both_views_and_command() {
        let text = github(&sample());
        let line = text.lines().find(|line| line.contains("sync/extra")).expect("the finding");
        for part in [
            "::after 4: host_donate_hyp pfn=ram+0x20%0A",
            "%0A  page 0x40020000..0x40021000%0A",
            "[cpu: annotated hyp; smmu: RW normal 4K]",
            "%0Areproduce: parallax run traces/good/b.trace",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    /// A command as GitHub's runner reads it: properties and message, unescaped.
    fn read(line: &str) -> (Vec<(String, String)>, String) {
        let plain = |text: &str| {
            let escapes = [("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
            escapes.iter().fold(text.to_owned(), |text, (escape, with)| text.replace(escape, with))
        };
        let (properties, message) =
            line.strip_prefix("::error ").and_then(|rest| rest.split_once("::")).expect("a command");
        let pairs = properties.split(',').filter_map(|pair| pair.split_once('='));
        (pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect(), plain(message))
    }

    #[test]
    fn what_is_read_back_is_what_was_told() {
        for nasty in
            ["100%", "a,b", "a:b", "a::b", "a\nb", "a\r\nb", "::error file=x::y", "%0A", "a=b", "%253A"]
        {
            let mut text = String::new();
            annotation(&mut text, nasty, 7, nasty, nasty);
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            let (properties, message) = read(text.trim_end());
            let named =
                |name: &str| properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            assert_eq!(named("file").as_deref(), Some(nasty), "{text}");
            assert_eq!(named("title").as_deref(), Some(nasty), "{text}");
            assert_eq!((named("line").as_deref(), message.as_str()), (Some("7"), nasty), "{text}");
        }
    }

    #[test]
    fn a_text_cannot_end_its_annotation_early() {
        let mut text = String::new();
        annotation(&mut text, "a,b:c", 1, "t", "100%\n::error::x");
        assert_eq!(text, "::error file=a%2Cb%3Ac,line=1,title=t::100%25%0A::error::x\n");
    }
}
