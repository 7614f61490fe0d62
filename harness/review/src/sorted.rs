//! Results that wait, in groups of the same change.

use std::ops::Range;

use parallax_report::golden::{Changed, groups};

use crate::item::Item;

/// Results in which the same changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which of the sorted results.
    pub range: Range<usize>,
    /// What changed, and in how many of them; what is in most of them first.
    pub what: Vec<String>,
}

/// `items` in order of their groups, and those.
pub(super) fn sorted(items: Vec<Item>) -> (Vec<Item>, Vec<Part>) {
    let changed: Vec<Changed> = items.iter().map(Item::changed).collect();
    let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let (mut all, mut parts) = (Vec::new(), Vec::new());
    for group in groups(&changed) {
        let begin = all.len();
        all.extend(group.members.iter().filter_map(|member| items[*member].take()));
        let what = group.shapes.iter().map(|(shape, count)| format!("{count} × {shape}")).collect();
        parts.push(Part { range: begin..all.len(), what });
    }
    (all, parts)
}
