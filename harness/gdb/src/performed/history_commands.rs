//! `monitor` commands on a live machine.

use std::fmt::Write as _;
use std::time::Duration;

use parallax_addr::ImageVa;
use parallax_engine::event_text;
use parallax_vmsa::mem::read_u64;

use crate::{Lost, Motion};

use super::{Performed, lost};
use crate::commands::{self, Command, HistoryCommand, answer_text};
use crate::history;
use crate::moment::Moment;

/// Limit of an operation that a `monitor` command has performed.
const OPERATION: Duration = Duration::from_secs(30);

impl Performed<'_> {
    /// Performs operations until `performed` of them are done, whatever points there are.
    fn go_to(&mut self, performed: usize) -> Result<String, Lost> {
        if performed < self.steps.len() || (performed == self.steps.len() && self.begun.is_some()) {
            let text = "a live run does not go back; record it (`parallax run TRACE --record FILE.plx`) and debug that";
            return Ok(format!("error: {text}\n"));
        }
        self.all_points('z')?;
        let gone = self.go_on(performed);
        if self.failed.is_none() && gone.is_ok() {
            self.all_points('Z')?;
        }
        gone?;
        Ok(match &self.failed {
            Some(why) => format!("error: {why}\n"),
            None => history::standing(&self.operations, self.steps.len()),
        })
    }

    fn go_on(&mut self, performed: usize) -> Result<(), Lost> {
        while self.steps.len() < performed && self.failed.is_none() {
            if self.begun.is_none() {
                self.begin()?;
            }
            self.motion = Motion::Step { cpu: 0, alone: false };
            let debug = self.debug()?;
            debug.go(None, false).map_err(lost)?;
            let stand = match debug.stopped(OPERATION).map_err(lost)? {
                Some(stand) => stand,
                None => {
                    let stand = debug.halt().map_err(lost)?;
                    self.failed = Some(format!("a hang: the operation is not done within {OPERATION:?}"));
                    stand
                }
            };
            self.judge(&stand)?;
        }
        Ok(())
    }

    /// The command that shows the same findings.
    fn reproducer(&self) -> String {
        format!("parallax run {}", self.file)
    }

    fn difference(&self, line: Option<u64>) -> Result<String, String> {
        let performed = line.map_or(Ok(self.steps.len()), |line| history::after(&self.operations, line))?;
        let Some(index) = performed.checked_sub(1) else {
            return Err("nothing has been performed yet".to_owned());
        };
        let Some((lines, findings)) = self.steps.get(index) else {
            return Err(format!("operation {} has not been performed yet", self.operations[index].line));
        };
        let mut out = format!("{}\n", self.operations[index].shown());
        for line in lines {
            let _ = writeln!(out, "   {line}");
        }
        for finding in findings {
            let _ = writeln!(out, "   {finding}");
        }
        if !findings.is_empty() {
            let _ = writeln!(out, "   reproduce: {}", self.reproducer());
        }
        if lines.is_empty() && findings.is_empty() {
            out.push_str("   nothing\n");
        }
        Ok(out)
    }

    /// Who last stored to the entries that translate an address.
    fn explain(&mut self, text: &str) -> Result<String, String> {
        let registers = self.session.machine_mut().registers().map_err(|error| error.to_string())?;
        let memory = self.session.machine().memory();
        let entries =
            self.states.look(memory, &registers, |state| state.last_entries(state.address(text)?))?;
        let mut out = String::new();
        if self.begun.is_some() {
            out.push_str("(what the operation under way stored is known when it is done)\n");
        }
        for (lane, entry) in entries {
            let value = read_u64(memory, entry).unwrap_or_default();
            let _ = writeln!(out, "{lane:<4} entry at {entry:#x} = {value:#018x}");
            match self.stores.get(&entry.get()) {
                Some(store) => {
                    let _ = writeln!(out, "  stored by {}", self.operations[store.operation].shown());
                    if let Some(symbols) = self.session.machine().symbols() {
                        let _ = writeln!(out, "  at {}", event_text::place(ImageVa::new(store.pc), symbols));
                    }
                }
                None => out.push_str("  no operation stored to it\n"),
            }
        }
        Ok(out)
    }

    /// Does what `command` says.
    pub(super) fn command(&mut self, command: &str) -> Result<String, Lost> {
        let command = match Command::parse(command) {
            Ok(command) => command,
            Err(error) => return Ok(answer_text(Err(error))),
        };
        match command {
            Command::History(HistoryCommand::Ops { all }) => {
                return Ok(history::list(&self.operations, self.steps.len(), all));
            }
            Command::History(HistoryCommand::Go(line)) => {
                return match history::after(&self.operations, line) {
                    Ok(performed) => self.go_to(performed),
                    Err(error) => Ok(answer_text(Err(error))),
                };
            }
            Command::History(HistoryCommand::Diff(line)) => return Ok(answer_text(self.difference(line))),
            Command::History(HistoryCommand::Explain(ipa)) => return Ok(answer_text(self.explain(ipa))),
            _ => {}
        }
        self.ask(0, &[])?;
        let registers = self.session.machine_mut().registers().map_err(lost)?;
        let memory = self.session.machine().memory();
        let performed = self.steps.len();
        let steps = self.steps.iter().map(|(_, found)| &found[..]);
        let found = history::found(&self.operations, std::iter::once(&self.booted[..]).chain(steps));
        let moment = match self.begun.as_ref().and_then(|_| self.operations.get(performed)) {
            Some(under_way) => Moment {
                found,
                when: format!("in the middle of {}, whose end may mend it", under_way.shown()),
                reproducer: format!(
                    "parallax gdb {}, then `op {}` and go on to here",
                    self.file,
                    performed.checked_sub(1).map_or(0, |index| self.operations[index].line)
                ),
            },
            None => Moment {
                found,
                when: history::after_text(&self.operations, performed),
                reproducer: self.reproducer(),
            },
        };
        let mut text = answer_text(
            self.states.look(memory, &registers, |state| commands::on_state(command, state, &moment)),
        );
        if let (Command::Check, Some(why)) = (command, &self.failed) {
            let _ = writeln!(text, "{why}");
        }
        Ok(text)
    }
}
