//! For tests: reports as runs give them.

use parallax_engine::status::Status;
use parallax_engine::{ReportedFinding, Reproducer};
use parallax_model::{Finding, Rule, Space, Span, Views, Violation};

use std::time::Duration;

use super::{TraceReport, Verdict};

/// A finding.
#[must_use]
pub fn finding() -> Finding {
    let span = Span::new(0x4002_0000, 0x1000);
    let violation = Violation {
        rule: Rule::SyncExtra,
        space: Space::Smmu,
        span,
        subject: "ram+0x20000..+0x21000".to_owned(),
        message: "the SMMU maps what the CPU does not".to_owned(),
        function: None,
    };
    violation.with_views(Some(span.cast()), Views::new("annotated hyp", "RW normal 4K"))
}

/// One report of each kind.
#[must_use]
pub fn sample() -> Vec<TraceReport> {
    let report = |label: &str, bad, verdict, findings| TraceReport {
        label: label.to_owned(),
        name_here: label.to_owned(),
        bad,
        ops: 3,
        findings,
        verdict,
        elapsed: Duration::from_millis(1234),
        explain: Vec::new(),
        waits: true,
        reproducer: Reproducer::new(["run", label]),
    };
    let found = || {
        let reproducer = Reproducer::new(["run", "traces/good/b.trace"]);
        let mut found = ReportedFinding::new(4, "host_donate_hyp pfn=ram+0x20", finding(), &reproducer);
        found.detail.push("missing: a DSB".to_owned());
        vec![found]
    };
    let failed =
        Verdict::Failed { status: Status::Setup, message: "the machine did not boot\nwhy".to_owned() };
    vec![
        report("traces/bad/a.trace", true, Verdict::Same, found()),
        report("traces/good/b.trace", false, Verdict::UnexpectedFindings { diff: String::new() }, found()),
        report("traces/good/c.trace", false, Verdict::Diverged { diff: "-a\n+b\n".to_owned() }, vec![]),
        report("traces/good/d.trace", false, failed, vec![]),
    ]
}
