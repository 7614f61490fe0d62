//! `monitor` commands on a recording.

use std::fmt::Write as _;

use parallax_machine::Machine;
use parallax_machine::recording::{RecordingError, Replay, Search};
use parallax_model::canonical::Canonical;
use parallax_model::{BlockSize, Delta, View, state_lines};

use super::Recorded;
use crate::commands::{self, Command, HistoryCommand};
use crate::history;
use crate::moment::Moment;

impl Recorded {
    fn history(&mut self, command: HistoryCommand<'_>) -> Result<String, String> {
        let at = self.position();
        if matches!(command, HistoryCommand::Go(_)) {
            self.inside = None;
        }
        let text = |error: RecordingError| error.to_string();
        match command {
            HistoryCommand::Ops { all } => Ok(history::list(&self.operations, at as usize, all)),
            HistoryCommand::Go(line) => {
                let performed = history::after(&self.operations, line)?;
                self.replay.go_to(performed as u64).map_err(text)?;
                Ok(history::standing(&self.operations, performed))
            }
            HistoryCommand::Diff(line) => {
                let performed =
                    line.map_or(Ok(at as usize), |line| history::after(&self.operations, line))?;
                let shown = self.difference(performed as u64);
                self.replay.go_to(at).map_err(text)?;
                shown
            }
            HistoryCommand::Explain(ipa) => {
                let explanation = self.explain(ipa);
                self.replay.go_to(at).map_err(text)?;
                explanation
            }
        }
    }

    /// What operation number `performed` changed.
    fn difference(&mut self, performed: u64) -> Result<String, String> {
        let go = |replay: &mut Replay, op| replay.go_to(op).map_err(|error| error.to_string());
        let mut out = String::new();
        let before = match performed.checked_sub(1) {
            Some(before) => {
                go(&mut self.replay, before)?;
                let snapshot = self.now()?;
                Some(Canonical::of(&snapshot, BlockSize::Shown))
            }
            None => None,
        };
        go(&mut self.replay, performed)?;
        let snapshot = self.now()?;
        let symbols = self.states.symbols();
        let lines = match before {
            Some(before) => {
                let _ = writeln!(out, "{}", self.operations[performed as usize - 1].shown());
                Delta::of(&before, &Canonical::of(&snapshot, BlockSize::Shown)).lines(symbols, View::All)
            }
            None => {
                out.push_str("0: boot\n");
                state_lines(&snapshot, symbols, View::All, BlockSize::Shown)
            }
        };
        for line in &lines {
            let _ = writeln!(out, "   {line}");
        }
        let found = self.found.get(performed as usize).map_or(&[][..], Vec::as_slice);
        for finding in found {
            let _ = writeln!(out, "   {finding}");
        }
        if lines.is_empty() && found.is_empty() {
            out.push_str("   nothing\n");
        }
        Ok(out)
    }

    /// Which operations last changed the entries that translate an address.
    fn explain(&mut self, ipa: &str) -> Result<String, String> {
        let at = self.position();
        let entries = self.look(|state| state.last_entries(state.address(ipa)?))?;
        let mut out = String::new();
        for (lane, entry) in entries {
            let value = |replay: &Replay| {
                parallax_vmsa::mem::read_u64(replay.memory(), entry)
                    .map_or_else(|_| "not recorded".to_owned(), |value| format!("{value:#018x}"))
            };
            let mut search = Search::back(vec![(entry, 8)], at, 0);
            let mut change = None;
            while change.is_none() && !search.done() {
                change = search.stretch(&mut self.replay).map_err(|error| error.to_string())?;
            }
            let _ = writeln!(out, "{lane:<4} entry at {entry:#x}");
            match change {
                Some(change) => {
                    let _ = writeln!(out, "  changed by {}", self.operations[change.op as usize - 1].shown());
                    self.replay.go_to(change.op - 1).map_err(|error| error.to_string())?;
                    let before = value(&self.replay);
                    self.replay.go_to(change.op).map_err(|error| error.to_string())?;
                    let _ = writeln!(out, "  {before} -> {}", value(&self.replay));
                }
                None => out.push_str("  as the boot left it\n"),
            }
        }
        Ok(out)
    }

    /// Does what `command` says.
    pub(super) fn command(&mut self, command: &str) -> Result<String, String> {
        match Command::parse(command)? {
            Command::History(command) => self.history(command),
            command => {
                let performed = self.position() as usize;
                let line = performed.checked_sub(1).map_or(0, |index| self.operations[index].line);
                let found = self.found.iter().take(performed + 1).map(Vec::as_slice);
                let moment = Moment {
                    found: history::found(&self.operations, found),
                    when: history::after_text(&self.operations, performed),
                    reproducer: format!("parallax gdb {}, then `op {line}` and `check`", self.file),
                };
                self.look(|state| commands::on_state(command, state, &moment))
            }
        }
    }
}
