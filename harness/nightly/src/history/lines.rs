//! Nights as JSON Lines: one a line, the oldest first.

use super::{History, Night, SCHEMA};
use crate::error::NightError;

/// `nights` as text.
#[must_use]
pub fn lines(nights: &[Night]) -> String {
    let line = |night: &Night| serde_json::to_string(night).unwrap_or_default() + "\n";
    nights.iter().map(line).collect()
}

/// Adds the nights of `text` to `history`, each under a number of its own; gives how many there were.
///
/// # Errors
/// A line is no night, then nothing is added; or the history cannot be written.
pub fn import(history: &History, text: &str) -> Result<usize, NightError> {
    let of = |(index, line): (usize, &str)| {
        let unfit = |why: String| NightError::Unfit(format!("line {}: {why}", index + 1));
        let night: Night = serde_json::from_str(line).map_err(|error| unfit(error.to_string()))?;
        match (&*night.document, night.schema) {
            ("night", SCHEMA) => Ok(night),
            (document, schema) => {
                Err(unfit(format!("`{document}` of schema {schema}, not `night` of {SCHEMA}")))
            }
        }
    };
    let nights: Vec<Night> = text.lines().enumerate().map(of).collect::<Result<_, _>>()?;
    nights.iter().try_for_each(|night| history.add(night).map(drop))?;
    Ok(nights.len())
}
