//! `parallax explain`: who wrote an entry, with what, and what invalidation followed.
//!
//! ```text
//! smmu L3 ram+0x20000..+0x21000
//!   was 0x00000000400207ff  maps 0x40020000, RW Normal-WB ISH
//!   now 0x0000000000000000  empty
//!   by  cpu0, <Tree>::replace (hyp/core/src/pgtable/tree.rs:232)
//! then  cpu0 CMD_TLBI_S2_IPA VMID=0x0 Address=0x40020000
//! ```
//!
//! A trace is performed and recorded first, so that there is one way to tell it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_addr::Expr;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_engine::{Mode, Reproducer};
use parallax_machine::recording::{RecordedFinding, Replay};
use parallax_machine::scratch::Scratch;
use parallax_machine::{Backend, Machine, MachineError};
use parallax_report::explain::Wanted;
use parallax_suite::cases::Case;
use parallax_suite::explanation::{self, Explanation};
use parallax_suite::revision;
use parallax_suite::source::{Source, is_recording};

use super::output::print;
use super::run::target;
use crate::cli::{self, On, Target};
use crate::interrupt;

/// Runs it.
pub(super) fn explain(args: &cli::Explain) -> Result<Status> {
    args.target.check(args.vmlinux.as_ref())?;
    if args.target.target == Target::Pkvm && args.mode == Mode::Stream {
        return Err(Failure::usage(target::NO_STREAM).into());
    }
    let folder = Scratch::new()?;
    let path = match (Source::open(&args.source, &args.machine)?, args.target.target) {
        (Source::Recording(_), _) if args.rev.is_some() => {
            let message = "a recording was made on what it was made on: leave --rev out";
            return Err(Failure::usage(message).into());
        }
        (Source::Recording(_), Target::Hyp) if args.mode == Mode::Stream => {
            let message = "a recording was made as it was made: leave --mode out";
            return Err(Failure::usage(message).into());
        }
        (Source::Recording(_), Target::Hyp) => args.source.clone(),
        (Source::Recording(_), Target::Pkvm) => return Err(Failure::usage(target::OF_A_RECORDING).into()),
        (Source::Trace(case), _) => record(&case, args, folder.path())?,
    };
    let ipa = args.ipa.as_ref().map(|ipa| address(ipa, &path)).transpose()?;
    let wanted = Wanted { ipa, sid: args.sid };
    let Explanation { story, findings } = explanation::of_recording(&path, &args.source, args.op, wanted)?;
    let found: String = findings.iter().map(found).collect();
    let found = if found.is_empty() { found } else { format!("\n{found}reproduce: {}\n", reproducer(args)) };
    let omitted = if story.contains(NO_STORE) { omission(args) } else { String::new() };
    print(&(story + &omitted + &found))?;
    Ok(Status::Same)
}

/// What a story says of an operation that left all entries as they were.
const NO_STORE: &str = "\nno store changed such an entry\n";

/// Where to look on when what is wrong is that nothing was done.
fn omission(args: &cli::Explain) -> String {
    let source = visible::line(&args.source.to_string_lossy()).into_owned();
    let on = if args.target == On::default() { String::new() } else { format!(" --target {}", args.target) };
    let stores = format!("what it did store: `parallax events{on} {source} --op {}`\n", args.op);
    if on.is_empty() && !is_recording(&args.source) {
        return stores + &format!("what another revision does: `parallax diff {source} --rev REV`\n");
    }
    stores
}

/// A finding, and below it what was missing, where and since when.
fn found(finding: &RecordedFinding) -> String {
    let detail = finding.detail().iter().map(|line| format!("      {line}\n"));
    format!("found {finding}\n{}", detail.collect::<String>())
}

/// Where `ipa` is on the machine of the recording at `path`.
fn address(ipa: &Expr, path: &Path) -> Result<u64, Failure> {
    let replay = Replay::open(path).map_err(MachineError::from)?;
    let place = replay.target().address_map().bytes(ipa);
    place.map_err(|error| Failure::usage(format!("--ipa {ipa}: {error}")))
}

/// The command that tells the same again.
fn reproducer(args: &cli::Explain) -> Reproducer {
    let source = args.source.to_string_lossy().into_owned();
    let mut words = vec!["explain".to_owned(), source, "--op".to_owned(), args.op.to_string()];
    if args.target != On::default() {
        words.extend(["--target".to_owned(), args.target.to_string()]);
    }
    if let Some(vmlinux) = &args.vmlinux {
        words.extend(["--vmlinux".to_owned(), vmlinux.display().to_string()]);
    }
    if args.mode == Mode::Stream {
        words.extend(["--mode", "stream"].map(str::to_owned));
    }
    words.extend(args.rev.iter().flat_map(|revision| ["--rev".to_owned(), revision.clone()]));
    words.extend(args.machine.iter().flat_map(|keys| ["--machine".to_owned(), keys.clone()]));
    words.extend(args.ipa.iter().flat_map(|ipa| ["--ipa".to_owned(), ipa.to_string()]));
    words.extend(args.sid.into_iter().flat_map(|sid| ["--sid".to_owned(), format!("{sid:#x}")]));
    Reproducer::new(words)
}

/// Builds what `case` needs, and records it into `folder`, up to the operation that `args` name.
fn record(case: &Case, args: &cli::Explain, folder: &Path) -> Result<PathBuf> {
    let cancel = interrupt::token()?;
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let one = std::slice::from_ref(case);
    let backend: Box<dyn Backend> = match args.target.target {
        Target::Hyp if args.rev.is_some() => {
            let revision = args.rev.as_deref().unwrap_or_default();
            Box::new(live::with_events(revision::hypervisor(&root, revision, one, &cancel)?.0, &root)?)
        }
        Target::Hyp => Box::new(live::with_events(live::build(&root, [&case.trace], &cancel)?, &root)?),
        Target::Pkvm => {
            Box::new(target::pkvm_with_events(&args.target, args.vmlinux.as_ref(), &root, &cancel)?)
        }
    };
    explanation::record((&*backend, args.mode), case, args.op, folder)
}
