//! `parallax bisect`: which commit broke a trace, and by which operation, entry and store.
//!
//! ```text
//! traces/good/donate.trace: the first bad commit of 10 is
//!   3f2a1b...  hyp: fewer invalidations
//!
//! first bad operation
//!   line 4: host_donate_hyp pfn=ram+0x20
//! ```
//!
//! The hypervisor and the test host come from each revision; the harness, the plugin and (but for `--mode range`) the
//! trace and its golden are those of the working tree.

mod bench;
mod outcome;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::toolchain::Variant;
use parallax_report::golden;
use parallax_suite::bisect::BisectMode;
use parallax_suite::bisect::history::Repository;
use parallax_suite::bisect::images::Images;
use parallax_suite::cases::{self, Case};

use self::bench::Bench;
use super::print;
use crate::cli::{self, BisectFormat};
use crate::interrupt;

/// Runs it.
pub(super) fn bisect(args: &cli::Bisect) -> Result<Status> {
    let cancel = interrupt::token()?;
    let mut cases = cases::load(std::slice::from_ref(&args.trace)).map_err(Failure::from)?;
    let case = match (cases.pop(), cases.is_empty()) {
        (Some(case), true) => case,
        _ => return Err(Failure::usage("--trace takes one trace").into()),
    };
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let root = root.canonicalize()?;
    let repository = Repository::open(&root)?;
    if args.bad == "HEAD" {
        repository.clean()?;
    }
    let files = match args.mode {
        BisectMode::Range => own_files(&root, args, &case)?,
        BisectMode::Findings | BisectMode::Golden => Vec::new(),
    };
    let row = repository.range(&args.good, &args.bad, &files)?;
    let golden = golden::text(&case.place.golden)?;
    if args.mode == BisectMode::Golden && golden.is_none() {
        let path = case.place.golden.display();
        return Err(Failure::usage(format!("--mode golden: no golden at {path}")).into());
    }
    let variant = Variant::of(&case.trace.machine);
    let images = Images::open(&repository, variant, args.keep, &cancel)?;
    let trials = HashMap::new();
    let mut bench = Bench {
        args,
        repository: &repository,
        root,
        files,
        case,
        golden,
        images,
        cancel,
        trials,
        tried: Vec::new(),
    };
    let report = bench.bisect(&row)?;
    print(&match args.format {
        BisectFormat::Human => report.human(),
        BisectFormat::Markdown => report.markdown(),
        BisectFormat::Json => report.json()?,
    })?;
    Ok(if report.first_bad.len() == 1 { Status::Same } else { Status::Diverged })
}

/// Trace and golden, below `root`.
fn own_files(root: &std::path::Path, args: &cli::Bisect, case: &Case) -> Result<Vec<String>, Failure> {
    let below = |path: PathBuf| {
        let inside = path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned());
        inside.ok_or_else(|| {
            Failure::usage(format!("--mode range: {} is not in the source tree", path.display()))
        })
    };
    let trace = args
        .trace
        .canonicalize()
        .map_err(|error| Failure::usage(format!("{}: {error}", args.trace.display())))?;
    let name = case.place.golden.file_name().unwrap_or_default();
    let folder = case.place.golden.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    Ok(vec![below(trace)?, below(folder.join(name))?])
}
