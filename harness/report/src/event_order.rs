//! Findings about the order of events in a Casemate file, told to a person.

use std::fmt::Write;

use parallax_addr::PAGE_SIZE;
use parallax_engine::{ReportedFinding, Reproducer, visible};
use parallax_model::{Rule, Space, Span, Views, Violation};
use parallax_protocol::casemate::Sources;
use parallax_protocol::{Checker, Config, Event, Finding, Kind, Regime, Side, Site, Subject};

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// All findings, and how many there are.
    pub text: String,
    /// Nothing was found, and all was judged.
    pub good: bool,
}

/// Judges the events of a file one by one.
#[derive(Debug)]
pub struct Judge<'r> {
    checker: Checker,
    /// The command that judges them again.
    reproducer: &'r Reproducer,
    /// The line of the operation that they belong to.
    line: Option<u64>,
    /// What was found, as it was when it was found.
    reported: Vec<ReportedFinding>,
}

impl<'r> Judge<'r> {
    /// Before the first event; `reproducer` is the command that judges them again.
    #[must_use]
    pub fn new(config: Config, reproducer: &'r Reproducer) -> Self {
        Self { checker: Checker::new(config), reproducer, line: None, reported: Vec::new() }
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        if let Kind::Op { number } = event.kind {
            self.line = Some(number);
        }
        self.checker.event(event);
        // What both sides are is known at this event only.
        for finding in &self.checker.findings()[self.reported.len()..] {
            self.reported.push(report(finding, self.line, &self.checker, self.reproducer));
        }
    }

    /// How many there were.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.checker.events()
    }

    /// What came of them; `sources` are those of their file.
    #[must_use]
    pub fn judged(&self, sources: &Sources) -> Judged {
        let checker = &self.checker;
        let mut text = String::new();
        for (finding, reported) in checker.findings().iter().zip(&self.reported) {
            write(&mut text, finding, reported, sources);
        }
        let findings = checker.findings().len();
        // Writing to a string cannot fail.
        let _ = match findings {
            0 => writeln!(text, "ok: nothing found in {} events", checker.events()),
            1 => writeln!(text, "! 1 finding in {} events", checker.events()),
            _ => writeln!(text, "! {findings} findings in {} events", checker.events()),
        };
        let lost = checker.lost();
        if lost > 0 {
            let _ = writeln!(text, "! not judged in full: {lost} stores to more memory than is followed");
        }
        Judged { text, good: findings == 0 && lost == 0 }
    }
}

/// What `checker` has just found during the operation in line `line`, with what both sides' tables are by now.
fn report(
    finding: &Finding,
    line: Option<u64>,
    checker: &Checker,
    reproducer: &Reproducer,
) -> ReportedFinding {
    let (space, span) = match finding.subject {
        Subject::Entry { regime: Regime::Cpu(_), level, ia, .. } => {
            (Space::Cpu, Span::new(ia.get(), size(level)))
        }
        Subject::Entry { regime: Regime::Smmu(_), level, ia, .. } => {
            (Space::Smmu, Span::new(ia.get(), size(level)))
        }
        Subject::Entry { regime: Regime::El2, level, ia, .. } => {
            (Space::El2, Span::new(ia.get(), size(level)))
        }
        Subject::Page { pa } | Subject::Memory { pa } | Subject::Foreign { pa } => {
            (Space::Page, Span::new(pa.page().get(), PAGE_SIZE))
        }
        Subject::Stream(sid) | Subject::Context { sid, .. } => (Space::Ste, Span::new(sid.into(), 1)),
        Subject::Register(_) | Subject::Command(_) => (Space::Regs, Span::default()),
    };
    let violation = Violation {
        rule: Rule::Protocol(finding.rule),
        space,
        span,
        subject: finding.subject.to_string(),
        message: finding.what.clone(),
        function: None,
    };
    let page = matches!(space, Space::Cpu | Space::Smmu | Space::Page).then_some(span);
    let views = match page {
        Some(page) => [Side::Cpu, Side::Smmu].map(|side| checker.look(side, page.base)),
        None => ["not known: events tell of tables, not of registers".to_owned(), String::new()],
    };
    let op =
        line.map_or_else(|| "the file names none".to_owned(), |line| format!("line {line} of the trace"));
    let line = line.and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
    ReportedFinding::new(
        line,
        &op,
        violation.with_views(page.map(Span::cast), Views::new(&views[0], &views[1])),
        reproducer,
    )
}

/// Bytes that an entry of level `level` covers.
fn size(level: i8) -> u64 {
    PAGE_SIZE << (9 * (3 - i32::from(level.min(3))))
}

fn write(out: &mut String, finding: &Finding, reported: &ReportedFinding, sources: &Sources) {
    let at = site(finding.at, sources);
    let _ = writeln!(out, "{at}: {}: {}", finding.rule.name(), finding.subject);
    let _ = writeln!(out, "  {}", finding.what);
    let _ = writeln!(out, "  operation: {}\n  {}", reported.op, reported.finding.about());
    for (side, view) in reported.finding.views().iter() {
        let _ = writeln!(out, "  {}: {view}", side.name());
    }
    if !finding.missing.is_empty() {
        let _ = writeln!(out, "  missing: {}", finding.missing);
    }
    if let Some(near) = &finding.near {
        let at = near.at.map(|at| format!("{}: ", site(at, sources)));
        let _ = writeln!(out, "  but: {}{}", at.unwrap_or_default(), near.what);
    }
    for (word, event) in [("since", finding.since), ("until", finding.until)] {
        if let Some(event) = event {
            let _ = writeln!(out, "  {word}: {}", site(event, sources));
        }
    }
    if finding.count > 1 {
        let _ = writeln!(out, "  {} times at this place", finding.count);
    }
    let _ = writeln!(out, "  again: {}", reported.reproduce());
}

fn site(site: Site, sources: &Sources) -> String {
    let place = format!("event {} cpu {}", site.seq, site.cpu);
    match sources.get(site.pc) {
        // The file's author is not to send commands to the terminal.
        Some(source) => format!("{place} at {}", visible::line(source)),
        None => place,
    }
}
