//! What is new since the last night of the same form and part.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Night, Problem};

/// What the same revision gives again, so that a change of it has a cause; all else is measured in seconds.
const REPEATABLE: [&str; 4] = ["instructions of", "lines", "faults", "explored"];
/// What brackets behind a finding begin with: what each side says at its place, which a neighbour changes.
const VIEWS: [&str; 6] = [" [cpu: ", " [smmu: ", " [page: ", " [el2: ", " [ste: ", " [device: "];

/// A night, and what it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    /// The night.
    pub night: &'a Night,
    /// The last one before it of its form and part that got to its end.
    pub before: Option<&'a Night>,
}

/// One thing that there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether it is about something that is not in order now: pages have a table of those.
    pub now: bool,
    /// It in words.
    pub text: String,
}

/// Whether a problem was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It was not.
    New,
    /// It was, the same.
    Still,
    /// It was, with another text.
    Otherwise,
}

/// The last night before the one with this index in `nights` that is compared with it.
#[must_use]
pub fn compared(nights: &[Night], index: usize) -> Compared<'_> {
    let night = &nights[index];
    let before = of_its_kind(&nights[..index], night).rfind(|other| other.seconds.is_some());
    Compared { night, before }
}

/// The first of the nights, one after the other up to `night`, in which `problem` is not in order, and the last before it. Nights
/// of another kind, and those that did not get to their end, do not count.
#[must_use]
pub fn begun<'a>(nights: &'a [Night], night: &'a Night, problem: &Problem) -> (&'a Night, Option<&'a Night>) {
    let mut first = night;
    let earlier =
        of_its_kind(nights, night).filter(|other| other.night < night.night && other.seconds.is_some());
    for other in earlier.rev() {
        match other.problem(&problem.cell, &problem.trace) {
            Some(_) => first = other,
            None => return (first, Some(other)),
        }
    }
    (first, None)
}

fn of_its_kind<'a>(nights: &'a [Night], night: &'a Night) -> impl DoubleEndedIterator<Item = &'a Night> {
    nights.iter().filter(move |other| other.form == night.form && other.part == night.part)
}

/// Whether two texts say the same. What each side says at the place of a finding is shown and not compared.
#[must_use]
pub fn same(text: &str, other: &str) -> bool {
    without_views(text) == without_views(other)
}

fn without_views(text: &str) -> Vec<&str> {
    let cut = |line: &'_ str| VIEWS.iter().filter_map(|view| line.find(view)).min();
    text.lines().map(|line| cut(line).map_or(line, |at| &line[..at])).collect()
}

/// Rows with the same key together, in the order in which they come first; those without a key each alone.
pub fn together<T, K: PartialEq>(rows: Vec<T>, key: impl Fn(&T) -> Option<K>) -> Vec<Vec<T>> {
    let mut groups: Vec<(Option<K>, Vec<T>)> = Vec::new();
    for row in rows {
        let key = key(&row);
        match groups.iter_mut().find(|(known, _)| key.is_some() && *known == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups.into_iter().map(|(_, rows)| rows).collect()
}

impl Compared<'_> {
    /// Whether `problem`, of this night, was there before.
    #[must_use]
    pub fn since(&self, problem: &Problem) -> Since {
        match self.before.and_then(|before| before.problem(&problem.cell, &problem.trace)) {
            None => Since::New,
            Some(before) if same(&before.text, &problem.text) && before.flaky == problem.flaky => {
                Since::Still
            }
            Some(_) => Since::Otherwise,
        }
    }

    /// What there is to say, in lines; `nights` is the history.
    #[must_use]
    pub fn lines(&self, nights: &[Night]) -> Vec<Line> {
        let mut lines = Vec::new();
        let other = |text: String| Line { now: false, text };
        let since = self.before.map_or(0, |before| before.night);
        let killed = of_its_kind(nights, self.night)
            .filter(|night| night.seconds.is_none() && (since + 1..self.night.night).contains(&night.night));
        lines.extend(killed.map(|night| other(format!("night {} did not get to its end", night.night))));
        self.problems(&mut lines);
        if let Some(before) = self.before {
            let told = |lines: &mut Vec<Line>, what: &str, then: BTreeSet<&str>, now: BTreeSet<&str>| {
                lines.extend(then.difference(&now).map(|name| other(format!("{what}, no longer: {name}"))));
                lines.extend(now.difference(&then).map(|name| other(format!("{what}, new: {name}"))));
            };
            let cells = |night: &'_ Night| -> BTreeSet<String> {
                night.cells.iter().map(|cell| cell.name.clone()).collect()
            };
            let qemus = |night: &'_ Night| -> BTreeSet<String> {
                night.qemus.iter().map(|qemu| qemu.version.clone()).collect()
            };
            let names = |set: &'_ BTreeSet<String>| -> Vec<String> { set.iter().cloned().collect() };
            for (what, of) in
                [("what was run", &cells as &dyn Fn(&Night) -> BTreeSet<String>), ("QEMU", &qemus)]
            {
                let (then, now) = (names(&of(before)), names(&of(self.night)));
                let sets = [&then, &now].map(|names| names.iter().map(String::as_str).collect());
                let [then, now] = sets;
                told(&mut lines, what, then, now);
            }
            lines.extend(changed(before, self.night).into_iter().map(other));
        }
        lines
    }

    /// What is not in order now and was (or was not there) before, and the other way round.
    fn problems(&self, lines: &mut Vec<Line>) {
        type Key<'a> = (&'a str, bool, &'a str);
        fn keyed(night: &Night) -> BTreeMap<Key<'_>, &Problem> {
            // Good traces first.
            let key = |problem: &'_ Problem| problem.trace.contains("/bad/");
            let all = night.problems.iter();
            all.map(|problem| ((&*problem.cell, key(problem), &*problem.trace), problem)).collect()
        }
        let now = keyed(self.night);
        let before = self.before.map(keyed).unwrap_or_default();
        let kinds: [(&str, Vec<&Problem>); 3] = [
            ("new", now.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(_, p)| *p).collect()),
            (
                "still there",
                now.iter().filter(|(key, _)| before.contains_key(*key)).map(|(_, p)| *p).collect(),
            ),
            ("gone", before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, p)| *p).collect()),
        ];
        for (kind, problems) in kinds {
            let rows = problems.into_iter().map(|problem| {
                let otherwise = kind == "still there" && self.since(problem) == Since::Otherwise;
                let otherwise = if otherwise { ", otherwise than before" } else { "" };
                let flaky = if problem.flaky { ", flaky" } else { "" };
                (format!("{kind}{otherwise}{flaky}: {}: ", problem.cell), problem)
            });
            let groups = together(rows.collect(), |(words, problem)| {
                (!problem.change.is_empty()).then(|| (words.clone(), problem.change.clone()))
            });
            for group in groups {
                let [(words, first), more @ ..] = &group[..] else { continue };
                let what = match more.len() {
                    0 => format!("{}: {}", first.trace, first.text.lines().next().unwrap_or_default()),
                    count => format!("{} and {count} more: {}", first.trace, first.change),
                };
                lines.push(Line { now: kind != "gone", text: format!("{words}{what}") });
            }
        }
    }

    /// The same as text: the summary of the night.
    #[must_use]
    pub fn summary(&self, nights: &[Night]) -> String {
        let lines = self.lines(nights);
        let since = self.before.map_or_else(
            || "the first night of this form".to_owned(),
            |before| format!("since night {}", before.night),
        );
        let nothing = if lines.is_empty() { "nothing is new" } else { "" };
        let lines: String = lines.iter().map(|line| format!("\n  {}", line.text)).collect();
        format!("{since}: {nothing}{lines}\n")
    }
}

/// Measures that have a cause where they change, and did.
fn changed(before: &Night, now: &Night) -> Vec<String> {
    let repeatable = |name: &str| REPEATABLE.iter().any(|begin| name.starts_with(begin));
    let measures = now.measures.iter().filter(|measure| repeatable(&measure.name));
    let changed = measures.filter_map(|measure| {
        let old = before.measure(&measure.name).filter(|old| *old != measure.value)?;
        Some(format!("changed: {}: {} -> {}", measure.name, plain(old), plain(measure.value)))
    });
    changed.collect()
}

/// A number with six digits at most that say something.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 || !value.is_finite() {
        return format!("{value:.0}");
    }
    let whole = value.abs().log10().floor().max(0.0) as usize + 1;
    let text = format!("{value:.*}", 6_usize.saturating_sub(whole));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_behind_a_finding_are_not_compared() {
        let finding =
            |place: &str, view: &str| format!("found\nsync/extra {place}: x [cpu: RWX; smmu: {view}]\nend");
        assert!(same(&finding("ram", "RW"), &finding("ram", "R-")));
        assert!(!same(&finding("ram", "RW"), &finding("hyp", "RW")));
        assert!(!same("a [other: x]", "a [other: y]"));
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let texts = [166.0, 97.24, 0.123_456_7, 1_234_567.0, 98.123_456].map(plain);
        assert_eq!(texts, ["166", "97.24", "0.12346", "1234567", "98.1235"]);
    }

    #[test]
    fn a_night_is_compared_with_the_last_of_its_kind_that_ended() {
        let night =
            |id, form: &str, seconds| Night { night: id, seconds, ..Night::begun(0, "r", form, "1/1") };
        let nights = [
            night(1, "short", Some(1.0)),
            night(2, "full", Some(1.0)),
            night(3, "short", None),
            night(4, "short", Some(1.0)),
        ];
        let compared = compared(&nights, 3);
        assert_eq!(compared.before.map(|night| night.night), Some(1));
        assert_eq!(compared.summary(&nights), "since night 1: \n  night 3 did not get to its end\n");
    }
}
