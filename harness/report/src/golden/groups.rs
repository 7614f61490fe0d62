//! Changed goldens by what changed in them: one edit that changes forty goldens is one thing to look at.
//!
//! In a group there is nothing but what the group names: a golden is in it when all that differs in it is of the
//! group's shapes. So whoever accepts a group knows what is accepted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::shape::{self, Shape};

/// A golden that changed, or a result that is not in order.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The trace's name.
    pub label: String,
    /// Whether something must be found in it.
    bad: bool,
    /// How much there is to read of it.
    size: usize,
    shapes: BTreeSet<Shape>,
}

impl Changed {
    /// The golden of `label`, with how it differs as a unified difference.
    #[must_use]
    pub fn new(label: &str, diff: &str) -> Self {
        let bad = Path::new(label).iter().any(|folder| folder == "bad");
        Self { label: label.to_owned(), bad, size: diff.len(), shapes: shape::of_diff(diff) }
    }

    /// The same, with more that is not in its golden.
    #[must_use]
    pub fn and(mut self, shapes: impl IntoIterator<Item = Shape>) -> Self {
        self.shapes.extend(shapes);
        self
    }
}

/// Goldens in which the same changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What changed, and in how many of them; what is in most of them first.
    pub shapes: Vec<(Shape, usize)>,
    /// Which ones, as they were given: the example first, good traces before bad ones.
    pub members: Vec<usize>,
}

/// Groups of `changed`: those with good traces first, then the larger ones.
#[must_use]
pub fn groups(changed: &[Changed]) -> Vec<Group> {
    let mut sets: BTreeMap<&BTreeSet<Shape>, Vec<usize>> = BTreeMap::new();
    for (index, one) in changed.iter().enumerate() {
        sets.entry(&one.shapes).or_default().push(index);
    }
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by_key(|(shapes, members)| (Reverse(shapes.len()), Reverse(members.len())));
    let mut found: Vec<(&BTreeSet<Shape>, Vec<usize>)> = Vec::new();
    for (shapes, members) in sets {
        let larger = found.iter_mut().filter(|(all, _)| !shapes.is_empty() && shapes.is_subset(all));
        match larger.max_by_key(|(_, members)| members.len()) {
            Some((_, all)) => all.extend(members),
            None => found.push((shapes, members)),
        }
    }
    let mut groups: Vec<Group> =
        found.into_iter().map(|(shapes, members)| group(changed, shapes, members)).collect();
    groups.sort_by_key(|group| {
        let good = group.members.iter().filter(|member| !changed[**member].bad).count();
        (good == 0, Reverse(good), Reverse(group.members.len()), group.members.first().copied())
    });
    groups
}

fn group(changed: &[Changed], shapes: &BTreeSet<Shape>, mut members: Vec<usize>) -> Group {
    members.sort_by_key(|member| {
        let one = &changed[*member];
        (one.bad, &one.label)
    });
    let count =
        |shape: &Shape| members.iter().filter(|member| changed[**member].shapes.contains(shape)).count();
    let mut shapes: Vec<(Shape, usize)> = shapes.iter().map(|shape| (shape.clone(), count(shape))).collect();
    shapes.sort_by_key(|(_, count)| Reverse(*count));
    // The example shows what most of the group have, and is short.
    let usual = shapes.iter().filter(|(_, count)| 2 * count > members.len()).map(|(shape, _)| shape);
    let usual: Vec<&Shape> = usual.collect();
    let best = |member: &&usize| {
        let one = &changed[**member];
        let shown = usual.iter().filter(|shape| one.shapes.contains(shape)).count();
        (one.bad, Reverse(shown), one.size)
    };
    if let Some(example) = members.iter().min_by_key(best).copied() {
        members.retain(|member| *member != example);
        members.insert(0, example);
    }
    Group { shapes, members }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A difference in which lines came or went after operations.
    fn diff(lines: &[(&str, &str)]) -> String {
        lines.iter().map(|(op, line)| format!("@@ -1 +1 @@ 1: {op} -> ok\n{line}\n")).collect()
    }

    fn said(changed: &[Changed]) -> Vec<String> {
        let of = |group: &Group| {
            let shapes: Vec<String> =
                group.shapes.iter().map(|(shape, count)| format!("{count} × {shape}")).collect();
            let members: Vec<&str> =
                group.members.iter().map(|member| changed[*member].label.as_str()).collect();
            format!("{}: {}", shapes.join(", "), members.join(" "))
        };
        groups(changed).iter().map(of).collect()
    }

    const MAPPED: (&str, &str) = ("hyp_donate_host", "-   cpu  ram+0x1..+0x2   + RWX normal 4K");
    const SMMU: (&str, &str) = ("hyp_donate_host", "-   smmu ram+0x1..+0x2   + RW normal 4K");

    #[test]
    fn one_edit_in_forty_goldens_is_one_group_with_the_good_traces_first() {
        let mut changed: Vec<Changed> = (10..48)
            .map(|n| {
                let place = format!("-   cpu  ram+{n:#x}..+0x2000   + RWX normal 4K");
                Changed::new(&format!("good/{n}"), &diff(&[("hyp_donate_host", &place)]))
            })
            .collect();
        changed.insert(0, Changed::new("bad/a", &diff(&[MAPPED])));
        changed.push(Changed::new("good/other", &diff(&[("nop", "+   page ram+0x0..+0x1   + x")])));
        let said = said(&changed);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("39 × cpu … + RWX normal 4K gone after hyp_donate_host: good/10 good/11 "),
            "{said:?}"
        );
        assert!(said[0].ends_with(" good/47 bad/a"), "{said:?}");
        assert_eq!(said[1], "1 × page … + x new after nop: good/other");
    }

    #[test]
    fn nothing_is_in_a_group_that_the_group_does_not_name() {
        let changed = [
            Changed::new("good/both", &diff(&[MAPPED, SMMU])),
            Changed::new("good/cpu", &diff(&[MAPPED])),
            Changed::new("good/more", &diff(&[("nop", "+   el2  hyp   + R-X")])),
            Changed::new("bad/smmu", &diff(&[SMMU])),
        ];
        assert_eq!(
            said(&changed),
            [
                "2 × cpu … + RWX normal 4K gone after hyp_donate_host, \
                 2 × smmu … + RW normal 4K gone after hyp_donate_host: good/both good/cpu bad/smmu",
                "1 × el2 … + R-X new after nop: good/more",
            ]
        );
    }

    #[test]
    fn bad_traces_come_last_and_what_says_nothing_joins_nobody() {
        let changed = [
            Changed::new("bad/a", &diff(&[MAPPED])),
            Changed::new("bad/b", &diff(&[MAPPED])),
            Changed::new("good/a", "").and([Shape::whole("a hang")]),
            Changed::new("good/empty", ""),
        ];
        assert_eq!(
            said(&changed),
            [
                "1 × a hang: good/a",
                ": good/empty",
                "2 × cpu … + RWX normal 4K gone after hyp_donate_host: bad/a bad/b",
            ]
        );
    }
}
