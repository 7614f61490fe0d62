//! `parallax nightly`: what takes too long for every change, and its history.
//!
//! ```text
//! nightly: qemu 10.0.2, step, own machines, goldens
//! ...
//! nightly: since night 1: nothing is new
//! nightly: target/nightly/index.html
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_nightly::history::{self, Night};
use parallax_nightly::merge::{self, Parts};
use parallax_nightly::news::compared;
use parallax_nightly::page::Sources;
use parallax_nightly::plan::Form;
use parallax_nightly::{History, NightError, Runner, perform, time, told};
use parallax_report::{regular, text_table};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::output::{print, print_as_it_is};
use crate::cli::{Nightly, NightlyHistory, NightlyMerge, NightlyPage, NightlyRun, NightlyWhat};

/// Names another program that is run in place of this one, for tests.
const PROGRAM: &str = "PARALLAX_PROGRAM";
/// Most bytes of nights that are imported.
const MOST: u64 = 1 << 30;

/// Runs it.
pub(super) fn nightly(args: &Nightly) -> Result<Status> {
    let root = project::root(&[])?;
    match &args.what {
        NightlyWhat::Run(args) => run(args, &root),
        NightlyWhat::Merge(args) => merged(args, &root),
        NightlyWhat::Page(args) => page(args, &root),
        NightlyWhat::History(args) => nights(args, &root),
    }
}

/// The folder that was named, from where the user is; or the usual one.
fn results(named: Option<&PathBuf>, root: &Path) -> PathBuf {
    let named = named.map(|named| std::path::absolute(named).unwrap_or_else(|_| named.clone()));
    named.unwrap_or_else(|| root.join("target/nightly"))
}

/// Says something; that nobody listens is no error.
fn say(text: &str) {
    let _ = print(&format!("nightly: {text}\n"));
}

fn run(args: &NightlyRun, root: &Path) -> Result<Status> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        let value = usize::try_from(number).unwrap_or(1);
        signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
    }
    let history = History::write(&results(args.results.as_ref(), root)).map_err(Failure::from)?;
    history.is_whole().map_err(Failure::from)?;
    let parallax = match std::env::var_os(PROGRAM) {
        Some(program) => PathBuf::from(program),
        None => std::env::current_exe()?,
    };
    if !parallax.is_file() {
        let message = format!("{}: it is not built", parallax.display());
        return Err(Failure { status: Status::Setup, message }.into());
    }
    let runner = Runner { root: root.to_owned(), parallax, signal };
    let form = if args.short { Form::Short } else { Form::Full };
    match perform::perform(&history, &runner, form, args.partition, &say) {
        Ok(night) => {
            tell(&history, night, root)?;
            Ok(in_order(&history.night(night).map_err(Failure::from)?))
        }
        Err(NightError::Ended(number)) => {
            let error = NightError::Ended(number);
            parallax_engine::note!("nightly: {error}");
            // What it did until then is in the lines, too; where they cannot be written the database has it.
            let _ = history.write_lines();
            drop(history);
            // As a shell sees a command that the signal ended.
            std::process::exit(128 + number)
        }
        Err(error) => Err(Failure::from(error).into()),
    }
}

fn in_order(night: &Night) -> Status {
    if night.status == Some(0) { Status::Same } else { Status::Diverged }
}

fn tell(history: &History, night: i64, root: &Path) -> Result<()> {
    let summary = told::told(history, night, &Sources::at(root)).map_err(Failure::from)?;
    let page = history.folder().join("index.html");
    print(&format!("nightly: {}\nnightly: {}\n", summary.trim_end(), page.display()))
}

fn merged(args: &NightlyMerge, root: &Path) -> Result<Status> {
    let results = results(args.results.as_ref(), root);
    let same = |part: &&PathBuf| {
        std::fs::canonicalize(part)
            .ok()
            .is_some_and(|part| std::fs::canonicalize(&results).ok() == Some(part))
    };
    if let Some(part) = args.parts.iter().find(same) {
        let message =
            format!("{}: it is a part, and cannot be the whole: name another --results", part.display());
        return Err(Failure::usage(message).into());
    }
    // Before a history is made for them.
    let parts = Parts::read(&args.parts).map_err(Failure::from)?;
    let history = History::write(&results).map_err(Failure::from)?;
    history.is_whole().map_err(Failure::from)?;
    let (night, missing) = merge::merge(&history, &parts).map_err(Failure::from)?;
    tell(&history, night, root)?;
    missing.iter().try_for_each(|what| print(&format!("nightly: NOT IN ORDER: {what}\n")))?;
    Ok(in_order(&history.night(night).map_err(Failure::from)?))
}

fn page(args: &NightlyPage, root: &Path) -> Result<Status> {
    let history = History::read(&results(args.results.as_ref(), root)).map_err(Failure::from)?;
    let nights = history.nights().map_err(Failure::from)?;
    if nights.is_empty() {
        let folder = history.folder().display();
        return Err(
            Failure::usage(format!("{folder}: no night in its history: its page is left as it is")).into()
        );
    }
    let path = told::write_page(&history, &nights, &Sources::at(root)).map_err(Failure::from)?;
    print(&format!("nightly: {}\n", path.display()))?;
    Ok(Status::Same)
}

fn nights(args: &NightlyHistory, root: &Path) -> Result<Status> {
    let folder = results(args.results.as_ref(), root);
    if let Some(file) = &args.import {
        let bytes = regular::read_any(file, MOST).map_err(|error| Failure::file(file.display(), &error))?;
        let text = String::from_utf8_lossy(&bytes);
        // Before a history is made for them.
        let nights = history::read_lines(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        let history = History::write(&folder).map_err(Failure::from)?;
        // Its own lines put a lost history back; others would be written over them.
        if !history.has_lines_in(file) {
            history.is_whole().map_err(Failure::from)?;
        }
        let added = history::import(&history, &nights).map_err(Failure::from)?;
        let there = nights.len().saturating_sub(added);
        if there > 0 {
            parallax_engine::note!("nightly: {there} of the nights were there before, and were not added");
        }
        history.write_lines().map_err(Failure::from)?;
        let nights = history.nights().map_err(Failure::from)?;
        told::write_page(&history, &nights, &Sources::at(root)).map_err(Failure::from)?;
    }
    let history = History::read(&folder).map_err(Failure::from)?;
    history.is_whole().map_err(Failure::from)?;
    let nights = history.nights().map_err(Failure::from)?;
    if args.format.is_json() {
        print_as_it_is(&history::lines(&nights))?;
    } else {
        print(&listed(&nights))?;
    }
    Ok(Status::Same)
}

/// The nights, and what the last one measured beside the one before.
fn listed(nights: &[Night]) -> String {
    let header = ["night", "", "begun", "revision", "form", "part", "seconds", "not in order", "flaky"];
    let row = |night: &Night| {
        let count =
            |flaky| night.problems.iter().filter(|problem| problem.flaky == flaky).count().to_string();
        let word = match night.status {
            Some(0) => "in order",
            Some(_) => "not in order",
            None => "not at its end",
        };
        let seconds = night.seconds.map(|seconds| format!("{seconds:.0}")).unwrap_or_default();
        let revision = visible::line(&night.revision).to_string();
        let (number, begun) = (night.night.to_string(), time::utc(night.started));
        let (form, part) = (night.form.clone(), night.part.clone());
        [number, word.to_owned(), begun, revision, form, part, seconds, count(false), count(true)]
    };
    let rows: Vec<[String; 9]> = nights.iter().map(row).collect();
    let mut text = text_table::render(&header.map(str::to_owned), &rows, usize::MAX) + "\n";
    let Some(index) = nights.len().checked_sub(1) else { return text };
    let compared = compared(nights, index);
    let night = compared.night;
    let header =
        [format!("measured in night {}", night.night), "now".to_owned(), "the night before".to_owned()];
    let number = |value: f64| if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") };
    let row = |measure: &history::Measure| {
        let before = compared.before.and_then(|before| before.measure(&measure.name));
        let before = before.map(number).unwrap_or_default();
        [visible::line(&measure.name).to_string(), number(measure.value), before]
    };
    let rows: Vec<[String; 3]> = night.measures.iter().map(row).collect();
    if !rows.is_empty() {
        text += &format!("\n{}\n", text_table::render(&header, &rows, 1));
    }
    text
}
