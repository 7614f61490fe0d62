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

use crate::canonical;
use crate::context::Context;
use crate::finding::{Check, Finding, Space};
use crate::lane::{self, Lane};
use crate::run;
use crate::snapshot::Snapshot;
use crate::span::Span;

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
    check: Check,
    snapshot: &'a Snapshot,
    context: &'a Context,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    const fn new(check: Check, snapshot: &'a Snapshot, context: &'a Context) -> Self {
        Self { check, snapshot, context, list: Vec::new() }
    }

    /// Something wrong at `span` of `space`, with what each side says at its first address.
    fn add(&mut self, rule: &'static str, space: Space, span: Span, message: &str) {
        let views = views(self.snapshot, self.context, space, span.base);
        if let Some(last) = self.list.last_mut()
            && (last.rule, last.space, last.message.as_str()) == (rule, space, message)
            && last.span.end() == span.base
            && last.views == views
            && !span.is_empty()
        {
            last.span.size += span.size;
            last.subject = subject(self.snapshot, self.context, space, last.span);
            return;
        }
        let subject = subject(self.snapshot, self.context, space, span);
        self.list.push(Finding {
            check: self.check,
            rule,
            space,
            span,
            subject,
            message: message.to_owned(),
            views,
        });
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

/// What both tables and the page-state array say at one address.
pub fn views(snapshot: &Snapshot, context: &Context, space: Space, at: u64) -> Vec<(&'static str, String)> {
    let symbols = &context.symbols;
    let nothing = || "unmapped".to_owned();
    let page = |pa| run::find(&snapshot.pages, pa).map(|run| ("page", lane::page_state(&run.value)));
    match space {
        Space::Cpu | Space::Smmu | Space::Page => {
            let cpu = run::find(&snapshot.cpu, at)
                .map_or_else(nothing, |run| lane::s2_entry(&run.value, at, Lane::Cpu, symbols));
            let mut views = vec![("cpu", cpu)];
            for table in snapshot.smmu.iter().flat_map(|smmu| &smmu.tables) {
                let smmu = run::find(&table.entries, at)
                    .map_or_else(nothing, |run| lane::s2_entry(&run.value, at, Lane::Smmu, symbols));
                views.push(("smmu", smmu));
            }
            views.extend(page(at));
            views
        }
        Space::El2 => run::find(&snapshot.el2, at).map_or_else(Vec::new, |run| {
            let span = Span::new(at, 1);
            let mut views =
                vec![("el2", canonical::el2_entry(&run.value, span, &snapshot.layout, symbols).1)];
            views.extend(run.value.leaf().and_then(|leaf| page(leaf.output(at))));
            views
        }),
        Space::Ste => run::find(snapshot.smmu.as_ref().map_or(&[][..], |smmu| &smmu.streams), at)
            .map_or_else(|| vec![("ste", "V=0".to_owned())], |run| vec![("ste", lane::stream(&run.value))]),
        Space::Regs => Vec::new(),
    }
}
