//! `parallax explain`: who wrote an entry, with what, and what invalidation followed.
//!
//! ```text
//! smmu L3 ram+0x20000..+0x21000
//!   was 0x00000000400207ff  maps 0x40020000, RWX Normal-WB ISH
//!   now 0x0000000000000000  empty
//!   by  cpu0, <Tree>::replace (hyp/core/src/pgtable/tree.rs:232)
//! then  cpu0 CMD_TLBI_S2_IPA VMID=0x0 Address=0x40020000
//! ```
//!
//! A trace is performed and recorded first, so that there is one way to tell it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::Boot;
use parallax_engine::Reproducer;
use parallax_engine::Session;
use parallax_engine::live::LiveBoot;
use parallax_engine::project;
use parallax_engine::recorded;
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::recording::{RecordedFinding, Recorder, Replay};
use parallax_report::explain::{self, Wanted};
use parallax_suite::cases::Case;
use parallax_suite::source::Source;

use super::print;
use crate::cli;
use crate::interrupt;

/// Runs it.
pub(super) fn explain(args: &cli::Explain) -> Result<Status> {
    let folder = tempfile::tempdir()?;
    let path = match Source::open(&args.source, &[])? {
        Source::Recording(_) => args.source.clone(),
        Source::Trace(case) => record(&case, args.op, folder.path())?,
    };
    let told = text(&path, args)?;
    let found: String = told.findings.iter().map(|finding| format!("found {finding}\n")).collect();
    let found = if found.is_empty() { found } else { format!("\n{found}reproduce: {}\n", again(args)) };
    print(&(told.story + &found))?;
    Ok(Status::Same)
}

/// The command that tells the same again.
fn again(args: &cli::Explain) -> Reproducer {
    let source = args.source.to_string_lossy().into_owned();
    let mut words = vec!["explain".to_owned(), source, "--op".to_owned(), args.op.to_string()];
    words.extend(args.ipa.into_iter().flat_map(|ipa| ["--ipa".to_owned(), format!("{ipa:#x}")]));
    words.extend(args.sid.into_iter().flat_map(|sid| ["--sid".to_owned(), format!("{sid:#x}")]));
    Reproducer::new(words)
}

/// Builds what `case` needs, and records it into `folder`, up to the operation in line `op`.
fn record(case: &Case, op: usize, folder: &Path) -> Result<PathBuf> {
    let cancel = interrupt::token()?;
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    let boot = LiveBoot::build(&root, [&case.trace], &cancel)?.with_events(&root)?;
    record_on(&boot, case, op, folder)
}

/// The story of the operation in line `args.op` of `case` on a machine that `boot` boots with the plugin.
pub(super) fn story(boot: &LiveBoot, case: &Case, args: &cli::Explain) -> Result<String> {
    let folder = tempfile::tempdir()?;
    Ok(text(&record_on(boot, case, args.op, folder.path())?, args)?.story)
}

/// Records `case` into `folder`, up to the operation in line `op`.
fn record_on(boot: &LiveBoot, case: &Case, op: usize, folder: &Path) -> Result<PathBuf> {
    let ops = &case.trace.ops;
    let last = ops.iter().position(|known| known.line == op).ok_or_else(|| unknown(op))?;
    let mut machine = boot.boot(&case.trace).map_err(Failure::from)?;
    let path = folder.join("trace.plx");
    let recorder = Recorder::create(&path, boot.revision(), machine.target())?;
    let (mut session, _) = Session::start(machine.as_mut(), Some(recorder)).map_err(Failure::from)?;
    for op in &ops[..=last] {
        session.step(op).map_err(Failure::from)?;
    }
    session.finish().map_err(Failure::from)?;
    Ok(path)
}

/// What is told of an operation.
struct Told {
    story: String,
    /// What was found after it.
    findings: Vec<RecordedFinding>,
}

/// The story of the operation in line `args.op` of the recording at `path`.
fn text(path: &Path, args: &cli::Explain) -> Result<Told> {
    let open = || Replay::open(path).map_err(MachineError::from).map_err(Failure::from);
    let (mut before, mut after) = (open()?, open()?);
    let mut found = false;
    while !found && after.step()? {
        found = after.operation().line as usize == args.op;
    }
    if !found {
        return Err(unknown(args.op).into());
    }
    if after.operation().events.is_empty() {
        let path = args.source.display();
        return Err(Failure::usage(format!(
            "{path}: recorded without the plugin: record it again (parallax run TRACE --record {path})"
        ))
        .into());
    }
    let story = explain::story(&mut before, &mut after, Wanted { ipa: args.ipa, sid: args.sid })?;
    let operation = after.operation();
    let result = recorded::result(operation);
    let story = format!(
        "{}: {} -> {result}
{story}",
        operation.line, operation.text
    );
    Ok(Told { story, findings: operation.findings.clone() })
}

fn unknown(op: usize) -> Failure {
    Failure::usage(format!("no operation in line {op}"))
}
