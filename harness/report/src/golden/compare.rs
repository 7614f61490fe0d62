//! A result beside its golden.

use parallax_model::{Check, FindingLine, GoldenLine};

use super::error::GoldenError;
use super::file;
use super::place::Place;
use crate::text_diff;

/// How a result stands to its golden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Same,
    /// There is no golden.
    Missing,
    /// Another one was agreed: lines with `-` (agreed) and `+` (now), and some around them.
    Different {
        /// The difference.
        diff: String,
    },
}

/// Compares `text` with the golden at `place`; without `events`, with what it holds beside findings that only a run with events can have.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn compare(place: &Place, text: &str, events: bool) -> Result<Comparison, GoldenError> {
    let Some(mut agreed) = file::text(&place.golden)? else { return Ok(Comparison::Missing) };
    if !events {
        agreed = without(&agreed, is_of_events);
    }
    Ok(match file::body(text) {
        text if text_diff::same(&agreed, text) => Comparison::Same,
        text => Comparison::Different { diff: text_diff::unified(&agreed, text) },
    })
}

/// Whether the golden at `place` has findings that only a run with events can have.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn needs_events(place: &Place) -> Result<bool, GoldenError> {
    Ok(file::text(&place.golden)?.is_some_and(|agreed| GoldenLine::findings(&agreed).any(is_of_events)))
}

/// In what `text` differs from the golden at `place` beside what was found; empty where it does not, or where there is none.
///
/// # Errors
/// The golden is there and cannot be read.
pub fn beside_findings(place: &Place, text: &str) -> Result<String, GoldenError> {
    let Some(agreed) = file::text(&place.golden)? else { return Ok(String::new()) };
    let [agreed, now] = [&agreed, file::body(text)].map(|text| without(text, |_| true));
    Ok(text_diff::unified(&agreed, &now))
}

/// A golden without findings of which `is_left_out` holds; and without its boot, if there was nothing else to say of that.
fn without(agreed: &str, is_left_out: impl Fn(FindingLine<'_>) -> bool) -> String {
    let lines = agreed.lines().map(|line| (line, GoldenLine::of(line)));
    let mut lines: Vec<_> = lines
        .filter(|(_, line)| !matches!(line, GoldenLine::Finding(finding) if is_left_out(*finding)))
        .collect();
    let boot = matches!(lines.first(), Some((_, GoldenLine::Boot)));
    if boot && !matches!(lines.get(1), Some((_, GoldenLine::Finding(_) | GoldenLine::Change(_)))) {
        lines.remove(0);
    }
    lines.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join("\n")
}

/// Whether only a run with events can have a golden's finding.
pub(super) fn is_of_events(finding: FindingLine<'_>) -> bool {
    finding.check().is_some_and(Check::needs_events)
}
