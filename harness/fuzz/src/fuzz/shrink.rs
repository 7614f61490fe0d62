//! From what a machine did until trouble to a short trace that ends in the same.

use parallax_addr::{Ipa, Span};
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_ops::{Footprint, Kind as Argument};
use parallax_trace::Op;
use parallax_trace::spec::MachineSpec;

use super::corpus;
use super::machine_keys;
use super::performing::{Performing, boot};
use super::plan::{Plan, Report};
use crate::act::number;
use crate::round::Trouble;
use crate::search::{Search, Trials};

/// Machines that are booted to leave out operations, and again to make them simpler, at most.
const TRIALS: usize = 200;
/// The same where the machine came to its end: a hang takes its time.
const FEW_TRIALS: usize = 20;

/// The trouble of `report` as a trace, and whether the trace alone shows it, performed one operation at a time. `None` if
/// there was no trouble. Where the user cancels or QEMU is killed, the trace is as short as it is by then, and nobody knows whether it
/// shows it.
///
/// # Errors
/// A machine does not start.
pub fn found(
    plan: &Plan,
    report: &Report,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Option<(String, Option<bool>)>, MachineError> {
    let (Some(trouble), Some((drawn, ops))) = (&report.trouble, &report.last) else { return Ok(None) };
    let trials = if trouble.end.is_some() { FEW_TRIALS } else { TRIALS };
    let means = Means {
        left: trials,
        key: &trouble.key,
        quiet: drawn.quiet(),
        backend,
        cancel,
        trials: Trials::default(),
    };
    let mut spec = drawn.spec.clone();
    let mut ops = means.narrowed(&spec, ops.clone(), trouble)?;
    let mut attempt = |ops: &[Op], one_by_one| means.shows(&spec, ops, one_by_one);
    let fixed = |ops: &[Op]| fixed(ops, &trouble.key);
    let mut search = Search { trial: &mut attempt, fixed: &fixed, left: means.left };
    ops = search.shrink(ops)?;
    ops = means.simplified(&spec, ops)?;
    means.simplify_machine(&mut spec, &ops);
    let shown = means.shows(&spec, &ops, true)?;
    if let Some(at) = shown {
        ops.truncate(at);
    }
    let shown = means.trials.unless_ended(shown.is_some());
    Ok(Some((text(plan, &spec, &ops, &trouble.key), shown)))
}

/// What trials are made with.
struct Means<'a> {
    /// How many to leave out operations, and again to make them simpler.
    left: usize,
    key: &'a str,
    /// Rules that say nothing.
    quiet: &'static [&'static str],
    backend: &'a dyn Backend,
    cancel: &'a CancellationToken,
    trials: Trials,
}

impl Means<'_> {
    /// Performs `ops` on a new machine. Gives how many it took until the same trouble, if that came.
    fn shows(&self, spec: &MachineSpec, ops: &[Op], one_by_one: bool) -> Result<Option<usize>, MachineError> {
        self.trials.attempt(|| self.tried(spec, ops, one_by_one))
    }

    fn tried(&self, spec: &MachineSpec, ops: &[Op], one_by_one: bool) -> Result<Option<usize>, MachineError> {
        if self.cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        let mut machine = match boot(spec, self.backend)? {
            Ok(machine) => machine,
            Err(trouble) => return Ok((trouble.key == self.key).then_some(0)),
        };
        let (mut performing, trouble) = Performing::new(machine.as_mut(), one_by_one)?;
        performing.quiet(self.quiet);
        if let Some(trouble) = trouble {
            return Ok((trouble.key == self.key).then_some(0));
        }
        let mut rest = ops;
        while !rest.is_empty() {
            if self.cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            let (piece, after) = rest.split_at(performing.piece_len(rest.iter()));
            rest = after;
            if rest.is_empty() {
                performing.look_closely();
            }
            let piece: Vec<&Op> = piece.iter().collect();
            if let Some(trouble) = performing.perform(&piece)?.trouble {
                return Ok((trouble.key == self.key).then_some((trouble.at as usize).min(ops.len())));
            }
        }
        Ok(None)
    }

    /// Those of `ops` that name pages that the trouble is about, and the last one, if they show it.
    fn narrowed(&self, spec: &MachineSpec, ops: Vec<Op>, trouble: &Trouble) -> Result<Vec<Op>, MachineError> {
        let Some((last, before)) = ops.split_last() else { return Ok(ops) };
        if fixed(&ops, self.key) < ops.len() {
            return Ok(ops);
        }
        if self.shows(spec, std::slice::from_ref(last), false)?.is_some() {
            return Ok(vec![last.clone()]);
        }
        let mut spans: Vec<Span<Ipa>> = trouble.findings.iter().map(|finding| finding.span.cast()).collect();
        spans.extend(pages(last));
        let near = |op: &&Op| pages(op).is_some_and(|pages| spans.iter().any(|span| span.overlaps(pages)));
        let mut few: Vec<Op> = before.iter().filter(near).cloned().collect();
        few.push(last.clone());
        Ok(if self.shows(spec, &few, false)?.is_some() { few } else { ops })
    }

    /// `ops` with CPU 0, one page or as few as may be, and zeros, wherever that shows it too.
    fn simplified(&self, spec: &MachineSpec, mut ops: Vec<Op>) -> Result<Vec<Op>, MachineError> {
        let mut left = self.left;
        for index in 0..fixed(&ops, self.key) {
            for change in [one_page, no_value, first_cpu] {
                let mut simpler = ops.clone();
                change(&mut simpler[index]);
                if simpler == ops || left == 0 {
                    continue;
                }
                left -= 1;
                if self.shows(spec, &simpler, false)? == Some(ops.len()) {
                    ops = simpler;
                }
            }
            let Some(pages) = count(&ops[index]).filter(|pages| *pages > 2) else { continue };
            let fewest = fewest(pages, |pages| {
                let mut simpler = ops.clone();
                change(&mut simpler[index], Argument::Count, pages);
                if left == 0 {
                    return Ok(false);
                }
                left -= 1;
                Ok::<_, MachineError>(self.shows(spec, &simpler, false)? == Some(ops.len()))
            })?;
            change(&mut ops[index], Argument::Count, fewest);
        }
        Ok(ops)
    }

    /// The default of each key, where that shows it too.
    fn simplify_machine(&self, spec: &mut MachineSpec, ops: &[Op]) {
        let cpus = ops.iter().map(|op| op.cpu + 1).max().unwrap_or(1);
        let mut kept = 0;
        while let Some(simpler) = machine_keys::with_one_less(spec).into_iter().nth(kept) {
            // A machine that lacks something that an operation names fails in another way, and is none.
            let shown = || matches!(self.shows(&simpler, ops, false), Ok(Some(at)) if at == ops.len());
            if u64::from(simpler.cpus) >= cpus && shown() {
                *spec = simpler;
            } else {
                kept += 1;
            }
        }
    }
}

/// Operations from this one on belong together: what is expected of the last one of a scene is nothing without the others.
fn fixed(ops: &[Op], key: &str) -> usize {
    if key != "result/expected" {
        return ops.len();
    }
    ops.iter().rposition(|op| op.expect.is_none()).map_or(0, |last| last + 1)
}

/// The pages that `op` names, where its own text says where they are.
fn pages(op: &Op) -> Option<Span<Ipa>> {
    let map =
        parallax_addr::AddressMap::of_regions([("ram", Span::new(parallax_trace::spec::RAM_BASE, 8 << 30))]);
    let Footprint { pages, .. } = op.operation(&map).ok()?.footprint();
    pages
}

/// How many pages it names, if its own text says so.
fn count(op: &Op) -> Option<u64> {
    let at = op.row.params.iter().position(|param| param.kind == Argument::Count)?;
    op.args.get(at).filter(|arg| arg.base.is_none()).map(|arg| arg.offset)
}

/// The fewest pages that show it: `most` of them do, and one does not.
fn fewest<E>(most: u64, mut shows: impl FnMut(u64) -> Result<bool, E>) -> Result<u64, E> {
    let (mut too_few, mut enough) = (1, most);
    while enough - too_few > 1 {
        let pages = too_few + (enough - too_few) / 2;
        match shows(pages)? {
            true => enough = pages,
            false => too_few = pages,
        }
    }
    Ok(enough)
}

fn one_page(op: &mut Op) {
    change(op, Argument::Count, 1);
}

fn no_value(op: &mut Op) {
    // A hypercall's number is no value.
    if op.row.name != "hypercall" && op.row.name != "smc" {
        change(op, Argument::Value, 0);
    }
}

const fn first_cpu(op: &mut Op) {
    op.cpu = 0;
}

fn change(op: &mut Op, kind: Argument, value: u64) {
    for (arg, param) in op.args.iter_mut().zip(op.row.params) {
        if param.kind == kind {
            *arg = number(value);
        }
    }
}

fn text(plan: &Plan, spec: &MachineSpec, ops: &[Op], what: &str) -> String {
    let mut text = plan.fault.map_or_else(String::new, |fault| format!("fault {}\n", fault.name()));
    text.push_str(&format!("# parallax fuzz --seed {}: {what}\n", plan.seed));
    let machine = machine_keys::text(spec);
    if !machine.is_empty() {
        text.push_str(&format!("machine {machine}\n"));
    }
    if ops.is_empty() {
        text.push_str("nop\n");
    }
    ops.iter().for_each(|op| text.push_str(&corpus::line(op)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_pages_are_found_in_few_trials() {
        let mut trials = 0;
        let found = fewest(512, |pages| {
            trials += 1;
            Ok::<_, ()>(pages >= 300)
        });
        assert_eq!((found, trials), (Ok(300), 9));
        assert_eq!(fewest(7, |_| Ok::<_, ()>(false)), Ok(7));
        assert_eq!(fewest(u64::MAX, |_| Ok::<_, ()>(true)), Ok(2));
    }
}
