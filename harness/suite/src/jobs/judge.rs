//! What a run is worth, against its golden.

use parallax_engine::TraceRun;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden::{self, Comparison, GoldenError, Place};
use parallax_report::report::Verdict;

use super::options::{GoldenMode, Options};
use crate::cases::Case;

/// The verdict on a trace that got to its end. What can never be right does not become a golden; findings where none
/// may be wait for somebody who takes them in spite of that.
pub(super) fn judge(case: &Case, run: &TraceRun, options: &Options) -> Result<Verdict, GoldenError> {
    let (place, mode) = (&case.place, options.golden);
    let found = !case.is_bad() && !run.findings.is_empty();
    let settled = || if mode.writes() { golden::reject(&place.pending()) } else { Ok(()) };
    let leave = |verdict| if mode.writes() { leave(place, &run.golden, verdict) } else { verdict };
    if !run.checked && mode != GoldenMode::Ignore {
        settled()?;
        return Ok(Verdict::Nothing);
    }
    let missed = case.is_bad() && run.findings.is_empty();
    if missed && (options.events || !golden::needs_events(place)?) {
        settled()?;
        return Ok(Verdict::Clean);
    }
    if mode == GoldenMode::Ignore {
        let diff = String::new();
        return Ok(if found { Verdict::UnexpectedFindings { diff } } else { Verdict::Checked });
    }
    let comparison = golden::compare(place, &run.golden, options.events)?;
    match (comparison, mode) {
        (Comparison::Same, _) => {
            settled()?;
            Ok(Verdict::Same)
        }
        (Comparison::Missing | Comparison::Different { .. }, _) if found => {
            let diff = golden::beside_findings(place, &run.golden)?;
            Ok(leave(Verdict::UnexpectedFindings { diff }))
        }
        (_, GoldenMode::Accept) => {
            golden::save(place, &place.golden, &run.golden)?;
            golden::reject(&place.pending())?;
            Ok(Verdict::Accepted)
        }
        (Comparison::Missing, _) => Ok(leave(Verdict::New)),
        (Comparison::Different { diff }, _) => Ok(leave(Verdict::Diverged { diff })),
    }
}

/// Leaves a result for a review, and gives `verdict`. Where that cannot be written, nobody can take it: what came out is
/// told all the same, and a full disk is no fault of the trace.
fn leave(place: &Place, text: &str, verdict: Verdict) -> Verdict {
    let Err(error) = golden::save(place, &place.pending(), text) else { return verdict };
    let Failure { status, message } = error.into();
    let status = if status == Status::Setup { status } else { verdict.status() };
    let came_out = match verdict {
        Verdict::Diverged { diff } => diff,
        Verdict::New => format!("no golden yet; this came out:\n{text}"),
        verdict => format!("{} where nothing may be: see above\n", verdict.word()),
    };
    let remedy = "the result cannot wait for a review: make it possible to write there, and run it again";
    Verdict::Failed { status, message: format!("{message}: {remedy}\n{}", came_out.trim_end()) }
}
