//! What changed, in groups: a line of what changed, an example of the first, all else folded.

use std::fmt::Write;

use crate::golden::{Changed, Group, Shape, groups};

use super::counted;
use super::escape::{code, fenced, html};
use super::pack::{Part, Section};

/// Lines of the example that are open.
const EXAMPLE: usize = 14;
/// Bytes of it.
const EXAMPLE_BYTES: usize = 2_000;
/// Groups that have a line of their own; the others are folded together.
const SHOWN: usize = 6;
/// What else changed in a group, named before it is counted only.
const BESIDE: usize = 3;

/// Groups of what changed, with its difference and its section; `what` is one of them.
pub(super) fn grouped(all: Vec<(Changed, Option<String>, Section)>, what: &str) -> Vec<Part> {
    let (mut changed, mut diffs, mut sections) = (Vec::new(), Vec::new(), Vec::new());
    for (one, diff, section) in all {
        changed.push(one);
        diffs.push(diff);
        sections.push(Some(section));
    }
    let found = groups(&changed);
    // What is alone with its change says it in its own section.
    let (several, alone): (Vec<&Group>, Vec<&Group>) =
        found.iter().partition(|group| group.members.len() > 1);
    let mut parts = Vec::new();
    let mut take = |group: &Group| -> Vec<Section> {
        group.members.iter().filter_map(|member| sections.get_mut(*member)?.take()).collect()
    };
    for (index, group) in several.iter().enumerate().take(SHOWN) {
        let mut head = format!("\n{}\n", title(group));
        let example =
            group.members.first().and_then(|member| diffs[*member].as_deref()).filter(|_| index == 0);
        if let Some(diff) = example {
            let lines: Vec<&str> = diff.lines().take(EXAMPLE).collect();
            head = head + "\n" + &fenced("diff", &lines.join("\n"), EXAMPLE_BYTES);
        }
        let fold = Some(counted(group.members.len(), what));
        parts.push(Part { head, fold, sections: take(group) });
    }
    let rest = several.get(SHOWN..).unwrap_or_default();
    if !rest.is_empty() {
        let fold = Some(format!("{} more groups of {what}s in which the same changed", rest.len()));
        parts.push(Part {
            head: String::new(),
            fold,
            sections: rest.iter().flat_map(|group| take(group)).collect(),
        });
    }
    let sections: Vec<Section> = alone.iter().flat_map(|group| take(group)).collect();
    let fold = (sections.len() > SHOWN)
        .then(|| format!("{} of which each is alone with its change", counted(sections.len(), what)));
    parts.push(Part { head: String::new(), fold, sections });
    parts
}

/// What changed in a group: what is in most of its members in bold, then the rest.
fn title(group: &Group) -> String {
    let mut shapes = group.shapes.iter().map(|(shape, count)| format!("{count} × {}", shown(shape)));
    let mut text = format!("**{}**", shapes.next().unwrap_or_else(|| "no difference".to_owned()));
    for (index, shape) in shapes.by_ref().take(BESIDE).enumerate() {
        let _infallible = write!(text, "{}{shape}", if index == 0 { ", in them " } else { ", " });
    }
    match shapes.count() {
        0 => text,
        more => text + &format!(" and {more} more"),
    }
}

fn shown(shape: &Shape) -> String {
    let (words, of) = shape.became();
    let of = if of.is_empty() { String::new() } else { code(of) };
    let parts = [code(shape.what()), html(words), of];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
