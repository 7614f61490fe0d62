//! A trace on several hypervisors, side by side: each is held against the first.

use std::collections::BTreeSet;

use parallax_engine::side::{LACKS, Seen, Watched};
use parallax_model::{Difference, Freedom, Rule};
use parallax_trace::{Op, Outcome};

/// How a target did at one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How the operation ended; nothing at boot, or where the target did not get there.
    pub outcome: Option<String>,
    /// It is another one than that of the first target.
    pub another_result: bool,
    /// The target lacks the operation.
    pub lacks: bool,
    /// Why it is not compared: one of both lacks the operation, or a page that it names is not the same since such a one.
    pub apart: Option<&'static str>,
    /// What allows what is otherwise.
    pub freedoms: BTreeSet<Freedom>,
    /// What is otherwise and new, each with what allows it.
    pub differences: Vec<(String, Option<Freedom>)>,
    /// What its own judges found.
    pub findings: Vec<String>,
}

impl Cell {
    /// Whether somebody has to look at it.
    #[must_use]
    pub fn is_finding(&self) -> bool {
        !self.findings.is_empty() || self.differences.iter().any(|(_, freedom)| freedom.is_none())
    }
}

/// The boot, or an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in the trace; 0 is the boot.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// What each target did.
    pub cells: Vec<Cell>,
}

/// What `all` targets saw of `ops`, row by row. The first one is what the others are compared with.
#[must_use]
pub fn rows(ops: &[Op], all: &[Watched]) -> Vec<Row> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut columns: Vec<Column> = others.iter().map(|_| Column::default()).collect();
    let mut rows = Vec::with_capacity(ops.len() + 1);
    for at in 0..=ops.len() {
        let op = at.checked_sub(1).and_then(|index| ops.get(index));
        let mut cells = vec![alone(first, at, op)];
        for (column, other) in columns.iter_mut().zip(others) {
            cells.push(column.cell((first, other), at, op));
        }
        let (line, text) = op.map_or((0, "boot".to_owned()), |op| (op.line, op.to_string()));
        rows.push(Row { line, text, cells });
    }
    rows
}

/// What is to be said of one target without another.
fn alone(watched: &Watched, at: usize, op: Option<&Op>) -> Cell {
    let Some(seen) = watched.seen.get(at) else {
        // The first operation that did not come about says why.
        let failure = watched.failure.as_ref().filter(|_| at == watched.seen.len());
        let findings = failure.map(|failure| format!("it ended: {}", failure.message.replace('\n', ": ")));
        return Cell { findings: findings.into_iter().collect(), ..Cell::default() };
    };
    let lacks = lacks(seen);
    let expected = |rule| lacks && rule == Rule::ResultExpected;
    let findings = seen.findings.iter().filter(|finding| !expected(finding.rule)).map(ToString::to_string);
    Cell {
        outcome: seen.outcome.as_ref().map(|outcome| shown(op, outcome).to_string()),
        lacks,
        apart: lacks.then_some("lacks it"),
        findings: findings.collect(),
        ..Cell::default()
    }
}

fn lacks(seen: &Seen) -> bool {
    matches!(&seen.outcome, Some(Outcome::Unknown(text)) if text == LACKS)
}

/// Leaves out of `cell` that what was `seen` is not what the trace expects.
fn without_expected(cell: &mut Cell, seen: &Seen) {
    let expected = seen.findings.iter().filter(|found| found.rule == Rule::ResultExpected);
    let texts: Vec<String> = expected.map(ToString::to_string).collect();
    cell.findings.retain(|text| !texts.contains(text));
}

/// A value only where the trace asks for one: others may be anything.
fn shown(op: Option<&Op>, outcome: &Outcome) -> Outcome {
    let asks = op.and_then(|op| op.expect.as_ref());
    match asks {
        Some(Outcome::Ok { value: Some(_) }) => outcome.clone(),
        _ => outcome.clone().without_value(),
    }
}

/// A target that is held against the first.
#[derive(Default)]
struct Column {
    /// What was otherwise after the operation before.
    known: BTreeSet<(String, Difference)>,
    /// Pages, by number, on which one of both performed what the other one has not.
    apart: BTreeSet<usize>,
}

impl Column {
    fn cell(&mut self, (first, other): (&Watched, &Watched), at: usize, op: Option<&Op>) -> Cell {
        let mut cell = alone(other, at, op);
        let Some(two) = other.seen.get(at) else { return cell };
        // There is nothing to compare with.
        let Some(one) = first.seen.get(at) else {
            cell.apart = Some("not comparable");
            return cell;
        };
        // One may have pages where the other has none: they are paired by what names them.
        let pairs: Vec<(usize, usize)> = first
            .pages
            .iter()
            .enumerate()
            .filter_map(|(index, page)| {
                Some((index, other.pages.iter().position(|known| known.named == page.named)?))
            })
            .collect();
        let number = at.wrapping_sub(1);
        let mut named = (0..first.pages.len()).filter(|index| first.pages[*index].named.0 == number);
        if lacks(one) || lacks(two) {
            self.part(first, number);
            cell.apart = Some(if lacks(two) { "lacks it" } else { "alone has it" });
        } else if named.any(|index| self.apart.contains(&index)) {
            cell.apart = Some("not comparable");
            without_expected(&mut cell, two);
            self.part(first, number);
        } else if let (Some(ours), Some(theirs)) = (&one.outcome, &two.outcome) {
            let (ours, theirs) = (shown(op, ours), shown(op, theirs));
            if ours != theirs {
                let far = first.far.get(number).copied().unwrap_or(false);
                let freedom = match (&ours, &theirs) {
                    (Outcome::Error(a), Outcome::Error(b)) => {
                        other.freedoms.of_error(*a, *b, far).or_else(|| first.freedoms.of_error(*b, *a, far))
                    }
                    _ => None,
                };
                cell.another_result = true;
                // What the trace expects is the first one's result.
                if freedom.is_some() {
                    without_expected(&mut cell, two);
                }
                cell.differences.push((format!("result: {ours} / {theirs}"), freedom));
            }
        }
        let mut now = BTreeSet::new();
        for (index, its) in pairs {
            if self.apart.contains(&index) {
                continue;
            }
            let (Some(face), Some(other_face)) = (one.faces.get(index), two.faces.get(its)) else { continue };
            let name = &first.pages[index].name;
            now.extend(face.differences(other_face).into_iter().map(|found| (name.clone(), found)));
        }
        for (name, found) in now.difference(&self.known) {
            let text = format!("{} {name}: {} / {}", found.record, found.one, found.other);
            cell.differences.push((text, found.freedom));
        }
        cell.freedoms = cell.differences.iter().filter_map(|(_, freedom)| *freedom).collect();
        self.known = now;
        cell
    }

    /// Leaves out from now on what operation `number` names, and all other names of those pages.
    fn part(&mut self, first: &Watched, number: usize) {
        let named: Vec<_> =
            first.pages.iter().filter(|page| page.named.0 == number).map(|page| page.at).collect();
        let same = first.pages.iter().enumerate().filter(|(_, page)| named.contains(&page.at));
        self.apart.extend(same.map(|(index, _)| index));
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
