//! One operation of a trace.

use std::fmt;

use parallax_addr::{AddressMap, Expr, Number, UnknownPlace};

use crate::words::Word;

use parallax_ops::{DmaAccess, Kind, Operation, Outcome, Param, Row, Schedule};

/// An operation to perform. [`fmt::Display`] gives its canonical text, without the expected result: in the word that it was
/// written in, as long as that can say its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Line of the trace, from 1: the operation's name.
    pub line: usize,
    /// The CPU that performs it.
    pub cpu: u64,
    /// The word that it was written in, if it was.
    pub word: Option<&'static Word>,
    /// What to do.
    pub row: &'static Row,
    /// Its arguments, in the order of [`Row::params`], defaults filled in.
    pub args: Vec<Expr>,
    /// What the trace says must come out.
    pub expect: Option<Outcome>,
    /// Of the first of several that are performed at once.
    pub at_once: Option<AtOnce>,
}

/// Operations that are performed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// How many, the first one included.
    pub count: usize,
    /// Which CPU goes on when.
    pub schedule: Schedule,
}

impl Op {
    /// What it is called where it was written.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.word.map_or(self.row.name, |word| word.name)
    }

    /// The argument named `name`, if the operation has one.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<&Expr> {
        self.row.params.iter().zip(&self.args).find(|(param, _)| param.name == name).map(|(_, value)| value)
    }

    /// What it is, with 0 for every argument: enough to tell its kind.
    #[must_use]
    pub fn shape(&self) -> Operation {
        let zeros = vec![0; self.row.params.len()];
        Operation::new(self.row, &zeros).expect("an operation for every row")
    }

    /// Whether it gives a value when it ends well.
    #[must_use]
    pub fn gives_value(&self) -> bool {
        !matches!(
            self.shape(),
            Operation::Dma(DmaAccess::Write { .. }) | Operation::Nop | Operation::Snapshot
        )
    }

    /// What it is on a machine whose places are in `map`.
    ///
    /// # Errors
    /// It names a place that is not there.
    pub fn operation(&self, map: &AddressMap) -> Result<Operation, UnknownPlace> {
        let values = self.values(map)?;
        Ok(Operation::new(self.row, &values).expect("a value for every argument of the row"))
    }

    /// The values of its arguments on a machine whose places are in `map`.
    fn values(&self, map: &AddressMap) -> Result<Vec<u64>, UnknownPlace> {
        let value = |(param, expr): (&Param, &Expr)| match param.kind {
            Kind::Frame => map.frames(expr),
            _ => map.bytes(expr),
        };
        self.row.params.iter().zip(&self.args).map(value).collect()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cpu != 0 {
            write!(f, "cpu={} ", self.cpu)?;
        }
        if let Some(text) = self.word.and_then(|word| word.text(&self.args)) {
            return f.write_str(&text);
        }
        f.write_str(self.row.name)?;
        for (param, value) in self.row.params.iter().zip(&self.args) {
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
