//! The explanation of a finding: which operation last changed an entry that translates its page, with which stores, and
//! what followed. The same as `parallax explain` tells.

use std::collections::HashMap;

use parallax_engine::status::Failure;
use parallax_machine::MachineError;
use parallax_machine::recording::Replay;

use super::data::{About, Performed, Story};
use super::intern::Intern;
use crate::explain::{Wanted, story};

/// No more stories than this are told in a page, and no more lines of one.
const STORIES: usize = 200;
const LINES: usize = 250;

/// Lanes of [`Performed::changes`] that are tables, and the stream table.
const TABLES: [i64; 2] = [0, 1];
const STREAMS: i64 = 3;

/// Adds its story to each finding of `ops`.
///
/// # Errors
/// The recording is damaged.
pub(super) fn add_stories(
    ops: &mut [Performed],
    mut replays: [Replay; 2],
    intern: &mut Intern,
) -> Result<(), Failure> {
    let mut texts: HashMap<(usize, About), Option<usize>> = HashMap::new();
    // How far was looked, and what was found.
    let mut last: HashMap<About, (usize, Option<usize>)> = HashMap::new();
    for at in 0..ops.len() {
        for number in 0..ops[at].findings.len() {
            let Some(about) = ops[at].findings[number].about else { continue };
            let known = last.entry(about).or_insert((0, None));
            let newer = (known.0 + 1..=at).rev().find(|op| touches(&ops[*op].changes, about));
            *known = (at, newer.or(known.1));
            let Some(op) = known.1 else { continue };
            let count = texts.len();
            let text = match texts.get(&(op, about)) {
                Some(text) => *text,
                None if count >= STORIES => None,
                None => {
                    let text = one(op, about, &mut replays)?.map(|text| intern.lines(&text));
                    texts.insert((op, about), text);
                    text
                }
            };
            ops[at].findings[number].story = Some(Story { op, text });
        }
    }
    Ok(())
}

fn one(op: usize, about: About, [before, after]: &mut [Replay; 2]) -> Result<Option<String>, Failure> {
    after.go_to(op as u64).map_err(MachineError::from)?;
    if after.operation().events.is_empty() {
        return Ok(None);
    }
    let wanted = match about {
        About::Page(ipa) => Wanted { ipa: Some(ipa), sid: None },
        About::Stream(sid) => Wanted { ipa: None, sid: Some(sid) },
    };
    let text = story(before, after, wanted)?;
    let mut lines: Vec<&str> = text.trim().lines().collect();
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let end = if more == 0 { String::new() } else { format!("\n… and {more} lines more") };
    Ok(Some(lines.join("\n") + &end))
}

fn touches(changes: &[i64], about: About) -> bool {
    changes.chunks_exact(5).any(|change| {
        let (lane, from, size) = (change[0], change[2], change[3]);
        let at = match about {
            About::Page(ipa) if TABLES.contains(&lane) => (ipa >> 12) as i64,
            About::Stream(sid) if lane == STREAMS => i64::from(sid),
            _ => return false,
        };
        (from..from.saturating_add(size)).contains(&at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_it_covers_in_its_own_lane() {
        let changes = [1, 0, 0x40, 2, -1, 3, 0, 8, 1, 0];
        let cases = [
            (About::Page(0x4_0000), true),
            (About::Page(0x4_1fff), true),
            (About::Page(0x4_2000), false),
            (About::Stream(8), true),
            (About::Stream(0x40), false),
        ];
        for (about, expected) in cases {
            assert_eq!(touches(&changes, about), expected);
        }
    }
}
