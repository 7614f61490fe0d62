//! Writing: from [`Event`]s to text.

use std::fmt::Write;

use super::sexp::escape;
use crate::event::{Barrier, Event, Kind};

/// How fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `(lock (id 1) (tid 0) (address 0x10) (src "x.c:1"))`
    Named,
    /// `(lock 1 0 "x.c:1" 0x10)`
    Condensed,
}

/// Appends one event and the end of its line to `out`. `source` is its `src`, as `FILE:LINE`.
///
/// Casemate has no word for what this crate knows beyond it: SMMU registers and commands, exception entry and
/// return, operation marks and reads of ID registers are written as `smmu-write`, `smmu-read`, `smmu-command`,
/// `smmu-synced`, `enter`, `return`, `op`, `touch`, `smc`, `gic-write`, `gic-read` and `sysreg-read`, hints beyond its own tell of memory other than tables. With
/// `extended` false they are left out, as are stores of less than 8 bytes, and DMB. Casemate wants more of a text than
/// that: see [`super::plain()`].
pub fn write(out: &mut String, event: &Event, source: Option<&str>, form: Form, extended: bool) {
    let mut line = Line { out, form };
    let known = match event.kind {
        Kind::Store { size, .. } => size == 8,
        Kind::Barrier(Barrier::Dmb(_))
        | Kind::Dc { .. }
        | Kind::Smc { .. }
        | Kind::Touch { .. }
        | Kind::SysregRead { .. }
        | Kind::SmmuWrite { .. }
        | Kind::SmmuRead { .. }
        | Kind::GicWrite { .. }
        | Kind::GicRead { .. }
        | Kind::Command(_)
        | Kind::Synced
        | Kind::Enter
        | Kind::Return
        | Kind::Op { .. } => extended,
        Kind::Hint { kind, .. } => extended || kind.is_plain(),
        _ => true,
    };
    if !known {
        return;
    }
    line.begin(event, source);
    fields(&mut line, event.kind);
    line.end(source);
}

fn fields(line: &mut Line<'_>, kind: Kind) {
    match kind {
        Kind::Store { pa, value, release, .. } => {
            line.word("mem-order", if release { "release" } else { "plain" });
            line.hex("address", pa.get());
            line.hex("value", value);
        }
        Kind::Load { pa, value } => {
            line.hex("address", pa.get());
            line.hex("value", value);
        }
        Kind::Touch { pa } => line.hex("address", pa.get()),
        Kind::MemInit { pa, size } | Kind::MemFree { pa, size } => {
            line.hex("address", pa.get());
            line.hex("size", size);
        }
        Kind::MemSet { pa, size, value } => {
            line.hex("address", pa.get());
            line.hex("size", u64::from(size));
            line.hex("value", u64::from(value));
        }
        Kind::Barrier(barrier) => match barrier {
            Barrier::Isb => line.flag("isb"),
            Barrier::Dsb(option) => {
                line.flag("dsb");
                line.word("kind", option.name());
            }
            Barrier::Dmb(option) => {
                line.flag("dmb");
                line.word("kind", option.name());
            }
        },
        Kind::Tlbi { op, operand } => {
            line.flag(op.name());
            if op.has_operand() {
                line.hex("value", operand);
            }
        }
        Kind::Dc { op, operand } => {
            line.flag(op.name());
            line.hex("value", operand);
        }
        Kind::Smc { function, entry, context } => {
            line.hex("function", function.into());
            line.hex("entry", entry);
            line.hex("context", context);
        }
        Kind::SysregWrite { reg, value } | Kind::SysregRead { reg, value } => {
            line.word("sysreg", reg.name());
            line.hex("value", value);
        }
        Kind::SmmuWrite { offset, size, value } | Kind::SmmuRead { offset, size, value } => {
            line.hex("offset", u64::from(offset));
            line.hex("size", u64::from(size));
            line.hex("value", value);
        }
        Kind::GicWrite { register, frame, value } | Kind::GicRead { register, frame, value } => {
            line.word("register", register.name());
            line.hex("frame", frame.get());
            line.hex("value", value);
        }
        Kind::Command([low, high]) => {
            line.hex("low", low);
            line.hex("high", high);
        }
        Kind::Lock { address } | Kind::Trylock { address } | Kind::Unlock { address } => {
            line.hex("address", address);
        }
        Kind::Op { number } => line.hex("number", number),
        Kind::Hint { kind, location, value } => {
            line.word("kind", kind.name());
            line.hex("location", location);
            line.hex("value", value);
        }
        Kind::Synced | Kind::Enter | Kind::Return => {}
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Store { .. } => "mem-write",
        Kind::Load { .. } => "mem-read",
        Kind::Touch { .. } => "touch",
        Kind::MemInit { .. } => "mem-init",
        Kind::MemFree { .. } => "mem-free",
        Kind::MemSet { .. } => "mem-set",
        Kind::Barrier(_) => "barrier",
        Kind::Tlbi { .. } => "tlbi",
        Kind::Dc { .. } => "dc",
        Kind::Smc { .. } => "smc",
        Kind::SysregWrite { .. } => "sysreg-write",
        Kind::SysregRead { .. } => "sysreg-read",
        Kind::SmmuWrite { .. } => "smmu-write",
        Kind::SmmuRead { .. } => "smmu-read",
        Kind::GicWrite { .. } => "gic-write",
        Kind::GicRead { .. } => "gic-read",
        Kind::Command(_) => "smmu-command",
        Kind::Synced => "smmu-synced",
        Kind::Lock { .. } => "lock",
        Kind::Trylock { .. } => "trylock",
        Kind::Unlock { .. } => "unlock",
        Kind::Enter => "enter",
        Kind::Return => "return",
        Kind::Op { .. } => "op",
        Kind::Hint { .. } => "hint",
    }
}

/// A line under construction. Writing to a string cannot fail, so the results are let go.
struct Line<'o> {
    out: &'o mut String,
    form: Form,
}

impl Line<'_> {
    fn begin(&mut self, event: &Event, source: Option<&str>) {
        let (name, id, tid) = (name(event.kind), event.seq, event.cpu);
        let _ = match (self.form, source) {
            (Form::Named, _) => write!(self.out, "({name} (id {id}) (tid {tid})"),
            (Form::Condensed, None) => write!(self.out, "({name} {id} {tid}"),
            (Form::Condensed, Some(source)) => write!(self.out, "({name} {id} {tid} {}", escape(source)),
        };
    }

    fn flag(&mut self, word: &str) {
        let _ = write!(self.out, " {word}");
    }

    fn word(&mut self, name: &str, word: &str) {
        let _ = match self.form {
            Form::Named => write!(self.out, " ({name} {word})"),
            Form::Condensed => write!(self.out, " {word}"),
        };
    }

    fn hex(&mut self, name: &str, value: u64) {
        let _ = match self.form {
            Form::Named => write!(self.out, " ({name} {value:#x})"),
            Form::Condensed => write!(self.out, " {value:#x}"),
        };
    }

    fn end(&mut self, source: Option<&str>) {
        let _ = match (self.form, source) {
            (Form::Named, Some(source)) => writeln!(self.out, " (src {}))", escape(source)),
            _ => writeln!(self.out, ")"),
        };
    }
}
