//! Operations on several targets, one after the other: what is otherwise is held against the first, and made short.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::side::Watched;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_fuzz::beside::shortest;
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_suite::compare::{Cell, Row, rows};
use parallax_trace::Trace;

use super::output::print;
use super::outputs::{tell, written};
use super::run::compare::{Sum, performed};
use super::run::target;
use crate::cli::{On, distinct};
use crate::interrupt;

/// So many findings after boot are told, each in a line.
const MOST: usize = 8;

/// The targets.
pub(super) struct Targets {
    pub(super) names: Vec<String>,
    backends: Vec<Box<dyn Backend>>,
    /// What was found in states after boot, of any target but each once: it is left out.
    at_boot: RefCell<BTreeSet<String>>,
    pub(super) cancel: CancellationToken,
}

/// A trace in which something came up.
pub(super) struct Found {
    text: String,
    key: Key,
}

impl Targets {
    /// Those that `on` names, for machines such as that of `first`.
    pub(super) fn new(on: &[On], first: &str) -> Result<Self> {
        if on.len() < 2 {
            let message = "--target takes two targets or more, such as hyp,pkvm:7.3: they are compared";
            return Err(Failure::usage(message).into());
        }
        distinct(on)?;
        let names: Vec<String> = on.iter().map(ToString::to_string).collect();
        let cancel = interrupt::token()?;
        let root = project::root(&[])?;
        let first = parsed(first)?;
        let backends = on.iter().map(|on| target::with_plugin(on, &root, [&first], &cancel));
        let backends = backends.collect::<Result<_, Failure>>()?;
        Ok(Self { names, backends, at_boot: RefCell::default(), cancel })
    }

    /// What all targets do in `text`, counted in `sum`; what somebody has to look at, if anything. Nothing, where the user cancelled.
    pub(super) fn compare(&self, text: &str, sum: &mut Sum) -> Result<Option<Found>, Failure> {
        let rows = self.rows(text)?;
        if self.cancel.is_cancelled() {
            return Ok(None);
        }
        sum.table("", &self.names, &rows);
        Ok(key(&rows).map(|key| Found { text: text.to_owned(), key }))
    }

    /// What all targets do in the operations of `text`, one machine at a time. What is known of a kernel's boot is for `run` to say.
    pub(super) fn rows(&self, text: &str) -> Result<Vec<Row>, Failure> {
        let trace = parsed(text)?;
        let mut all: Vec<Watched> = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            let watched = performed(&trace, &**backend);
            match watched.failure {
                Some(failure) if watched.seen.is_empty() => return Err(failure),
                _ => all.push(watched),
            }
        }
        let mut rows = rows(&trace.ops, &all);
        let operations = rows.split_off(1);
        self.at_boot.borrow_mut().extend(rows.iter().flat_map(|boot| told(&self.names, boot)));
        Ok(operations)
    }

    /// What all of it comes to, behind the `text` of what was done: what was `found` is made shorter and shown, and written to `save`.
    pub(super) fn end(&self, text: &str, found: Option<Found>, save: Option<&Path>) -> Result<Status> {
        let told = print(&format!("{text}{}", left_out(&self.at_boot.borrow())));
        match found {
            _ if self.cancel.is_cancelled() => told.map(|()| Status::Interrupted),
            None => told.and_then(|()| print("nothing found\n")).map(|()| Status::Same),
            Some(found) => self.found(&found, save, told),
        }
    }

    /// What was `told` until now may have reached nobody: what was found is saved all the same.
    fn found(&self, found: &Found, save: Option<&Path>, told: Result<()>) -> Result<Status> {
        let mut shows = |text: &str| {
            if self.cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            let rows = self.rows(text).map_err(|failure| MachineError::Contract(failure.message))?;
            Ok(position(&rows, &found.key))
        };
        let short = shortest(&found.text, &mut shows).map_err(Failure::from)?;
        let table = Sum::default().table("as short as it gets:", &self.names, &self.rows(&short)?);
        let saved = written(save, &short);
        told?;
        print(&table)?;
        tell(save, saved, &short)?;
        Ok(Status::Diverged)
    }
}

/// The findings of `row`, each with its target of `names`.
fn told(names: &[String], row: &Row) -> Vec<String> {
    let cells = names.iter().zip(&row.cells);
    cells.flat_map(|(name, cell)| findings(cell).map(move |text| format!("{name}: {text}"))).collect()
}

/// What was found after boot, as it is told.
fn left_out(at_boot: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for line in at_boot.iter().take(MOST) {
        _ = writeln!(text, "left out, as it is so after boot: {}", visible::line(line));
    }
    if at_boot.len() > MOST {
        _ = writeln!(text, "and {} more; `parallax run --target` shows all of them", at_boot.len() - MOST);
    }
    text
}

fn parsed(text: &str) -> Result<Trace, Failure> {
    Trace::parse("beside", text).map_err(|error| Failure::usage(error.to_string()))
}

/// What is otherwise, without its addresses: the target, and the first word that is said of it.
#[derive(Debug, PartialEq, Eq)]
struct Key(usize, String);

/// The first thing that somebody has to look at.
fn key(rows: &[Row]) -> Option<Key> {
    rows.iter().find_map(keys)
}

fn keys(row: &Row) -> Option<Key> {
    let (target, cell) = row.cells.iter().enumerate().find(|(_, cell)| cell.is_finding())?;
    let text = findings(cell).next()?;
    Some(Key(target, text.split_whitespace().next().unwrap_or_default().to_owned()))
}

/// What somebody has to look at, of one target.
fn findings(cell: &Cell) -> impl Iterator<Item = &String> {
    let differences = cell.differences.iter().filter(|(_, freedom)| freedom.is_none()).map(|(text, _)| text);
    differences.chain(&cell.findings)
}

/// After how many operations `wanted` comes up, as the first thing.
fn position(rows: &[Row], wanted: &Key) -> Option<usize> {
    let (at, key) = rows.iter().enumerate().find_map(|(at, row)| Some((at, keys(row)?)))?;
    (key == *wanted).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: usize, cells: Vec<Cell>) -> Row {
        Row { line, text: "x".to_owned(), cells }
    }

    #[test]
    fn what_is_found_is_known_by_target_and_kind() {
        let found = |text: &str| Cell { findings: vec![text.to_owned()], ..Cell::default() };
        let fine = Cell::default;
        let all = [
            row(2, vec![fine(), fine()]),
            row(3, vec![fine(), found("spec/result page ram+0x1: x")]),
            row(4, vec![found("sync/extra smmu"), fine()]),
        ];
        let wanted = key(&all).unwrap();
        assert_eq!(wanted, Key(1, "spec/result".to_owned()));
        assert_eq!(position(&all, &wanted), Some(2));
        assert_eq!(position(&all[2..], &wanted), None);
        assert_eq!(key(&all[..1]), None);
        let names = ["hyp".to_owned(), "pkvm:7.0".to_owned()];
        assert_eq!(told(&names, &all[1]), ["pkvm:7.0: spec/result page ram+0x1: x"]);
        assert!(told(&names, &all[0]).is_empty());
    }

    #[test]
    fn what_is_so_after_boot_is_told_and_not_more_than_fits() {
        let found = |count: usize| (0..count).map(|number| format!("hyp: {number}\x1b")).collect();
        assert_eq!(left_out(&found(0)), "");
        assert!(!left_out(&found(1)).contains('\x1b'));
        assert_eq!(left_out(&found(MOST)).lines().count(), MOST);
        let more = left_out(&found(MOST + 2));
        assert!(more.ends_with("and 2 more; `parallax run --target` shows all of them\n"), "{more}");
    }
}
