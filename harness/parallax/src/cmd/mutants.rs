//! `parallax mutants`: whether the traces see small changes of the hypervisor.
//!
//! ```text
//! found     hyp/core/src/idmap.rs:31:20: replace < with <= in IdMap::clip
//!           traces/good/narrow_smmu.trace:4 shadow/extra
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_suite::cases::{self, Case};
use parallax_suite::jobs::job_count;
use parallax_suite::mutants::allowed::Allowed;
use parallax_suite::mutants::list::{Wanted, list};
use parallax_suite::mutants::tree::Tree;
use parallax_suite::mutants::trial::Trials;
use parallax_suite::mutants::{Fate, Mutant, Tried, fate};

use super::output::print;
use super::outputs::{apart, can_be_saved, save};
use super::progress;
use crate::cli;
use crate::interrupt;

/// Runs it.
pub(super) fn mutants(args: &cli::Mutants) -> Result<Status> {
    let mut cases = good(cases::load(&args.traces).map_err(Failure::from)?)?;
    let traces = cases.iter().map(|case| Path::new(&case.trace.path));
    let read: Vec<&Path> = traces.chain(args.allow.as_deref()).collect();
    apart(&args.save.iter().map(|path| ("--save", path.as_path())).collect::<Vec<_>>(), &read)?;
    can_be_saved(args.save.as_ref())?;
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let allowed = args.allow.as_deref().map(Allowed::load).transpose()?;
    let all = list(&root, &Wanted { files: args.file.clone(), since: args.since.clone() })?;
    let mutants: Vec<Mutant> = match args.shard {
        Some(shard) => all.into_iter().skip(shard.index).step_by(shard.count).collect(),
        None => all,
    };
    if args.list {
        print(&mutants.iter().map(|mutant| mutant.name() + "\n").collect::<String>())?;
        return Ok(Status::Same);
    }
    if mutants.is_empty() {
        print("no mutant there\n")?;
        return Ok(Status::Same);
    }
    let tree = Tree::copy(&root)?;
    tree.take_goldens(&mut cases)?;
    let bar = progress::of_traces(cases.len());
    bar.set_message("building, then all traces without a mutant");
    let trials = Trials::new(&root, &tree, cases, job_count(args.jobs), &cancel, |_| bar.inc(1));
    bar.finish_and_clear();
    let (tried, interrupted) = try_all(&mutants, trials?, args.time)?;
    if let Some(path) = &args.save {
        let lines: Result<String, _> = tried.iter().map(Tried::json).collect();
        save(path, &lines?)?;
    }
    let left = mutants.len() - tried.len();
    let left = if left == 0 { String::new() } else { format!("{left} were not tried\n") };
    print(&format!("\n{}{left}", fate::summary(&tried)))?;
    if interrupted {
        return Ok(Status::Interrupted);
    }
    let agreed = match &allowed {
        Some(allowed) => {
            let differences = allowed.compare(&tried);
            print(&differences.iter().map(|line| format!("{line}\n")).collect::<String>())?;
            differences.is_empty()
        }
        None => tried.iter().all(|tried| tried.fate != Fate::Survived),
    };
    Ok(if agreed { Status::Same } else { Status::Diverged })
}

/// Those where nothing may be found: of a trace with a fault switched on it would say nothing.
fn good(cases: Vec<Case>) -> Result<Vec<Case>, Failure> {
    match cases.iter().find(|case| case.trace.machine.faults_build) {
        None => Ok(cases),
        Some(case) => Err(Failure::usage(format!(
            "{}: it has a fault of its own: name traces without",
            case.place.label
        ))),
    }
}

/// Tries one after the other, until there is no more time, or the user ends it; then the second is true.
fn try_all(mutants: &[Mutant], mut trials: Trials<'_>, time: Option<Duration>) -> Result<(Vec<Tried>, bool)> {
    let begin = Instant::now();
    let bar = progress::bar(mutants.len() as u64, "{wide_bar} {pos}/{len}, {elapsed}");
    let mut all = Vec::new();
    for mutant in mutants {
        if time.is_some_and(|time| begin.elapsed() >= time) {
            break;
        }
        match trials.fate(mutant) {
            Ok(fate) => {
                let tried = Tried { mutant: mutant.clone(), fate };
                bar.suspend(|| print(&tried.text()))?;
                all.push(tried);
                bar.inc(1);
            }
            Err(Failure { status: Status::Interrupted, .. }) => return Ok((all, true)),
            Err(failure) => return Err(failure.into()),
        }
    }
    bar.finish_and_clear();
    Ok((all, false))
}
