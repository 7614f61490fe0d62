//! `parallax gdb --gdb`: between gdb and a QEMU that somebody else started. gdb has all that QEMU's gdbstub has, and looks at tables besides.

use anyhow::Result;
use clap::ValueEnum;
use parallax_engine::status::{Failure, Status};
use parallax_engine::visible;
use parallax_gdb::Listener;
use parallax_machine::{Answers, Attached, CancellationToken, Debugger, GdbAddress, Left, Names};
use parallax_report::text_diff;

use super::look::{Look, Looked, failure};
use super::{asked, names, tell};
use crate::cli::{AttachedMachine, AttachedView, Gdb, attach};
use crate::cmd::output::print;
use crate::interrupt;

/// What `monitor help` says.
const HELP: &str = "\
tables [VIEW]   what a look shows, or a part of it: both, cpu, smmu, el2, all, raw
at ADDRESS      how each table translates this input address, entry by entry
check           whether the host's CPUs or devices reach a page that a table stands in
diff            what is otherwise than at the last `diff`; the first one remembers
help            these lines

Anything else is a command of QEMU's monitor; `monitor ?` lists those.
";

/// What the user is told when gdb has gone without letting the machine go on.
const STANDS: &str = "the machine stands still, as it does where gdb leaves QEMU itself so: `detach` first, or `cont` of QEMU's monitor";

/// Serves one gdb after another.
pub(in crate::cmd) fn front(args: &Gdb, gdb: &GdbAddress) -> Result<Status> {
    let cancel = interrupt::token()?;
    let machine = &args.attached;
    let names = names(gdb, machine)?;
    let listener = Listener::open(args.port, args.socket.as_deref())?;
    let address = listener.address()?;
    print(&format!(
        "{gdb}: waiting for gdb at {address}\n(gdb) target remote {address}\n(gdb) monitor help\n"
    ))?;
    let cancelled = || cancel.is_cancelled();
    while let Some(wire) = listener.next(&cancelled)? {
        let status = serve((gdb, machine, &names), wire.into_debugger(), &listener, &cancel);
        if let Err(failure) = &status {
            tell(&failure.message);
        }
        if args.once {
            return Ok(status.unwrap_or_else(|failure| failure.status));
        }
    }
    Ok(Status::Interrupted)
}

/// Serves one gdb. QEMU's gdbstub is connected to as long as gdb is there.
fn serve(
    (gdb, machine, names): (&GdbAddress, &AttachedMachine, &Names),
    debugger: Debugger,
    listener: &Listener,
    cancel: &CancellationToken,
) -> Result<Status, Failure> {
    let told = |error| failure(gdb, &error);
    let mut looks = Looks { gdb, machine, names, cancel, before: None };
    let idle = || {
        if listener.turn_away() {
            tell("a second client was turned away; the first one is still connected");
        }
    };
    match Attached::between(gdb, debugger, cancel, &mut looks, &idle).map_err(told)? {
        Left::Done | Left::Running => {}
        Left::Standing => tell(&format!("gdb is gone; {STANDS}")),
        Left::Misunderstood(why) => {
            tell(&format!("a client sent what is not understood: {}; {STANDS}", visible::line(&why)));
        }
        Left::NoDebugger(why) => {
            tell(&format!("a client sent what is not understood: {}", visible::line(&why)));
        }
        Left::Cancelled => {
            tell(&format!("if gdb had stopped the machine, {STANDS}"));
            return Ok(Status::Interrupted);
        }
    }
    Ok(Status::Same)
}

/// What gdb may ask for.
struct Looks<'a> {
    gdb: &'a GdbAddress,
    machine: &'a AttachedMachine,
    names: &'a Names,
    cancel: &'a CancellationToken,
    /// What the last `diff` showed of the tables.
    before: Option<String>,
}

impl Answers for Looks<'_> {
    fn knows(&self, command: &str) -> bool {
        matches!(command.split_whitespace().next(), Some("tables" | "at" | "check" | "diff"))
            || command.trim() == "help"
    }

    fn answer(&mut self, stub: &mut Attached, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let text = match words[..] {
            ["help"] => Ok(HELP.to_owned()),
            ["tables"] => {
                self.look(stub, AttachedView::All, None).map(|looked| looked.tables + &looked.judged)
            }
            ["tables", view] => self.tables(stub, view),
            ["at", address] => match attach::number(address) {
                Ok(at) => self.look(stub, AttachedView::All, Some(at)).map(|looked| looked.tables),
                Err(wanted) => Err(format!("{address}: {wanted}, such as 0x40200000")),
            },
            ["check"] => self.look(stub, AttachedView::All, None).map(|looked| judged(&looked)),
            ["diff"] => self.diff(stub),
            _ => Err(format!("usage:\n{HELP}")),
        };
        visible::lines(&text.unwrap_or_else(|error| format!("error: {error}\n")))
    }
}

impl Looks<'_> {
    /// A look. QEMU's monitor is asked anew each time: it says how the machine is now.
    fn look(&self, stub: &mut Attached, view: AttachedView, at: Option<u64>) -> Result<Looked, String> {
        let told = |failure: Failure| failure.message;
        let Self { gdb, machine, names, cancel, .. } = self;
        let monitor = machine.qmp.as_ref().map(|path| asked(path, cancel)).transpose().map_err(told)?;
        stub.know().map_err(|error| told(failure(gdb, &error)))?;
        Look { gdb, machine, monitor: monitor.as_ref(), names, view, at }.at(stub).map_err(told)
    }

    fn tables(&self, stub: &mut Attached, view: &str) -> Result<String, String> {
        match AttachedView::from_str(view, false) {
            Err(_) if view == "guest" => {
                Err("where another hypervisor keeps its virtual machines is not known here".to_owned())
            }
            Ok(view) => Ok(self.look(stub, view, None)?.tables),
            Err(_) => Err(format!("there is no view {view}\n{HELP}")),
        }
    }

    fn diff(&mut self, stub: &mut Attached) -> Result<String, String> {
        let looked = self.look(stub, AttachedView::All, None)?;
        let now = looked.tables + &looked.judged;
        let before = self.before.replace(now.clone());
        Ok(match before.map(|before| text_diff::unified(&before, &now)) {
            None => {
                "this is the first look; the next `monitor diff` shows what is otherwise then\n".to_owned()
            }
            Some(same) if same.is_empty() => "as it was\n".to_owned(),
            Some(difference) => difference,
        })
    }
}

/// What is found, in words where nothing is.
fn judged(looked: &Looked) -> String {
    let pages = looked.pages;
    let all = match (looked.found, looked.faults) {
        (false, false) => "nothing found: ",
        (false, true) => "not all could be read: ",
        (true, _) => "",
    };
    format!("{}{all}{pages} pages of tables were looked at\n", looked.judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(judged: &str, found: bool, faults: bool) -> Looked {
        Looked { tables: String::new(), judged: judged.to_owned(), found, faults, pages: 3 }
    }

    #[test]
    fn what_could_not_be_read_is_not_called_in_order() {
        assert_eq!(judged(&looked("", false, false)), "nothing found: 3 pages of tables were looked at\n");
        let found = judged(&looked("! isolation/reachable\n", true, false));
        assert_eq!(found, "! isolation/reachable\n3 pages of tables were looked at\n");
        let unread = judged(&looked("cannot be read: x\n", false, true));
        assert!(unread.ends_with("not all could be read: 3 pages of tables were looked at\n"), "{unread}");
    }
}
