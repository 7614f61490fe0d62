//! What a run is worth, against its golden.

use parallax_engine::TraceRun;
use parallax_report::golden::{self, Comparison, GoldenError, Place};
use parallax_report::report::Verdict;

use super::options::{GoldenMode, Options};
use crate::cases::Case;

/// The verdict on a trace that got to its end. What can never be right does not become a golden; findings where none
/// may be wait for somebody who takes them in spite of that.
pub(super) fn judge(case: &Case, run: &TraceRun, options: &Options) -> Result<Verdict, GoldenError> {
    let (place, mode) = (&case.place, options.golden);
    let found = !case.is_bad() && !run.findings.is_empty();
    if !run.checked && mode != GoldenMode::Ignore {
        golden::reject(&place.pending())?;
        return Ok(Verdict::Nothing);
    }
    let missed = case.is_bad() && run.findings.is_empty();
    if missed && (options.events || !golden::needs_events(place)?) {
        if mode != GoldenMode::Ignore {
            golden::reject(&place.pending())?;
        }
        return Ok(Verdict::Clean);
    }
    if mode == GoldenMode::Ignore {
        return Ok(if found { Verdict::UnexpectedFindings } else { Verdict::Checked });
    }
    let comparison = golden::compare(place, &run.golden, options.events)?;
    match (comparison, mode) {
        (Comparison::Same, _) => {
            golden::reject(&place.pending())?;
            Ok(Verdict::Same)
        }
        (Comparison::Missing | Comparison::Different { .. }, _) if found => {
            leave(place, &run.golden);
            Ok(Verdict::UnexpectedFindings)
        }
        (_, GoldenMode::Accept) => {
            golden::save(place, &place.golden, &run.golden)?;
            golden::reject(&place.pending())?;
            Ok(Verdict::Accepted)
        }
        (Comparison::Missing, _) => {
            leave(place, &run.golden);
            Ok(Verdict::New)
        }
        (Comparison::Different { diff }, _) => {
            leave(place, &run.golden);
            Ok(Verdict::Diverged { diff })
        }
    }
}

/// Leaves a result for a review. Where that cannot be written, what the run says of it still counts.
fn leave(place: &Place, text: &str) {
    if let Err(error) = golden::save(place, &place.pending(), text) {
        anstream::eprintln!("warning: {error}: the result of {} cannot wait for a review", place.label);
    }
}
