//! What became of each trace, and of the whole run.

use std::time::Duration;

use parallax_engine::status::Status;
use parallax_engine::{ReportedFinding, Reproducer};

use crate::golden::{Changed, Shape};

/// What a golden without a trace means and what to do.
pub const ORPHAN: &str = "no trace refers to it: remove it, or bring its trace back";

/// What became of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As agreed.
    Same,
    /// Not compared, on demand; the checks are silent (or, under bad/, found something).
    Checked,
    /// A golden was written, on demand.
    Accepted,
    /// Something was found under good/.
    UnexpectedFindings {
        /// In what the result differs from the agreed one beside that; empty where it does not.
        diff: String,
    },
    /// Nothing was found under bad/.
    Clean,
    /// No operation changes anything, and none says what must come out.
    Nothing,
    /// There is no golden; the result waits for a review.
    New,
    /// Another result was agreed.
    Diverged {
        /// The difference.
        diff: String,
    },
    /// It did not get to its end.
    Failed {
        /// Whose fault it is.
        status: Status,
        /// What happened.
        message: String,
    },
}

impl Verdict {
    /// All that [`Self::word`] can be.
    pub const WORDS: [&'static str; 9] =
        ["same", "checked", "accepted", "found", "clean", "nothing", "new", "diverged", "failed"];

    /// One word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Checked => "checked",
            Self::Accepted => "accepted",
            Self::UnexpectedFindings { .. } => "found",
            Self::Clean => "clean",
            Self::Nothing => "nothing",
            Self::New => "new",
            Self::Diverged { .. } => "diverged",
            Self::Failed { .. } => "failed",
        }
    }

    /// The exit status that it asks for.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Same | Self::Checked | Self::Accepted => Status::Same,
            Self::UnexpectedFindings { .. }
            | Self::Clean
            | Self::Nothing
            | Self::New
            | Self::Diverged { .. } => Status::Diverged,
            Self::Failed { status, .. } => *status,
        }
    }

    /// What it means and what to do, in a line or more; empty for what is in order. `waits`: what came out waits for a review.
    #[must_use]
    fn advice(&self, label: &str, waits: bool) -> String {
        match self {
            Self::Same | Self::Checked | Self::Accepted => String::new(),
            Self::UnexpectedFindings { diff } if !waits => {
                format!("{diff}a check failed where nothing may be found")
            }
            Self::New if !waits => "no golden yet".to_owned(),
            Self::Diverged { diff } if !waits => diff.trim_end().to_owned(),
            Self::UnexpectedFindings { diff } => format!(
                "{diff}a check failed where nothing may be found\n\
                 known and wanted all the same: `parallax accept --even-with-findings {label}`"
            ),
            Self::Clean => "nothing was found, though a fault is switched on".to_owned(),
            Self::Nothing => {
                "it checks nothing: add an operation that changes something, or `=> RESULT`".to_owned()
            }
            Self::New => format!(
                "no golden yet: `parallax review {label}` shows what came out and takes it (or `parallax accept {label}`)"
            ),
            Self::Diverged { diff } => format!(
                "{diff}if this is right: `parallax review {label}` shows it old beside new and takes it (or `parallax accept {label}`)"
            ),
            Self::Failed { message, .. } => message.clone(),
        }
    }
}

/// The first line of a failure, and why the hypervisor panicked if it did.
fn cause(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let why = message.lines().skip(1).find(|line| line.contains("panic on cpu"));
    why.map_or_else(|| first.to_owned(), |why| format!("{first}: {}", why.trim()))
}

/// What became of a trace, with all there is to tell about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceReport {
    /// The trace's name in its project.
    pub label: String,
    /// The trace as a command names it that is given in the folder of the run.
    pub name_here: String,
    /// Whether something must be found in it.
    pub bad: bool,
    /// How many operations were performed.
    pub ops: usize,
    /// What was found.
    pub findings: Vec<ReportedFinding>,
    /// The verdict.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
    /// The command that shows the same again.
    pub reproducer: Reproducer,
    /// Arguments of `explain`, beside the trace and the operation, that drive the same machine.
    pub explain: Vec<String>,
    /// Whether what came out waits for a review where it is not as agreed.
    pub waits: bool,
}

impl TraceReport {
    /// The command that shows the same again.
    #[must_use]
    pub fn reproduce(&self) -> String {
        self.reproducer.to_string()
    }

    /// What the verdict means and what to do, see [`Verdict::advice`].
    #[must_use]
    pub fn advice(&self) -> String {
        let advice = self.verdict.advice(&self.name_here, self.waits);
        // Why stands before what to do about it. Of the boot there is no operation to explain.
        match self.news().iter().find(|found| found.line != 0) {
            Some(found) if matches!(self.verdict, Verdict::UnexpectedFindings { .. }) => {
                let line = found.line.to_string();
                let words = ["explain", &self.name_here, "--op", &line].map(str::to_owned);
                let why = Reproducer::new(words.into_iter().chain(self.explain.iter().cloned()));
                format!("why: `{why}`\n{advice}")
            }
            _ => advice,
        }
    }

    /// Whether it is a good trace whose golden holds what was found: somebody took that with `accept --even-with-findings`.
    #[must_use]
    pub fn agreed_findings(&self) -> bool {
        !self.bad && matches!(self.verdict, Verdict::Same | Verdict::Accepted) && !self.findings.is_empty()
    }

    /// In what it is not as agreed, to be grouped with others.
    #[must_use]
    pub fn changed(&self) -> Changed {
        let changed = |diff| Changed::new(&self.label, diff);
        match &self.verdict {
            Verdict::Diverged { diff } => changed(diff),
            Verdict::UnexpectedFindings { diff } => {
                let shape =
                    |found: &ReportedFinding| Shape::new_finding(&found.finding.to_string(), &found.op);
                changed(diff).and(self.findings.iter().map(shape))
            }
            Verdict::Failed { message, .. } => changed("").and([Shape::whole(&cause(message))]),
            // A new golden is read as a whole, so each is alone.
            Verdict::New => changed("").and([Shape::whole(&format!("no golden of {} yet", self.label))]),
            verdict => changed("").and([Shape::whole(&verdict.advice(&self.name_here, self.waits))]),
        }
    }

    /// Findings to be shown: those of a bad trace that is as agreed are no news.
    pub fn news(&self) -> &[ReportedFinding] {
        if self.bad && self.verdict.status() == Status::Same { &[] } else { &self.findings }
    }
}

/// The exit status of a whole run.
#[must_use]
pub fn status(reports: &[TraceReport]) -> Status {
    reports.iter().map(|report| report.verdict.status()).fold(Status::Same, Status::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::sample;

    #[test]
    fn a_run_is_as_good_as_its_worst_trace() {
        assert_eq!(status(&sample()), Status::Diverged);
        assert_eq!(status(&sample()[..1]), Status::Same);
        assert_eq!(status(&sample()[3..]), Status::Setup);
    }

    #[test]
    fn what_waits_for_nobody_is_not_to_be_taken_and_is_explained_on_its_machine() {
        let report = sample().swap_remove(1);
        let diff = String::new();
        let report = TraceReport { bad: false, verdict: Verdict::UnexpectedFindings { diff }, ..report };
        assert!(report.advice().contains("parallax accept --even-with-findings"), "{}", report.advice());
        let explain = ["--rev", "v0.1", "--machine", "cpus=2"].map(str::to_owned).to_vec();
        let advice = TraceReport { waits: false, explain, ..report }.advice();
        assert!(!advice.contains("accept") && !advice.contains("review"), "{advice}");
        assert!(advice.contains(" --rev v0.1 --machine 'cpus=2'`"), "{advice}");
    }

    #[test]
    fn a_panic_is_the_headline_of_a_machine_that_did_not_boot() {
        let why = "the machine did not boot\nthe hypervisor panicked\nhyp: panic on cpu 0: no pages\nmore";
        assert_eq!(cause(why), "the machine did not boot: hyp: panic on cpu 0: no pages");
        assert_eq!(cause("the machine did not boot\nhang"), "the machine did not boot");
    }

    #[test]
    fn what_a_bad_trace_has_to_find_is_no_news() {
        assert!(sample()[0].news().is_empty());
        assert_eq!(sample()[1].news().len(), 1);
    }
}
