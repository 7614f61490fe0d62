//! Results for a person: a line a trace, what went wrong below it, a table at the end.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use parallax_engine::ReportedFinding;
use parallax_engine::status::Status;
use parallax_engine::visible;

use super::{ORPHAN, TraceReport, Verdict};
use crate::golden::{self, Changed};

/// Groups of changes that are shown, and what of each.
const GROUPS: usize = 8;
const SHAPES: usize = 3;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// Writes results as they come. Colours are always in the text; give it a stream that takes them out where they
/// are not wanted.
pub struct Human<W> {
    out: W,
}

impl<W: Write> Human<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }

    /// Tells what became of one trace.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn trace(&mut self, report: &TraceReport) -> io::Result<()> {
        let status = report.verdict.status();
        let interrupted = status == Status::Interrupted;
        let style = match (&report.verdict, status) {
            (Verdict::New, _) | (_, Status::Interrupted) => YELLOW,
            (_, Status::Same) => GREEN,
            _ => RED,
        };
        let TraceReport { label, ops, elapsed, .. } = report;
        let shown = visible::line(label);
        let word = if interrupted { "interrupted" } else { report.verdict.word() };
        let seconds = elapsed.as_secs_f64();
        writeln!(
            self.out,
            "{style}{word:<9}{style:#} {shown}  {DIM}{ops} operations, {seconds:.2} s{DIM:#}"
        )?;
        for found in report.news() {
            self.finding(found)?;
        }
        if interrupted {
            // Who ends a run knows why.
            return Ok(());
        }
        if !report.news().is_empty() || matches!(report.verdict, Verdict::Failed { .. }) {
            writeln!(self.out, "    reproduce: {}", visible::line(&report.reproduce()))?;
        }
        for line in report.advice().lines() {
            let style = match (&report.verdict, line.as_bytes().first()) {
                (Verdict::Diverged { .. }, Some(b'+')) => GREEN,
                (Verdict::Diverged { .. }, Some(b'-')) => RED,
                _ => Style::new(),
            };
            writeln!(self.out, "    {style}{}{style:#}", visible::line(line))?;
        }
        Ok(())
    }

    /// What is not as agreed, in groups, where that is more than one thing to read.
    fn changes(&mut self, reports: &[TraceReport]) -> io::Result<()> {
        let wrong = reports.iter().filter(|report| report.verdict.status() != Status::Same);
        let changed: Vec<Changed> = wrong.map(TraceReport::changed).collect();
        if changed.len() < 2 {
            return Ok(());
        }
        writeln!(
            self.out,
            "\nwhat is not as agreed, the same together (`parallax review` goes through it):"
        )?;
        let groups = golden::groups(&changed);
        for group in groups.iter().take(GROUPS) {
            let shapes = group.shapes.iter().take(SHAPES);
            let what: Vec<String> = shapes.map(|(shape, count)| format!("{count} × {shape}")).collect();
            let more = match group.shapes.len().saturating_sub(SHAPES) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            writeln!(self.out, "  {}{more}", visible::line(&what.join(", ")))?;
            let first = group.members.first().map_or("", |member| &changed[*member].label);
            let rest = match group.members.len() {
                0 | 1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            writeln!(self.out, "      {DIM}{}{rest}{DIM:#}", visible::line(first))?;
        }
        match groups.len().saturating_sub(GROUPS) {
            0 => Ok(()),
            more => writeln!(self.out, "  and {more} more groups"),
        }
    }

    fn finding(&mut self, found: &ReportedFinding) -> io::Result<()> {
        let lines = found.lines();
        let (first, rest) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        writeln!(self.out, "    after {}: {}", found.line, visible::line(&found.op))?;
        writeln!(self.out, "      {RED}{}{RED:#}", visible::line(first))?;
        rest.iter().try_for_each(|line| writeln!(self.out, "      {}", visible::line(line)))
    }

    /// Tells what became of all of them, in `elapsed`, and which goldens are without a trace.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn summary(
        &mut self,
        reports: &[TraceReport],
        orphans: &[String],
        elapsed: Duration,
    ) -> io::Result<()> {
        for path in orphans {
            writeln!(self.out, "{RED}{:<9}{RED:#} {}\n    {ORPHAN}", "orphan", visible::line(path))?;
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["", "traces", "in order", "not", "operations", "findings"]);
        for (name, bad) in [("good", false), ("bad", true)] {
            let rows: Vec<&TraceReport> = reports.iter().filter(|report| report.bad == bad).collect();
            if rows.is_empty() {
                continue;
            }
            let right = rows.iter().filter(|report| report.verdict.status() == Status::Same).count();
            let ops: usize = rows.iter().map(|report| report.ops).sum();
            let findings: usize = rows.iter().map(|report| report.findings.len()).sum();
            let counts =
                [rows.len(), right, rows.len() - right, ops, findings].map(|count| count.to_string());
            table.add_row(std::iter::once(name.to_owned()).chain(counts));
        }
        let seconds = elapsed.as_secs_f64();
        let status = if orphans.is_empty() { Status::Same } else { Status::Diverged };
        let status = super::status(reports).and(status);
        let held = reports.iter().any(TraceReport::agreed_findings);
        let (style, verdict) = match status {
            Status::Same if held => (YELLOW, "as agreed, findings in good traces among it,"),
            Status::Same => (GREEN, "all as agreed"),
            Status::Setup => (RED, "could not build, start or write"),
            Status::Interrupted => (YELLOW, "interrupted"),
            Status::Diverged | Status::Usage => (RED, "not as agreed"),
        };
        writeln!(self.out, "\n{}", table.trim_fmt())?;
        for report in reports.iter().filter(|report| report.agreed_findings()) {
            let (count, label) = (report.findings.len(), visible::line(&report.label));
            let text = "its golden holds them, and a good trace's golden may not";
            writeln!(self.out, "{YELLOW}{count} findings{YELLOW:#} in {label}: {text}")?;
        }
        self.changes(reports)?;
        writeln!(self.out, "\n{style}{verdict}{style:#} in {seconds:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::sample;
    use super::*;

    fn plain(write: impl FnOnce(&mut Human<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        write(&mut Human::new(&mut bytes));
        anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
    }

    #[test]
    fn a_trace_in_order_takes_one_line() {
        let text = plain(|human| human.trace(&sample()[0]).unwrap());
        assert_eq!(text, "same      traces/bad/a.trace  3 operations, 1.23 s\n");
    }

    #[test]
    fn a_finding_is_shown_with_its_operation_page_and_both_views() {
        let text = plain(|human| human.trace(&sample()[1]).unwrap());
        assert!(text.contains("after 4: host_donate_hyp pfn=ram+0x20"), "{text}");
        assert!(text.contains("sync/extra smmu ram+0x20000..+0x21000"), "{text}");
        assert!(text.contains("[cpu: annotated hyp; smmu: RW normal 4K]"), "{text}");
        assert!(text.contains("\n        page 0x40020000..0x40021000\n"), "{text}");
        assert!(text.contains("reproduce: parallax run traces/good/b.trace\n"), "{text}");
        assert!(text.contains("\n        missing: a DSB\n"), "{text}");
    }

    #[test]
    fn a_run_that_the_user_ended_is_no_failure() {
        let verdict = Verdict::Failed { status: Status::Interrupted, message: "interrupted".to_owned() };
        let ended = TraceReport { verdict, ..sample().swap_remove(0) };
        let text = plain(|human| human.trace(&ended).unwrap());
        assert!(text.starts_with("interrupted traces/bad/a.trace  3 operations, 1.23 s\n"), "{text}");
        assert!(!text.contains("reproduce:") && !text.contains("failed"), "{text}");
    }

    #[test]
    fn a_difference_comes_with_the_command_that_takes_it() {
        let text = plain(|human| human.trace(&sample()[2]).unwrap());
        assert!(text.contains("    -a\n    +b\n"), "{text}");
        assert!(text.contains("parallax accept traces/good/c.trace"), "{text}");
    }

    #[test]
    fn nothing_in_a_golden_steers_the_terminal() {
        let mut report = sample()[2].clone();
        report.verdict = Verdict::Diverged { diff: "-a\u{1b}[2J\n+b\u{202e}\n".to_owned() };
        let mut bytes = Vec::new();
        Human::new(&mut bytes).trace(&report).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(r"-a\u{1b}[2J") && text.contains(r"+b\u{202e}"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{202e}'), "{text:?}");
    }

    #[test]
    fn the_summary_counts_both_kinds() {
        let text = plain(|human| human.summary(&sample(), &[], Duration::from_secs(2)).unwrap());
        let words = |name: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(words("good"), ["good", "3", "0", "3", "9", "1"]);
        assert_eq!(words("bad"), ["bad", "1", "1", "0", "3", "1"]);
        assert!(text.ends_with("not as agreed in 2.0 s\n"), "{text}");
    }

    #[test]
    fn what_changed_alike_is_one_line_of_the_summary() {
        let diverged = |label: &str| TraceReport {
            label: label.to_owned(),
            verdict: Verdict::Diverged {
                diff: " 2: nop -> ok\n-   cpu  ram+0x0..+0x1000   + RWX\n".to_owned(),
            },
            ..sample()[2].clone()
        };
        let reports = ["traces/bad/x.trace", "traces/good/y.trace", "traces/good/z.trace"].map(diverged);
        let text = plain(|human| human.summary(&reports, &[], Duration::from_secs(2)).unwrap());
        let expected = "  3 × cpu … + RWX gone after nop\n      traces/good/y.trace and 2 more\n";
        assert!(text.contains(expected), "{text}");
        let one = plain(|human| human.summary(&reports[..1], &[], Duration::from_secs(2)).unwrap());
        assert!(!one.contains("the same together"), "{one}");
    }

    #[test]
    fn a_golden_without_a_trace_is_told_before_the_end_and_is_not_as_agreed() {
        let orphans = ["golden/good/x.snap".to_owned()];
        let text = plain(|human| human.summary(&sample()[..1], &orphans, Duration::from_secs(2)).unwrap());
        assert!(text.starts_with("orphan    golden/good/x.snap\n    no trace refers to it"), "{text}");
        assert!(text.ends_with("\nnot as agreed in 2.0 s\n"), "{text}");
    }
}
