//! Places of a machine, as the traces know them.

use parallax_addr::{Expr, Symbol};

use crate::error::Problem;
use crate::spec;
use crate::syntax::{Token, parse_expr};

/// A number, or a place of a machine as the traces know them.
pub(crate) fn place(value: &Token<'_>) -> Result<Expr, Problem> {
    let expr = parse_expr(value)?;
    match expr.base.as_ref().map(|base| &base.symbol) {
        Some(Symbol::Mmio(name)) if spec::device(name).is_none() => {
            let expected = format!("a device: one of {}", spec::device_names());
            Err(Problem::new(value.span.clone(), format!("`{}`", value.text), expected))
        }
        _ => Ok(expr),
    }
}
