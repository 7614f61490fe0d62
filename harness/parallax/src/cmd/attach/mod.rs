//! `parallax attach`: the tables of a QEMU that somebody else started, whatever runs at EL2 there; and the same between such a
//! QEMU and gdb (`parallax gdb --gdb`).

mod front;
mod look;

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_machine::{Attached, CancellationToken, FailureClass, GdbAddress, MachineError, Monitor, Names};
use parallax_report::{regular, text_diff};

pub(super) use self::front::front;
use self::look::{Look, failure};
use super::output::print;
use crate::cli::{Attach, AttachedMachine};
use crate::interrupt;

/// A file of an earlier look has at most so many bytes.
const MOST: u64 = 64 << 20;

/// What to say when the gdbstub did not confirm that the machine goes on.
const STANDS: &str = "the machine may stand still now: `detach` of a gdb that is connected there lets it go on, or `cont` of QEMU's monitor";

/// Runs it.
pub(super) fn attach(args: &Attach) -> Result<Status> {
    let cancel = interrupt::token()?;
    let gdb = &args.gdb;
    let failure = |error: MachineError| failure(gdb, &error);
    let names = names(gdb, &args.machine)?;
    let before = args.against.as_ref().map(|path| earlier(path)).transpose()?;
    // Before the gdbstub stops it.
    let monitor = args.machine.qmp.as_ref().map(|path| asked(path, &cancel)).transpose()?;
    let stays = monitor.as_ref().is_some_and(|monitor| !monitor.running);
    let mut machine = Attached::to(gdb, stays, &cancel).map_err(failure)?;
    let look = Look {
        gdb,
        machine: &args.machine,
        monitor: monitor.as_ref(),
        names: &names,
        view: args.view,
        at: args.at,
    };
    let looked = look.at(&mut machine);
    // Whatever was found, it goes on.
    if !machine.leave() && !cancel.is_cancelled() {
        tell(&format!("{gdb}: {STANDS}"));
    }
    let looked = looked?;
    let text = looked.tables + &looked.judged;
    if let Some(before) = &before {
        return otherwise(before, &text);
    }
    print(&text)?;
    // Tables that cannot be read are not judged, and that is no good news.
    Ok(match (looked.found, looked.faults) {
        (true, _) => Status::Diverged,
        (false, true) => Status::Setup,
        (false, false) => Status::Same,
    })
}

/// Says `line` on standard error. Where nobody can be told, the machine still has to be looked after.
fn tell(line: &str) {
    let _nobody_hears = writeln!(anstream::stderr(), "{line}");
}

/// The names that --symbols gives, once it is known that somebody may listen at --gdb.
fn names(gdb: &GdbAddress, machine: &AttachedMachine) -> Result<Names, Failure> {
    gdb.check().map_err(|why| Failure::usage(format!("--gdb {gdb}: {why}")))?;
    let names = machine.symbols.as_ref().map(|path| Names::read(path, machine.moved)).transpose();
    Ok(names.map_err(|error| Failure::usage(format!("--symbols {error}")))?.unwrap_or_default())
}

/// What an earlier look printed into the file at `path`.
fn earlier(path: &Path) -> Result<String, Failure> {
    let bytes = regular::read_any(path, MOST).map_err(|error| Failure::file(path.display(), &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("--against {}: no text", path.display())))
}

/// What is not as it was `before`.
fn otherwise(before: &str, now: &str) -> Result<Status> {
    let difference = text_diff::unified(before, now);
    if difference.is_empty() {
        print("as it was\n")?;
        return Ok(Status::Same);
    }
    print(&visible::lines(&difference))?;
    Ok(Status::Diverged)
}

/// What the monitor at `path` says.
fn asked(path: &Path, cancel: &CancellationToken) -> Result<Monitor, Failure> {
    let missing = std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if missing {
        let path = path.display();
        let remedy = format!("QEMU makes it with `-qmp unix:{path},server=on,wait=off`");
        return Err(Failure::usage(format!("--qmp {path}: no such socket; {remedy}")));
    }
    Monitor::ask(path, cancel).map_err(|error| {
        let cancelled = error.class() == FailureClass::Cancelled;
        let status = if cancelled { Status::Interrupted } else { Status::Setup };
        Failure { status, message: format!("the monitor at {}: {error}", path.display()) }
    })
}
