//! The findings of one check.

use std::collections::BTreeMap;

use parallax_addr::{HypVa, PhysAddr, Point, Span};

use crate::canonical;
use crate::check::Space;
use crate::context::Context;
use crate::finding::{Finding, Violation};
use crate::freedom::Freedom;
use crate::leaf::S2Leaf;
use crate::rule::Rule;
use crate::run;
use crate::snapshot::{Cpu, Snapshot};
use crate::views::Views;

/// Collects the findings of one check; neighbours that differ only in their address become one, also where findings of
/// another rule come between them.
pub(super) struct Findings<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) context: &'a Context,
    pub(super) list: Vec<Finding>,
    /// Where the last one of each rule and space stands.
    last: BTreeMap<(Rule, Space), usize>,
}

impl<'a> Findings<'a> {
    pub(super) const fn new(snapshot: &'a Snapshot, context: &'a Context) -> Self {
        Self { snapshot, context, list: Vec::new(), last: BTreeMap::new() }
    }

    /// Whether a hypervisor that may let the host read its code does no more than that with `part`, which `leaf` maps.
    pub(super) fn is_readable_code(&self, leaf: &S2Leaf, part: Span<PhysAddr>) -> bool {
        let read_only = !leaf.write && !leaf.exec().el1() && !leaf.exec().el0();
        let code = || self.snapshot.layout.image.intersect(part) == Some(part);
        read_only && self.context.freedoms.allow(Freedom::ReadableCode) && code()
    }

    /// Something wrong with what registers say.
    pub(super) fn add_of_registers(&mut self, rule: Rule, message: &str) {
        self.add(rule, Space::Regs, Span::<u64>::default(), message);
    }

    /// Something wrong with what the registers of `cpu` say.
    pub(super) fn add_of_cpu(&mut self, rule: Rule, cpu: &Cpu, message: &str) {
        let message = format!("CPU {}: {message}", cpu.number);
        let (space, span, subject) = (Space::Regs, Span::default(), String::new());
        let violation = Violation { rule, space, span, subject, message, function: None };
        let views = Views::of_cpu(self.snapshot, self.context, &cpu.control);
        self.list.push(violation.with_views(None, views));
    }

    /// Something wrong at `span` of `space`, with what each side says at its first address.
    pub(super) fn add(&mut self, rule: Rule, space: Space, span: Span<impl Point>, message: &str) {
        let span: Span = span.cast();
        let subject = |span| subject(self.snapshot, self.context, space, span);
        let (name, message) = (subject(span), message.to_owned());
        let violation = Violation { rule, space, span, subject: name, message, function: None };
        let finding = violation.in_state(self.snapshot, self.context);
        let last = self.last.get(&(rule, space)).and_then(|index| self.list.get_mut(*index));
        if !last.is_some_and(|last| last.join(&finding, subject)) {
            self.last.insert((rule, space), self.list.len());
            self.list.push(finding);
        }
    }

    /// One thing wrong, in `parts` of `space` or all of it from the first of them to the last; nothing without any. Parts
    /// are in order.
    pub(super) fn add_once<A: Point>(
        &mut self,
        rule: Rule,
        space: Space,
        mut parts: impl Iterator<Item = Span<A>>,
        message: &str,
    ) {
        let Some(first) = parts.next() else { return };
        let end = parts.last().map_or(first.end(), |last| last.end());
        self.add(rule, space, Span::between(first.base, end), message);
    }
}

fn subject(snapshot: &Snapshot, context: &Context, space: Space, span: Span) -> String {
    match space {
        Space::Cpu | Space::Smmu | Space::Page => context.symbols.span(span.cast::<PhysAddr>()),
        Space::El2 => match run::find(snapshot.el2(), HypVa::new(span.base)) {
            Some(run) => canonical::el2_entry(&run.value, span.cast(), &snapshot.layout, &context.symbols).0,
            None => format!("{:#x}..{:#x}", span.base, span.end()),
        },
        Space::Ste => canonical::stream_ids(span),
        Space::Regs => String::new(),
    }
}
