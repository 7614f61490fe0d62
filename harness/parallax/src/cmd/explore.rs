//! `parallax explore`: every operation in every state of a few pages. `parallax spec`: what they must do.
//!
//! ```text
//! ram+0x6000, ram+0x6001, ram+0x61ff, mmio:rtc, stream 8, 2 pins at most
//! 125 states, 8775 transitions
//! ...
//! performed 8775 of 8775 transitions in 8911 operations, all tables checked after each
//! and 568 once more on pages that nobody had touched
//! nothing found
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_fuzz::explore::{Exploration, Found, PAGES, Performed, Shard, summary};
use parallax_machine::{Backend, CancellationToken};
use parallax_suite::jobs::job_count;

use super::output::print;
use super::outputs::{can_be_saved, save};
use super::progress;
use crate::cli::{Explore, Spec};
use crate::interrupt;

/// Prints the specification.
pub(super) fn spec(args: &Spec) -> Result<Status> {
    let text = parallax_spec::text::of(args.call.as_deref());
    let unknown = || {
        let call = visible::line(args.call.as_deref().unwrap_or_default());
        Failure::usage(format!("nothing is specified of `{call}`: `parallax spec` prints all calls"))
    };
    print(&text.ok_or_else(unknown)?)?;
    Ok(Status::Same)
}

/// Explores.
pub(super) fn explore(args: &Explore) -> Result<Status> {
    can_be_saved(args.save.as_ref())?;
    let exploration = match (args.smmu, &args.pages[..]) {
        (false, []) => Exploration::new(&PAGES, args.pins, args.fault),
        (false, pages) => Exploration::new(pages, args.pins, args.fault),
        (true, []) => Exploration::with_smmu(&PAGES[..1], args.pins, args.fault),
        (true, pages) => Exploration::with_smmu(pages, args.pins, args.fault),
    };
    let exploration = exploration.map_err(Failure::usage)?;
    if let Some(wrong) = exploration.contradictions().first() {
        print(&format!("the specification contradicts itself: {wrong}\n"))?;
        return Ok(Status::Diverged);
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let shard = args.shard.unwrap_or(Shard { index: 0, count: 1 });
    let backend = live::build(&root, [&exploration.machine()], &cancel)?;
    let backend = live::with_events(backend, &root)?;
    let jobs = job_count(args.jobs);
    let (performed, found) = with_progress(&exploration, (shard, jobs), &backend, &cancel)?;
    print(&summary(&exploration, &performed))?;
    let Some(found) = found else {
        print("nothing found\n")?;
        return Ok(Status::Same);
    };
    tell(&exploration, &found)?;
    let (trace, shown) = exploration.shown(&found, &backend, &cancel).map_err(Failure::from)?;
    if !shown {
        print("the trace below does not show it by itself: it takes what the tour did before\n")?;
    }
    match &args.save {
        Some(path) => save(path, &trace)?,
        None => print(&format!("as a trace:\n{trace}"))?,
    }
    Ok(Status::Diverged)
}

fn tell(exploration: &Exploration, found: &Found) -> Result<()> {
    let state = exploration.label(found.state);
    let mut text = format!("found in the state [{state}]\n");
    for finding in &found.findings {
        text += &format!("  {finding}\n");
    }
    if let Some(end) = &found.end {
        let here = if end.sure { "this operation" } else { "this operation or one soon after" };
        text += &format!("  the machine came to its end in {here}: {}\n", visible::line(&end.text));
    }
    print(&text)
}

fn with_progress(
    exploration: &Exploration,
    (shard, jobs): (Shard, usize),
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<(Performed, Option<Found>), Failure> {
    let total = exploration.graph.transitions() / shard.count;
    let bar = progress::bar(total as u64, "exploring {wide_bar} {human_pos}/{human_len}, {elapsed}");
    let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bar.set_position(done.load(Ordering::Relaxed).min(total as u64));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let result = exploration.run(shard, jobs, backend, cancel, &done);
        over.store(true, Ordering::Relaxed);
        result
    });
    bar.finish_and_clear();
    result.map_err(Failure::from)
}
