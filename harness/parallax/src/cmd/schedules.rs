//! `parallax schedules`: two operations at once, under many schedules.
//!
//! ```text
//! seed 1, 1114 pairs of operations in their situations
//! 100 schedules, 2641 turns, 803 switches
//! nothing found
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_fuzz::schedules::{Found, Search, Searched, Situation, situations};
use parallax_machine::{Backend, CancellationToken};
use parallax_suite::jobs::job_count;
use parallax_trace::similar;

use super::output::print;
use super::outputs::{can_be_saved, say_saved, written};
use super::{nothing_found, progress};
use crate::cli::Schedules;
use crate::interrupt;

/// Searches.
pub(super) fn schedules(args: &Schedules) -> Result<Status> {
    can_be_saved(args.save.as_ref())?;
    let search = Search {
        seed: args.seed,
        schedules: args.schedules,
        fault: args.fault,
        situations: wanted(&args.with)?,
    };
    let machines = search.machines().map_err(Failure::usage)?;
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let backend = live::build(&root, &machines, &cancel)?;
    let backend = live::with_events(backend, &root)?;
    let begin = Instant::now();
    let (searched, found) = with_progress(&search, job_count(args.jobs), &backend, &cancel)?;
    // What is printed may reach nobody any more: what was found is saved before.
    let saved = found.as_ref().map_or(Ok(()), |found| written(args.save.as_deref(), &found.trace));
    if found.is_none() {
        let hours = begin.elapsed().as_secs_f64() / 3600.0;
        // A clock is for who watches, and for nothing that is compared.
        parallax_engine::note!("{:.0} schedules an hour", searched.schedules as f64 / hours);
    }
    let pairs = search.situations.len();
    print(&format!("seed {}, {pairs} pairs of operations in their situations\n", args.seed))?;
    let Some(found) = found else {
        let Searched { schedules, turns, switches, interrupted } = searched;
        print(&format!("{schedules} schedules, {turns} turns, {switches} switches\n"))?;
        let interrupted = interrupted.then_some("the same command begins with the first schedule again");
        return nothing_found::tell(args.fault, interrupted);
    };
    tell(&found, cancel.is_cancelled())?;
    match &args.save {
        Some(path) => say_saved(path, saved, &found.trace)?,
        None => print(&format!("as a trace:\n{}", found.trace))?,
    }
    Ok(if cancel.is_cancelled() { Status::Interrupted } else { Status::Diverged })
}

/// The situations in which all of `operations` take part.
fn wanted(operations: &[String]) -> Result<Vec<Situation>, Failure> {
    let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let takes_part = |situation: &Situation| {
        let mut words: Vec<String> = situation.pair.iter().map(|line| word(line)).collect();
        let mut found = |operation: &String| {
            let at = words.iter().position(|word| word == operation);
            at.map(|at| words.swap_remove(at)).is_some()
        };
        operations.iter().all(&mut found)
    };
    let wanted: Vec<Situation> = situations().into_iter().filter(takes_part).collect();
    if let [_, _, more, ..] = operations {
        let what =
            format!("--with {}: a pair has two operations, and two are named already", visible::line(more));
        return Err(Failure::usage(what));
    }
    if wanted.is_empty() {
        let mut words: Vec<String> =
            situations().iter().flat_map(|situation| situation.pair.map(word)).collect();
        words.sort();
        words.dedup();
        let asked: Vec<_> = operations.iter().map(|operation| visible::line(operation)).collect();
        if let Some((operation, meant)) = misspelt(operations, &words) {
            let operation = visible::line(operation);
            return Err(Failure::usage(format!(
                "--with {operation}: no such operation: did you mean `{meant}`?"
            )));
        }
        return Err(Failure::usage(format!(
            "--with: no pair has {}: there are {}, two at once, but no two transfers: a device performs one at a time",
            asked.join(" and "),
            words.join(", ")
        )));
    }
    Ok(wanted)
}

/// The first of `operations` that is none of `words`, with the one that is most like it, if any is.
fn misspelt<'a>(operations: &'a [String], words: &'a [String]) -> Option<(&'a str, &'a str)> {
    let unknown = operations.iter().find(|operation| !words.contains(operation))?;
    similar(unknown, words.iter().map(String::as_str)).map(|meant| (unknown.as_str(), meant))
}

fn tell(found: &Found, cancelled: bool) -> Result<()> {
    let (before, after) = found.switches;
    let plural = if before == 1 { "" } else { "es" };
    let mut text =
        format!("found by schedule {}, with {before} switch{plural}, reduced to {after}\n", found.number);
    for finding in &found.findings {
        text += &format!("  {}\n", visible::lines(finding));
    }
    if cancelled {
        text += "interrupted: the schedule is as short as it was by then\n";
    } else if found.shown.is_none() {
        text += "QEMU was killed: the schedule is as short as it was by then\n";
    } else if found.shown == Some(false) {
        text += "the trace does not show it again: what the CPUs did meanwhile hung on something else\n";
    }
    print(&format!("{text}\n{}\n", found.columns))
}

fn with_progress(
    search: &Search,
    jobs: usize,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<(Searched, Option<Found>), Failure> {
    let bar = progress::bar(search.schedules, "schedules {wide_bar} {human_pos}/{human_len}, {elapsed}");
    let done = AtomicU64::new(0);
    let show = |bar: &ProgressBar| bar.set_position(done.load(Ordering::Relaxed));
    progress::during(&bar, show, || search.run(jobs, backend, cancel, &done)).map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_operation_is_guessed() {
        let said = |operations: &[&str]| {
            let operations: Vec<String> =
                operations.iter().map(|operation| (*operation).to_owned()).collect();
            wanted(&operations).unwrap_err().message
        };
        assert_eq!(
            said(&["host_share_hyp", "host_shaer_hyp"]),
            "--with host_shaer_hyp: no such operation: did you mean `host_share_hyp`?"
        );
        assert!(said(&["nonsense"]).starts_with("--with: no pair has nonsense: there are "));
        assert!(said(&["dma_read", "dma_read"]).starts_with("--with: no pair has dma_read and dma_read"));
    }
}
