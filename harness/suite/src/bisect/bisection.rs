//! A bisection from end to end: the range of revisions, the search in it, the report.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::Failure;
use parallax_machine::CancellationToken;
use parallax_machine::toolchain::Variant;
use parallax_report::golden;

use super::criterion::Criterion;
use super::history::{Commit, Repository};
use super::images::Images;
use super::outcome;
use super::report::Report;
use super::request::Request;
use super::trials::Trials;
use crate::cases::{self, Case};
use crate::selection;

/// Finds the commit that broke a trace, and by which operation it is bad.
///
/// # Errors
/// The range is none, one of its ends cannot be tried or is not as it is said to be, or the user cancelled.
pub fn bisect(request: &Request, cancel: &CancellationToken) -> Result<Report> {
    let mut cases = cases::load(std::slice::from_ref(&request.trace)).map_err(Failure::from)?;
    if !request.machine.is_empty() && request.by != Criterion::Findings {
        let message =
            "--machine with --by golden or range: a golden is the result on the trace's own machine";
        return Err(Failure::usage(message).into());
    }
    if !request.machine.is_empty() {
        selection::change_machines(&mut cases, &request.machine.join(" "))?;
    }
    let case = match (cases.pop(), cases.is_empty()) {
        (Some(case), true) => case,
        _ => return Err(Failure::usage("--trace takes one trace").into()),
    };
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let root = root.canonicalize()?;
    let repository = Repository::open(&root)?;
    if request.bad == "HEAD" {
        repository.clean()?;
    }
    let files = match request.by {
        Criterion::Range => own_files(&root, request, &case)?,
        Criterion::Findings | Criterion::Golden => Vec::new(),
    };
    let row = repository.range(&request.good, &request.bad, &files)?;
    has_trace(&repository, row.last(), files.first())?;
    let golden = golden::text(&case.place.golden)?;
    if request.by == Criterion::Golden && golden.is_none() {
        let path = case.place.golden.display();
        return Err(Failure::usage(format!("--by golden: no golden at {path}")).into());
    }
    let variant = Variant::of(&case.trace.machine);
    let images = Images::open(&repository, variant, request.keep, cancel)?;
    let mut trials = Trials {
        request,
        repository: &repository,
        root,
        files,
        case,
        golden,
        images,
        cancel: cancel.clone(),
        trials: HashMap::new(),
        tried: Vec::new(),
    };
    let (narrowed, last_good) = trials.search(&row)?;
    outcome::report(&mut trials, &row, narrowed, last_good)
}

/// Refuses a bad end without the trace whose own form each revision is to be judged by.
fn has_trace(repository: &Repository, bad: Option<&Commit>, trace: Option<&String>) -> Result<(), Failure> {
    match (bad, trace) {
        (Some(bad), Some(trace)) if repository.file(bad, trace).is_none() => Err(Failure::usage(format!(
            "--by range takes the trace and the golden of each revision, and {} has no {trace}; \
             --by findings and --by golden take those of the working tree",
            bad.short()
        ))),
        _ => Ok(()),
    }
}

/// Trace and golden, below `root`.
fn own_files(root: &Path, request: &Request, case: &Case) -> Result<Vec<String>, Failure> {
    let below = |path: PathBuf| {
        let inside = path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned());
        inside.ok_or_else(|| {
            Failure::usage(format!("--by range: {} is not in the source tree", path.display()))
        })
    };
    let trace = request
        .trace
        .canonicalize()
        .map_err(|error| Failure::usage(format!("{}: {error}", request.trace.display())))?;
    let name = case.place.golden.file_name().unwrap_or_default();
    let folder = case.place.golden.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    Ok(vec![below(trace)?, below(folder.join(name))?])
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::history;
    use super::*;

    #[test]
    fn a_revision_without_the_trace_is_not_judged_by_its_own() {
        let (_folder, repository) = history(&["a", "b"]);
        let row = repository.range("t0", "HEAD", &[]).unwrap();
        let refused = |name: &str| has_trace(&repository, row.last(), Some(&name.to_owned()));
        assert!(refused("hyp/a").is_ok());
        let message = refused("traces/a.trace").unwrap_err().message;
        assert!(message.contains("has no traces/a.trace; --by findings"), "{message}");
    }
}
