//! A trace on the hypervisor of another revision, judged by the harness and the plugin of the working tree.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use parallax_engine::Mode;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::toolchain::Variant;
use parallax_machine::{CancellationToken, Hyp};

use crate::bisect::history::{Commit, Repository};
use crate::bisect::images::Images;
use crate::cases::Case;
use crate::source::{self, Moment};

/// What boots the hypervisor and the test host of `revision` for `cases`, from the source tree at `root`, without the plugin; and the
/// commit. Images that a bisection built are not built again.
///
/// # Errors
/// There is no such commit, or its hypervisor cannot be built.
pub fn hypervisor(
    root: &Path,
    revision: &str,
    cases: &[Case],
    cancel: &CancellationToken,
) -> Result<(Hyp, Commit), Failure> {
    let repository = Repository::open(root)?;
    let commit = repository.revision(revision)?;
    if repository.stands_as(&commit) {
        return Ok((live::build(root, cases.iter().map(|case| &case.trace), cancel)?, commit));
    }
    let mut hyp = Hyp::new(commit.short(), cancel);
    for variant in [Variant::Normal, Variant::Faults] {
        if cases.iter().any(|case| Variant::of(&case.trace.machine) == variant) {
            let images = Images::open(&repository, variant, false, cancel)?.of(&commit)?;
            hyp = hyp.with_images(variant, images.map_err(|why| of_it(&commit, Status::Setup, &why))?);
        }
    }
    Ok((hyp, commit))
}

/// Performs `case` on the hypervisor and the test host of `revision`, in `mode`, with the plugin if `events` are wanted or the
/// mode needs it, and shows each state to `visit`, from the boot on, until it breaks off.
///
/// # Errors
/// There is no such commit, or its hypervisor cannot be built, booted or read.
pub fn visit(
    case: &Case,
    revision: &str,
    (events, mode): (bool, Mode),
    cancel: &CancellationToken,
    visit: impl FnMut(&Moment<'_>) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let (hyp, commit) = hypervisor(&root, revision, std::slice::from_ref(case), cancel)?;
    let hyp = if events || mode == Mode::Stream { live::with_events(hyp, &root)? } else { hyp };
    source::perform_on((&hyp, mode), case, cancel, visit)
        .map_err(|failure| of_it(&commit, failure.status, &failure.message))
}

/// Whether the file of `case` is another one at `revision`, where it is there.
///
/// # Errors
/// There is no such commit.
pub fn is_another(case: &Case, revision: &str) -> Result<bool, Failure> {
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let repository = Repository::open(&root)?;
    let old = repository.file(&repository.revision(revision)?, &case.place.label);
    let now = fs::read_to_string(&case.trace.path).ok();
    // Git's output ends without the newlines of the file's end.
    Ok(old.is_some() && old.as_deref().map(str::trim_end) != now.as_deref().map(str::trim_end))
}

fn of_it(commit: &Commit, status: Status, why: &str) -> Failure {
    Failure { status, message: format!("revision {}: {why}", commit.short()) }
}
