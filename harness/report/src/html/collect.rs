//! Reads a recording for the page.

use parallax_addr::{Ipa, Point};
use parallax_engine::Observer;
use parallax_engine::recorded;
use parallax_engine::status::Failure;
use parallax_engine::visible;
use parallax_machine::recording::RecordedFinding;
use parallax_machine::{Machine, MachineError};
use parallax_model::canonical::Canonical;
use parallax_model::delta::Changes;
use parallax_model::lane::{self, Lane};
use parallax_model::page::Ownership;
use parallax_model::{
    BlockSize, Context, Delta, PageState, Run, S2Entry, Snapshot, Space, Span, View, attrs,
};

use super::data::{About, Performed, Recorded, Shown};
use super::intern::Intern;
use super::opened::Opened;
use super::{order, story};
use crate::operation_events::{self, Code};

/// The most changes, events and findings of all operations that a page may have.
const MAX_ITEMS: usize = 1 << 22;

/// No more lines of events are kept of one operation.
const LINES: usize = 64;

/// Reads a recording from its beginning.
pub(super) fn recorded(opened: Opened, intern: &mut Intern, step: &dyn Fn()) -> Result<Recorded, Failure> {
    let Opened { name, mut replay, back } = opened;
    let mut observer = Observer::new(replay.target());
    let info = replay.target().info_or_zero();
    let queue = Span::new(info.cmdq_pa, info.cmdq_size);
    let description = replay.target().description.clone();
    let regions = observer.context().symbols.regions();
    let regions = regions.map(|(name, span)| (name.to_owned(), span.base.get(), span.size)).collect();
    let mut ops = Vec::new();
    let mut form: Option<Canonical> = None;
    let mut limit = 0;
    let mut attributes = 0;
    let mut spent = None;
    let mut held = 0;
    loop {
        let registers = replay.registers()?;
        let snapshot = observer.observe(replay.memory(), &registers);
        let context = observer.context();
        limit = limit.max(1 << snapshot.control().input_bits.min(52));
        let now = Canonical::of(&snapshot, BlockSize::Shown);
        let delta = form.as_ref().map_or_else(|| Delta::whole(&now), |form| Delta::of(form, &now));
        if !delta.is_empty() {
            attributes = intern.text(&attribute_table(&snapshot, context));
        }
        let operation = replay.operation();
        let (counts, events) =
            operation_events::counts_and_lines(&operation.events, queue, Code::Recorded(&replay), LINES);
        let total = operation_events::instructions(&operation.events);
        let findings = operation.findings.iter().map(|finding| shown(finding, intern)).collect();
        let order = order::happened(operation, queue, &replay, intern);
        ops.push(Performed {
            line: operation.line,
            text: intern.text(&operation.text),
            result: intern.text(&recorded::result(operation)),
            instructions: total.zip(spent).map(|(now, before): (u64, u64)| now.saturating_sub(before)),
            changes: changes(&delta, context, intern),
            lines: lines(&delta, context, intern),
            counts,
            events: events.iter().map(|line| intern.text(line)).collect(),
            attributes,
            findings,
            order,
        });
        held += ops.last().map_or(0, Performed::items);
        if held > MAX_ITEMS {
            return Err(Failure::usage(format!(
                "more than {MAX_ITEMS} changes, events and findings up to operation {}: too many for a page",
                replay.position()
            )));
        }
        spent = total.or(spent);
        form = Some(now);
        step();
        if !replay.step().map_err(MachineError::from)? {
            break;
        }
    }
    story::add_stories(&mut ops, back, intern)?;
    let line = |text: &str| visible::line(text).into_owned();
    Ok(Recorded {
        name: line(&name),
        revision: line(replay.revision()),
        machine: line(&description.config.text()),
        fault: description.config.hyp.fault.map(parallax_abi::fault::Fault::name),
        qemu: line(&description.qemu_version),
        regions,
        limit,
        ops,
    })
}

fn changes(delta: &Delta, context: &Context, intern: &mut Intern) -> Vec<i64> {
    let mut out = Vec::new();
    let mut s2 =
        |changes: &Changes<Ipa, S2Entry>, lane: Lane, number: i64, table: i64, intern: &mut Intern| {
            push(&mut out, changes, (number, table, 12), |run| {
                intern.value(lane::s2_entry(&run.value, run.base, lane, &context.symbols), letter(&run.value))
            });
        };
    s2(&delta.cpu, Lane::Cpu, 0, 0, intern);
    for (table, changes) in (0..).zip(&delta.smmu) {
        s2(changes, Lane::Smmu, 1, table, intern);
    }
    push(&mut out, &delta.pages, (2, 0, 12), |run| {
        intern.value(lane::page_state(&run.value), page_letter(&run.value))
    });
    push(&mut out, &delta.ste, (3, 0, 0), |run| intern.value(lane::stream(&run.value), 'm'));
    out
}

/// What went comes first: what came may stand in the same place.
fn push<A: Point, T>(
    out: &mut Vec<i64>,
    changes: &Changes<A, T>,
    (lane, table, shift): (i64, i64, u32),
    mut value: impl FnMut(&Run<A, T>) -> usize,
) {
    let mut add = |run: &Run<A, T>, value: i64| {
        out.extend([lane, table, (run.base.number() >> shift) as i64, (run.size >> shift) as i64, value]);
    };
    changes.removed.iter().for_each(|run| add(run, -1));
    changes.added.iter().for_each(|run| add(run, value(run) as i64));
}

fn letter(entry: &S2Entry) -> char {
    match entry {
        S2Entry::Mapped(leaf) if leaf.is_device() => 'd',
        S2Entry::Mapped(_) => 'm',
        S2Entry::Annotated { .. } if entry.is_donated_to(parallax_model::leaf::OWNER_HYP) => 'h',
        S2Entry::Annotated { .. } => 'g',
        S2Entry::Malformed { .. } => 'x',
    }
}

fn page_letter(state: &PageState) -> char {
    match (state.host, state.hyp) {
        (Ownership::SharedOwned | Ownership::SharedBorrowed, _) => 's',
        (Ownership::Owned, _) => 'o',
        (Ownership::NoPage, Ownership::NoPage) => 'n',
        (Ownership::NoPage, _) => 'p',
    }
}

fn lines(delta: &Delta, context: &Context, intern: &mut Intern) -> Vec<usize> {
    let all = delta.lines(&context.symbols, View::All);
    let wanted = all.iter().filter(|line| matches!(line.lane, Lane::Regs | Lane::El2 | Lane::Guest));
    wanted.map(|line| intern.text(&line.to_string())).collect()
}

/// One table for each pair of attributes: title, and rows of incoming type, CPU, SMMU and whether both agree.
fn attribute_table(snapshot: &Snapshot, context: &Context) -> String {
    let first = snapshot.smmu.as_ref().and_then(|smmu| smmu.streams.first());
    let Some(sid) = first.and_then(|run| u32::try_from(run.base).ok()) else { return "[]".to_owned() };
    let text = |attrs: Option<parallax_vmsa::MemAttrs>| {
        attrs.map_or_else(|| "reserved".to_owned(), |attrs| attrs.to_string())
    };
    let tables: Vec<_> = attrs::effective(snapshot, context, sid)
        .iter()
        .map(|table| {
            let kind = if table.memory { "Memory" } else { "MMIO" };
            let when = if table.on_demand { ", CPU maps on first access" } else { "" };
            let rows: Vec<_> = table
                .rows
                .iter()
                .map(|row| (row.incoming.to_string(), text(row.cpu), text(row.smmu), !row.disagrees()))
                .collect();
            (format!("{kind}{when}"), context.symbols.span(table.example), rows)
        })
        .collect();
    serde_json::to_string(&tables).unwrap_or_default()
}

/// A finding with its page and with what both sides say there.
fn shown(recorded: &RecordedFinding, intern: &mut Intern) -> Shown {
    let (text, identity) = (intern.text(&recorded.to_string()), intern.text(&recorded.identity()));
    let Some(finding) = recorded.finding() else {
        let views = vec![("owner", "not known: the recording has only the finding's text".to_owned())];
        let detail = Vec::new();
        return Shown { text, identity, detail, meaning: None, page: None, views, about: None, story: None };
    };
    let page = finding.page().map(|page| page.base.get());
    let about = match finding.space {
        Space::Ste => u32::try_from(finding.span.base).ok().map(About::Stream),
        _ => page.map(About::Page),
    };
    let views = finding.views().iter();
    let views = views.map(|(side, view)| (side.name(), visible::line(view).into_owned())).collect();
    let meaning = Some(intern.text(&finding.rule.explanation().replace('`', "\"")));
    let detail = recorded.detail().iter().map(|line| intern.text(line)).collect();
    Shown { text, identity, detail, meaning, page, views, about, story: None }
}
