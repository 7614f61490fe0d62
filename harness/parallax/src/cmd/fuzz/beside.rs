//! `parallax fuzz --target A,B`: the same random operations on several targets, and a table where they differ.
//!
//! ```text
//! seed 1, 10000 operations on hyp and on pkvm:7.3
//! 20 traces: 9830 equal, 170 allowed, 0 not compared, 0 findings
//! nothing found
//! ```

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::side::Watched;
use parallax_engine::status::{Failure, Status};
use parallax_fuzz::beside::{Beside, shortest};
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_suite::compare::{Row, rows};
use parallax_trace::Trace;

use super::tell;
use crate::cli::Fuzz;
use crate::cmd::output::print;
use crate::cmd::progress;
use crate::cmd::run::compare::{Sum, performed};
use crate::cmd::run::target;
use crate::interrupt;

/// Operations, where no number is given: each machine boots a kernel.
const USUAL: u64 = 10_000;

/// The targets.
struct Targets {
    names: Vec<String>,
    backends: Vec<Box<dyn Backend>>,
    cancel: CancellationToken,
}

/// Runs it.
pub(super) fn run(args: &Fuzz) -> Result<Status> {
    if args.target.len() < 2 {
        let message = "--target takes two targets or more, such as hyp,pkvm:7.3: they are compared";
        return Err(Failure::usage(message).into());
    }
    let run = Beside { seed: args.seed, ops: args.ops.unwrap_or(USUAL) };
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let first = parsed(&run.trace(0))?;
    let backends = args.target.iter().map(|on| target::without_plugin(on, &root, [&first], &cancel));
    let names: Vec<String> = args.target.iter().map(ToString::to_string).collect();
    let targets = Targets { names, backends: backends.collect::<Result<_, Failure>>()?, cancel };
    let bar = progress::of_traces(usize::try_from(run.machines()).unwrap_or(usize::MAX));
    bar.set_message("comparing");
    let mut sum = Sum::default();
    let mut found = None;
    let mut machines = 0;
    while machines < run.machines() && found.is_none() && !targets.cancel.is_cancelled() {
        let text = run.trace(machines);
        let rows = targets.rows(&parsed(&text)?)?;
        if targets.cancel.is_cancelled() {
            break;
        }
        sum.table("", &targets.names, &rows);
        found = key(&rows).map(|key| (text, key));
        machines += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&format!("seed {}, {} operations on {}\n", run.seed, run.ops, targets.names.join(" and on ")))?;
    print(&sum.text(usize::try_from(machines).unwrap_or(usize::MAX)))?;
    match found {
        _ if targets.cancel.is_cancelled() => Ok(Status::Interrupted),
        None => print("nothing found\n").map(|()| Status::Same),
        Some((text, key)) => targets.found(args, &text, &key),
    }
}

impl Targets {
    /// What all targets do in the operations of `trace`, one machine at a time. What is known of a kernel's boot is for `run` to say.
    fn rows(&self, trace: &Trace) -> Result<Vec<Row>, Failure> {
        let mut all: Vec<Watched> = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            let watched = performed(trace, &**backend);
            match watched.failure {
                Some(failure) if watched.seen.is_empty() => return Err(failure),
                _ => all.push(watched),
            }
        }
        Ok(rows(&trace.ops, &all).split_off(1))
    }

    /// Makes `text`, in which `wanted` comes up, shorter, and shows it.
    fn found(&self, args: &Fuzz, text: &str, wanted: &Key) -> Result<Status> {
        let mut shows = |text: &str| {
            if self.cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            let rows = parsed(text).and_then(|trace| self.rows(&trace));
            let rows = rows.map_err(|failure| MachineError::Contract(failure.message))?;
            Ok(position(&rows, wanted))
        };
        let short = shortest(text, &mut shows).map_err(Failure::from)?;
        let table = Sum::default().table("as short as it gets:", &self.names, &self.rows(&parsed(&short)?)?);
        print(&table)?;
        tell(args.save.as_deref(), &short)?;
        Ok(Status::Diverged)
    }
}

fn parsed(text: &str) -> Result<Trace, Failure> {
    Trace::parse("fuzz", text).map_err(|error| Failure::usage(error.to_string()))
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
    let differences = cell.differences.iter().filter(|(_, freedom)| freedom.is_none()).map(|(text, _)| text);
    let text = differences.chain(&cell.findings).next()?;
    Some(Key(target, text.split_whitespace().next().unwrap_or_default().to_owned()))
}

/// After how many operations `wanted` comes up, as the first thing.
fn position(rows: &[Row], wanted: &Key) -> Option<usize> {
    let (at, key) = rows.iter().enumerate().find_map(|(at, row)| Some((at, keys(row)?)))?;
    (key == *wanted).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use parallax_suite::compare::Cell;

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
    }
}
