//! What is done between two states: operations of a trace.

use parallax_addr::{Base, Expr, Symbol};
use parallax_ops::{Kind, Operation, Outcome};
use parallax_trace::spec::RAM_BASE;
use parallax_trace::{Op, Trace};

/// An operation, or several that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// What it is counted as.
    pub(super) name: &'static str,
    pub(crate) ops: Vec<Op>,
}

impl Action {
    /// `operation` as a trace has it.
    pub(super) fn of(operation: &Operation) -> Self {
        let (row, values) = operation.spelled();
        let args = row.params.iter().zip(values).map(|(param, value)| expr(param.kind, value)).collect();
        Self {
            name: row.name,
            ops: vec![Op { line: 0, cpu: 0, word: None, row, args, expect: None, at_once: None }],
        }
    }

    /// The operations of `lines` of a trace, with what they expect.
    pub(super) fn parsed(name: &'static str, lines: &str) -> Self {
        let trace = Trace::parse("explore", lines).expect("the lines of this module are well formed");
        Self { name, ops: trace.ops }
    }

    /// Its operations, of which one alone must end with `outcome`. A value that is read may be any.
    pub(super) fn expecting(&self, outcome: &Outcome) -> Vec<Op> {
        match &self.ops[..] {
            [op] if op.expect.is_none() => {
                vec![Op { expect: Some(outcome.clone().without_value()), ..op.clone() }]
            }
            ops => ops.to_vec(),
        }
    }
}

/// An argument: an address of memory by name.
pub(super) fn expr(kind: Kind, value: u64) -> Expr {
    let base = match kind {
        Kind::Frame => RAM_BASE.get() >> 12,
        Kind::Address => RAM_BASE.get(),
        _ => return Expr::number(value),
    };
    match value.checked_sub(base) {
        Some(offset) => Expr { base: Some(Base { symbol: Symbol::Ram, end: false }), offset },
        None => Expr::number(value),
    }
}
