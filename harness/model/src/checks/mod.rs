//! What must hold in every state, one file a check.
//!
//! Each check takes a snapshot and the [`Context`] and gives its findings in a fixed order. A run goes on after a
//! finding; [`crate::Reporter`] sees to it that each site is reported once.

pub mod access;
pub mod isolation;
pub mod ownership;
pub mod sanity;
pub mod sync;
#[cfg(test)]
mod tests;

use parallax_addr::Span;

use crate::canonical;
use crate::check::Space;
use crate::context::Context;
use crate::finding::{Finding, Violation};
use crate::rule::Rule;
use crate::run;
use crate::snapshot::Snapshot;

/// Checks 1 to 3 and the sanity of mappings.
#[must_use]
pub fn check(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = sync::check(snapshot, context);
    findings.extend(isolation::check(snapshot, context));
    findings.extend(ownership::check(snapshot, context));
    findings.extend(sanity::check(snapshot, context));
    findings
}

/// Collects the findings of one check; neighbours that differ only in their address become one.
struct Findings<'a> {
    snapshot: &'a Snapshot,
    context: &'a Context,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    const fn new(snapshot: &'a Snapshot, context: &'a Context) -> Self {
        Self { snapshot, context, list: Vec::new() }
    }

    /// Something wrong at `span` of `space`, with what each side says at its first address.
    fn add(&mut self, rule: Rule, space: Space, span: Span, message: &str) {
        let subject = |span| subject(self.snapshot, self.context, space, span);
        let (name, message) = (subject(span), message.to_owned());
        let violation = Violation { rule, space, span, subject: name, message, function: None };
        let finding = violation.in_state(self.snapshot, self.context);
        if !self.list.last_mut().is_some_and(|last| last.join(&finding, subject)) {
            self.list.push(finding);
        }
    }
}

fn subject(snapshot: &Snapshot, context: &Context, space: Space, span: Span) -> String {
    match space {
        Space::Cpu | Space::Smmu | Space::Page => context.symbols.span(span),
        Space::El2 => match run::find(&snapshot.el2, span.base) {
            Some(run) => canonical::el2_entry(&run.value, span, &snapshot.layout, &context.symbols).0,
            None => format!("{:#x}..{:#x}", span.base, span.end()),
        },
        Space::Ste => canonical::stream_ids(span),
        Space::Regs => String::new(),
    }
}
