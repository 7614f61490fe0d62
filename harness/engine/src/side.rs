//! A trace on one of several hypervisors: what they are compared by after each operation.

use parallax_abi::operation::Kind;
use parallax_addr::PhysAddr;
use parallax_machine::Machine;
use parallax_model::{Context, Face, Finding, Freedoms, Snapshot};
use parallax_ops::{BAD_REQUEST, Operation};
use parallax_trace::{Op, Outcome};

use crate::error::SessionError;
use crate::session::{Session, Step};
use crate::status::Failure;

/// How an operation ends that its target lacks.
pub const LACKS: &str = BAD_REQUEST;

/// More pages of an operation are not looked at.
const MOST_PAGES: usize = 16;

/// An operation, and what was seen after it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it ended; none at boot.
    pub outcome: Option<Outcome>,
    /// What each page that the trace names is, in the order of [`Watched::pages`].
    pub faces: Vec<Face>,
    /// What was found and had not been found before.
    pub findings: Vec<Finding>,
}

/// A page that a trace names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The operation that names it, by its number from 0, and which of its pages it is.
    pub named: (usize, usize),
    /// Where it is on this machine.
    pub at: PhysAddr,
    /// What it is called.
    pub name: String,
}

/// What was seen of a machine.
#[derive(Debug, Default)]
pub struct Watched {
    /// The pages that the trace names.
    pub pages: Vec<Page>,
    /// Of each operation, whether it is a call that names page frames beyond the host's address space.
    pub far: Vec<bool>,
    /// The boot, and one operation after the other.
    pub seen: Vec<Seen>,
    /// What the machine may do otherwise.
    pub freedoms: Freedoms,
    /// Why it did not get to the end.
    pub failure: Option<Failure>,
}

/// Performs `ops` on `machine`, which has just booted.
pub fn watch(ops: &[Op], machine: &mut dyn Machine) -> Watched {
    let mut watched = Watched::default();
    watched.failure = perform(ops, machine, &mut watched).err();
    watched
}

fn perform(ops: &[Op], machine: &mut dyn Machine, watched: &mut Watched) -> Result<(), Failure> {
    let (mut session, findings) = Session::start(machine, None)?;
    watched.freedoms = session.context().freedoms;
    let mut lacking = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        // What names a place or a call that is not here is an operation that this machine lacks.
        let operation = match session.operation(op) {
            Err(SessionError::Place(_)) => {
                lacking.push(number);
                watched.far.push(false);
                continue;
            }
            operation => operation?,
        };
        watched.pages.extend(pages(number, &operation, session.context()));
        watched.far.push(is_far(&operation, op, session.snapshot()));
    }
    let faces = |session: &Session<'_>, pages: &[Page]| -> Vec<Face> {
        pages.iter().map(|page| Face::of(session.snapshot(), session.context(), page.at)).collect()
    };
    let first = faces(&session, &watched.pages);
    watched.seen.push(Seen { outcome: None, faces: first, findings });
    let mut number = 0;
    while number < ops.len() {
        if lacking.contains(&number) {
            let (faces, findings) = (faces(&session, &watched.pages), Vec::new());
            watched.seen.push(Seen { outcome: Some(Outcome::Unknown(LACKS.to_owned())), faces, findings });
            number += 1;
            continue;
        }
        let until = lacking.iter().copied().find(|next| *next > number).unwrap_or(ops.len());
        let steps = session.next(&ops[number..until])?;
        number += steps.len().max(1);
        let now = faces(&session, &watched.pages);
        let seen =
            |Step { outcome, findings, .. }| Seen { outcome: Some(outcome), faces: now.clone(), findings };
        watched.seen.extend(steps.into_iter().map(seen));
    }
    Ok(session.finish()?)
}

/// The pages that operation number `number` names.
fn pages(number: usize, operation: &Operation, context: &Context) -> Vec<Page> {
    let span = operation.footprint().pages.and_then(|pages| pages.whole_pages());
    let all = span.into_iter().flat_map(|span| span.pages()).take(MOST_PAGES).enumerate();
    all.map(|(index, ipa)| Page {
        named: (number, index),
        at: ipa.identity(),
        name: context.symbols.address(ipa),
    })
    .collect()
}

/// Whether `operation`, a call, names page frames beyond the host's address space.
fn is_far(operation: &Operation, op: &Op, state: &Snapshot) -> bool {
    let names_frames =
        operation.call().is_some() && op.row.params.iter().any(|param| param.kind == Kind::Frame);
    let limit = 1_u64.checked_shl(state.control().input_bits.into()).unwrap_or(u64::MAX);
    names_frames && operation.footprint().pages.is_none_or(|pages| pages.end().get() > limit)
}
