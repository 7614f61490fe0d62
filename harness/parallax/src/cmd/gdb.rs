//! `parallax gdb`: a GDB server on a live run or on a recording.
//!
//! ```text
//! (gdb) watch *(unsigned long *)0x40406100
//! (gdb) reverse-continue
//! Hardware watchpoint 1: *(unsigned long *)0x40406100
//!
//! Old value = 2305843009213693954
//! New value = 0
//! trace () at share.trace:4
//! 4       host_donate_hyp pfn=ram+0x20 nr=4 -> ok
//! ```

use std::path::Path;

use anyhow::Result;
use parallax_engine::live;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_gdb::session::{self, Session};
use parallax_gdb::{Debuggee, Ending, Listener, Performed, Recorded, serve};
use parallax_machine::toolchain::{self, Making, Variant};
use parallax_machine::{Backend, CancellationToken, Machine, MachineError};
use parallax_suite::source::Source;

use super::attach;
use super::output::{print, print_as_it_is};
use crate::cli::Gdb;
use crate::interrupt;

/// What the images are built from.
const SOURCES: [&str; 4] = ["hyp", "Cargo.toml", "Cargo.lock", ".cargo"];

/// Runs it.
pub(super) fn gdb(args: &Gdb) -> Result<Status> {
    let cancel = interrupt::token()?;
    if args.print_gdbinit {
        return gdbinit(&cancel);
    }
    if let Some(gdb) = &args.gdb {
        return attach::front(args, gdb);
    }
    let path = args.source.as_deref().ok_or_else(|| Failure::usage("name a trace or a recording"))?;
    let source = Source::open(path, &[])?;
    if args.debug && matches!(source, Source::Recording(_)) {
        let what = "a recording is of the image that it was made of; --debug wants a trace";
        return Err(Failure::usage(format!("{}: {what}", path.display())).into());
    }
    let listener = Listener::open(args.port, args.socket.as_deref())?;
    let session = Session::new(&listener.name()?)?;
    let server = Server { listener, session, once: args.once, cancel };
    match source {
        Source::Recording(replay) => {
            if replay.target().info.is_none() {
                let what =
                    "a recording of another hypervisor; dump, diff, explain, events and report read it";
                return Err(Failure::usage(format!("{}: {what}", path.display())).into());
            }
            let cancelled = || server.cancel.is_cancelled();
            let mut recorded = Recorded::new(*replay, path.display().to_string(), &cancelled)
                .map_err(|error| Failure::from(MachineError::from(error)))?;
            let program = server.session.program(path, recorded.operations())?;
            let images = recorded.events().then(|| images_of(&recorded, &server.cancel)).flatten();
            server.announce(path, Some(&program), images.as_ref())?;
            // What goes wrong with a recording is the file's fault.
            server.serve(&mut recorded, Status::Usage)
        }
        Source::Trace(case) => {
            if let Some(op) = case.trace.ops.iter().find(|op| op.at_once.is_some()) {
                let path = path.display();
                return Err(Failure::usage(format!(
                    "{path}: the operations from line {} on are performed at once, and a debugger lets the CPUs go itself: \
                     record it (parallax run {path} --record FILE.plx), and look at that",
                    op.line
                ))
                .into());
            }
            let root = project::root(std::slice::from_ref(&case.place.golden))?;
            let making = if args.debug { Making::Debug } else { Making::Whole };
            let (hyp, _) = live::made(&root, [&case.trace], making, &server.cancel)?;
            let hyp = live::with_events(hyp, &root)?;
            let mut machine = hyp.boot(&case.trace.machine).map_err(Failure::from)?;
            let (session, found) =
                parallax_engine::Session::start(machine.as_mut(), None).map_err(Failure::from)?;
            let mut performed = Performed::new(session, &found, &case.trace.ops, path.display().to_string())
                .map_err(Failure::from)?;
            let images = hyp.images_of(&case.trace.machine).map_err(Failure::from)?;
            server.announce(path, None, Some(images))?;
            server.serve(&mut performed, Status::Diverged)
        }
    }
}

/// The images of a recorded machine, where they are still there or this source tree builds them.
fn images_of(recorded: &Recorded, cancel: &CancellationToken) -> Option<toolchain::BuiltImages> {
    let (revision, variant) = (recorded.revision(), recorded.variant());
    let root = project::root(&[]).ok();
    let built = |root: &Path| toolchain::build(root, variant, cancel).ok();
    let images = match (root, recorded.images()) {
        (None, _) => None,
        (Some(root), Some(id)) => built(&root).filter(|images| images.id == id).or_else(|| {
            let kept = toolchain::kept(&root, variant, id)?;
            parallax_engine::note!(
                "the hypervisor's sources are not those of the recording: functions and line numbers are those of what ran, \
                 and the text of a line is what the source tree has there now"
            );
            Some(kept)
        }),
        // The first recordings say no more than the revision.
        (Some(root), None) => Some(root)
            .filter(|root| project::same_sources(root, revision, &SOURCES))
            .and_then(|root| built(&root)),
    };
    if images.is_none() {
        parallax_engine::note!(
            "no symbols of the hypervisor: it was recorded at revision {}; what ran is not what this source tree builds, \
             and no longer kept under target/parallax",
            visible::line(revision)
        );
    }
    images
}

/// Prints the commands that load symbols and printers of the source tree.
fn gdbinit(cancel: &CancellationToken) -> Result<Status> {
    let root = project::root(&[])?;
    let images = toolchain::build(&root, Variant::Normal, cancel);
    let images = images.map_err(|error| Failure::from(MachineError::from(error)))?;
    let printers = root.join("harness/gdb/python/parallax.py");
    print_as_it_is(&session::commands(None, Some(&images), &printers))?;
    Ok(Status::Same)
}

/// The server, between clients.
struct Server {
    listener: Listener,
    session: Session,
    once: bool,
    cancel: CancellationToken,
}

impl Server {
    /// Says how to connect.
    fn announce(
        &self,
        what: &Path,
        program: Option<&Path>,
        images: Option<&toolchain::BuiltImages>,
    ) -> Result<()> {
        let address = self.listener.address()?;
        let commands = self.session.commands(program, images, &address)?;
        let text = format!(
            "{}: waiting for gdb at {address}\nwith symbols: gdb-multiarch -x {}\nin an editor: gdb-multiarch -i dap -x {}, \
             attached to {address}\nwithout:      target remote {address}\n",
            what.display(),
            commands.connected.display(),
            commands.alone.display()
        );
        print(&text)
    }

    /// Serves one client after another; ends with `status` if the debuggee is lost.
    fn serve(&self, debuggee: &mut dyn Debuggee, status: Status) -> Result<Status> {
        let cancelled = || self.cancel.is_cancelled();
        let busy = || {
            if self.listener.turn_away() {
                parallax_engine::note!("a second client was turned away; the first one is still connected");
            }
            cancelled()
        };
        while let Some(wire) = self.listener.next(&cancelled)? {
            let ending =
                serve(wire, debuggee, &busy).map_err(|lost| Failure { status, message: lost.to_string() })?;
            match ending {
                Ending::Killed => return Ok(Status::Same),
                Ending::Cancelled => break,
                Ending::Misunderstood(why) => {
                    parallax_engine::note!("a client sent what is not understood: {}", visible::line(&why))
                }
                Ending::Detached | Ending::Gone => {}
            }
            if self.once {
                return Ok(Status::Same);
            }
        }
        Ok(Status::Interrupted)
    }
}
