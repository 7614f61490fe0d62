//! One operation of a trace.

use std::fmt;

use super::expr::{Expr, Number};
use super::outcome::Outcome;
use super::verb::{Kind, Verb};

/// An operation to perform. [`fmt::Display`] gives its canonical text, without the expected result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Line of the trace, from 1: the operation's name.
    pub line: usize,
    /// The CPU that performs it.
    pub cpu: u64,
    /// What to do.
    pub verb: &'static Verb,
    /// Its arguments, in the order of [`Verb::params`], defaults filled in.
    pub args: Vec<Expr>,
    /// What the trace says must come out.
    pub expect: Option<Outcome>,
}

impl Op {
    /// The argument named `name`, if the operation has one.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<&Expr> {
        self.verb.params.iter().zip(&self.args).find(|(param, _)| param.name == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cpu != 0 {
            write!(f, "cpu={} ", self.cpu)?;
        }
        f.write_str(self.verb.name)?;
        for (param, value) in self.verb.params.iter().zip(&self.args) {
            if param.default.is_some_and(|default| *value == Expr::number(default)) {
                continue;
            }
            let decimal = matches!(param.kind, Kind::Count | Kind::Size | Kind::Length | Kind::Stream);
            match value {
                Expr { base: None, offset } if decimal && *offset < 1 << 20 => {
                    write!(f, " {}={offset}", param.name)?;
                }
                Expr { base: None, offset } => write!(f, " {}={}", param.name, Number(*offset))?,
                symbolic => write!(f, " {}={symbolic}", param.name)?,
            }
        }
        Ok(())
    }
}
