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

mod beside;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use indicatif::ProgressBar;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_fuzz::document::Explored;
use parallax_fuzz::explore::kept::{Kept, KeptError};
use parallax_fuzz::explore::{Exploration, Found, PAGES, Performed, Shard, summary};
use parallax_machine::toolchain::Variant;
use parallax_machine::{Backend, CancellationToken, Hyp};
use parallax_suite::jobs::job_count;

use super::output::{print, print_document};
use super::outputs::{
    apart, beside_a_document, can_be_added_to, can_be_saved, of_trace, save_silently, say_saved, written,
};
use super::{nothing_found, progress};
use crate::cli::{Explore, Spec};
use crate::{interrupt, specified};

/// Prints the specification.
pub(super) fn spec(args: &Spec) -> Result<Status> {
    let text = specified::of(args.call.as_deref());
    let unknown = || {
        let call = args.call.as_deref().unwrap_or_default();
        let remedy = specified::like(call).map_or_else(
            || {
                "`parallax spec` prints all calls, `parallax spec access`, `smmu` and `its` the rest"
                    .to_owned()
            },
            |meant| format!("did you mean `{meant}`?"),
        );
        Failure::usage(format!("nothing is specified of `{}`: {remedy}", visible::line(call)))
    };
    print(&text.ok_or_else(unknown)?)?;
    Ok(Status::Same)
}

/// Explores.
pub(super) fn explore(args: &Explore) -> Result<Status> {
    let named = [("--resume", &args.resume), ("--save", &args.save)];
    let named: Vec<_> = named.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?))).collect();
    apart(&named, &[])?;
    can_be_saved(args.save.as_ref())?;
    args.resume.iter().try_for_each(|path| can_be_added_to("--resume", path))?;
    let exploration = match (args.smmu, &args.pages[..]) {
        (false, []) => Exploration::new(&PAGES, args.pins, args.fault),
        (false, pages) => Exploration::new(pages, args.pins, args.fault),
        (true, []) => Exploration::with_smmu(&PAGES[..1], args.pins, args.fault),
        (true, pages) => Exploration::with_smmu(pages, args.pins, args.fault),
    };
    let exploration = exploration.map_err(|why| Failure::usage(format!("--page: {why}{}", hint(&why))))?;
    if let Some(wrong) = exploration.contradictions().first() {
        print(&format!("the specification contradicts itself: {wrong}\n"))?;
        return Ok(Status::Diverged);
    }
    if !args.target.is_empty() {
        return beside::run(args, &exploration);
    }
    if let Some(shard) = args.shard.filter(|shard| shard.is_empty(&exploration)) {
        return nothing_to_do(args, &exploration, shard);
    }
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let backend = live::build(&root, [&exploration.machine()], &cancel)?;
    let backend = live::with_events(backend, &root)?;
    let mut parts = parts(args, &exploration, &backend)?;
    // A part need not show what all parts together must.
    let fault = args.fault.filter(|_| args.shard.is_none());
    let before = parts.performed.transitions();
    let found = with_progress(&exploration, &mut parts, job_count(args.jobs), &backend, &cancel)?;
    let performed = &parts.performed;
    let interrupted = performed.interrupted.then(|| parts.go_on());
    if args.format.is_json() {
        let trace = |found: &Found| exploration.shown(found, &backend, &cancel).map_err(Failure::from);
        let trace = found.as_ref().map(trace).transpose()?.map(|(trace, _)| trace);
        if let (Some(path), Some(trace)) = (&args.save, &trace) {
            save_silently(path, trace)?;
        }
        parts.performed.interrupted |= found.is_some() && cancel.is_cancelled();
        let performed = &parts.performed;
        print_document(&Explored::new(&exploration, performed, found.as_ref().zip(trace)))?;
        if found.is_some() {
            return Ok(beside_a_document(performed.interrupted));
        }
        return Ok(nothing_found::beside_a_document(fault, interrupted.as_deref()));
    }
    let mut text = summary(&exploration, performed);
    let now = performed.transitions() - before;
    if before != 0 && now != 0 {
        text += &format!("{now} of these transitions were performed now\n");
    }
    // What is printed may reach nobody any more: what was found is saved all the same.
    let told = print(&text);
    let Some(found) = found else {
        told?;
        return nothing_found::tell(fault, interrupted.as_deref());
    };
    let told = told.and_then(|()| tell(&exploration, &found));
    let (trace, shown) = exploration.shown(&found, &backend, &cancel).map_err(Failure::from)?;
    let saved = written(args.save.as_deref(), &trace);
    told?;
    let status = of_trace(cancel.is_cancelled(), shown, "what the tour did before")?;
    match &args.save {
        Some(path) => say_saved(path, saved, &trace)?,
        None => print(&format!("as a trace:\n{trace}"))?,
    }
    Ok(status)
}

/// What is added to `why` a page is refused: who leaves `0x` out, as where everything is in hexadecimal, gets another page.
fn hint(why: &str) -> &'static str {
    if why.contains("can be explored") && why.contains("ram+") {
        " (a number without 0x is decimal)"
    } else {
        ""
    }
}

/// There are more parts than states, and `shard` is one without.
fn nothing_to_do(args: &Explore, exploration: &Exploration, shard: Shard) -> Result<Status> {
    let states = exploration.graph.states.len();
    let Shard { index, count } = shard;
    let text = format!("nothing to do in this part, {} of {count}: there are {states} states\n", index + 1);
    if args.format.is_json() {
        parallax_engine::note!("{}", text.trim_end());
        print_document(&Explored::new(exploration, &Performed::of(exploration), None))?;
    } else {
        print(&text)?;
    }
    Ok(Status::Same)
}

/// What to perform, part by part.
struct Parts {
    left: Vec<Shard>,
    /// What was performed until now, by earlier runs too.
    performed: Performed,
    /// The file that says so, and its name.
    kept: Option<(Kept, PathBuf)>,
}

impl Parts {
    /// How a run goes on that the user ended.
    fn go_on(&self) -> String {
        let Some((kept, path)) = &self.kept else {
            return "the same command begins anew; with --resume FILE it goes on where it was ended"
                .to_owned();
        };
        let (done, parts, path) = (kept.done.len(), kept.parts, path.display());
        let are = if done == 1 { "is" } else { "are" };
        format!("{done} of {parts} parts {are} in {path}: the same command goes on from there")
    }
}

fn parts(args: &Explore, exploration: &Exploration, backend: &Hyp) -> Result<Parts> {
    let mut performed = Performed::of(exploration);
    let Some(path) = &args.resume else {
        let left = vec![args.shard.unwrap_or(Shard { index: 0, count: 1 })];
        return Ok(Parts { left, performed, kept: None });
    };
    let variant = Variant::of(&exploration.machine().machine);
    let images = backend.images(variant).map_or("", |images| &images.id);
    let kept = Kept::open(path, exploration, images).map_err(|error| match error {
        KeptError::Other(why) => {
            Failure::usage(format!("--resume {}: {why}: name another file", path.display()))
        }
        KeptError::Busy => Failure::usage(format!(
            "--resume {}: another run writes it: wait for its end, or name another file",
            path.display()
        )),
        KeptError::Io(error) => Failure::file(format_args!("--resume {}", path.display()), &error),
    })?;
    let shard = |index| Shard { index, count: kept.parts };
    let left: Vec<usize> = (0..kept.parts).filter(|part| !kept.done.contains_key(part)).collect();
    kept.done.iter().for_each(|(part, done)| performed.count_before(exploration, shard(*part), *done));
    if let Some(text) = performed_before(kept.done.len(), kept.parts, performed.operations, path) {
        if args.format.is_json() { parallax_engine::note!("{}", text.trim_end()) } else { print(&text)? }
    }
    Ok(Parts { left: left.into_iter().map(shard).collect(), performed, kept: Some((kept, path.clone())) })
}

/// What is said of the parts that were `done` before, in so many `operations`.
fn performed_before(done: usize, parts: usize, operations: u64, path: &Path) -> Option<String> {
    match done {
        0 => None,
        _ if done == parts => Some(format!(
            "{} in {} already: nothing is performed, what was performed then is below\n",
            if parts == 1 { "the only part is".to_owned() } else { format!("all {parts} parts are") },
            visible::line(&path.display().to_string())
        )),
        _ => Some(format!(
            "{done} of {parts} parts {} performed before, in {operations} operations, which are counted below\n",
            if done == 1 { "was" } else { "were" }
        )),
    }
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
    parts: &mut Parts,
    jobs: usize,
    backend: &dyn Backend,
    cancel: &CancellationToken,
) -> Result<Option<Found>, Failure> {
    let Parts { left, performed, kept } = parts;
    let transitions = exploration.graph.transitions() as u64;
    let total: u64 = left.iter().map(|shard| transitions / shard.count as u64).sum();
    let bar = progress::bar(total, "exploring {wide_bar} {human_pos}/{human_len}, {elapsed}");
    let done = AtomicU64::new(0);
    let show = |bar: &ProgressBar| bar.set_position(done.load(Ordering::Relaxed).min(total));
    progress::during(&bar, show, || {
        for shard in left {
            let (part, found) = exploration.run(*shard, jobs, backend, cancel, &done)?;
            performed.add(&part);
            if found.is_some() || part.interrupted {
                return Ok(found);
            }
            if let Some((kept, path)) = kept {
                kept.add(shard.index, part.done())
                    .map_err(|error| Failure::file(format_args!("--resume {}", path.display()), &error))?;
            }
        }
        Ok(None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_were_performed_before_are_told_and_all_of_them_in_other_words() {
        let said = |done| performed_before(done, 2, 4444, Path::new("a.parts"));
        assert_eq!(said(0), None);
        let some = "1 of 2 parts was performed before, in 4444 operations, which are counted below\n";
        assert_eq!(said(1).as_deref(), Some(some));
        let all = said(2).unwrap();
        let only = performed_before(1, 1, 4444, Path::new("a.parts")).unwrap();
        assert!(only.starts_with("the only part is in a.parts already"), "{only}");
        assert!(all.starts_with("all 2 parts are in a.parts already: nothing is performed"), "{all}");
    }
}
