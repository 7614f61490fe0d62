//! Operations on pages that nobody has touched: each in a block of its own.
//!
//! The tour has used every page before it does anything else with it. What a call does to a block that the host's stage 2 does not
//! map yet, and what the next fault maps then, is seen here: a state that one operation leads to, and an operation in it, somewhere
//! where nothing ever was.

use parallax_addr::{Base, Expr, Symbol};
use parallax_engine::{Beginning, Session};
use parallax_graph::Edge;
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_ops::Kind;
use parallax_trace::Op;
use parallax_trace::spec::MachineSpec;

use super::{Exploration, Found, lost};
use crate::end::of_hypervisor;

/// What the machine's line says more.
pub(super) const MEMORY: &str = " mem=2G";
/// Pages of a block.
const BLOCK: u64 = 512;

impl Exploration {
    /// Performs each operation in each state that at most one operation leads to, as far as there are blocks, and counts them.
    /// What was found.
    ///
    /// # Errors
    /// The machine does not boot, or the user cancelled.
    pub(super) fn untouched(
        &self,
        backend: &dyn Backend,
        cancel: &CancellationToken,
        count: &mut u64,
    ) -> Result<Option<Found>, MachineError> {
        let spec = self.fresh_machine();
        let mut machine = backend.boot(&spec)?;
        let (mut session, _) = Session::start_with(machine.as_mut(), Beginning::default()).map_err(lost)?;
        for (state, edge, ops) in self.fresh(spec.mem_bytes) {
            if cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            let found = |findings, end| Found { state, edge: edge.clone(), findings, end };
            for op in ops {
                match session.step(&op) {
                    Ok(step) if step.findings.is_empty() => {}
                    Ok(step) => return Ok(Some(found(step.findings, None))),
                    Err(error) => {
                        let error = of_hypervisor(error)?;
                        let end = super::End { text: error.to_string(), sure: true };
                        return Ok(Some(found(Vec::new(), Some(end))));
                    }
                }
            }
            *count += 1;
        }
        Ok(None)
    }

    /// The machine for it.
    pub(super) fn fresh_machine(&self) -> MachineSpec {
        super::trace(self.fault, &format!("{}{MEMORY}", self.machine_line())).machine
    }

    /// Each operation in each state that at most one operation leads to, as far as there are blocks in `bytes` of memory: the state, the
    /// operation, and what is performed.
    pub(super) fn fresh(&self, bytes: u64) -> impl Iterator<Item = (usize, &Edge, Vec<Op>)> {
        let frames = || self.scope.memory.iter().map(|pfn| pfn.get() - (super::RAM_BASE.get() >> 12));
        let last = frames().max().unwrap_or_default();
        let blocks = last / BLOCK - frames().min().unwrap_or_default() / BLOCK + 1;
        let near = (0..self.graph.states.len())
            .map(|state| (state, self.graph.way_to(state)))
            .filter(|(state, way)| if way.is_empty() { *state == 0 } else { way.len() == 1 });
        let pairs = near.flat_map(|(state, way)| {
            self.graph.edges[state].iter().map(move |edge| (state, edge, [&way[..], &[edge]].concat()))
        });
        let shifts = (1..)
            .map(move |number| number * blocks * BLOCK)
            .take_while(move |shift| last + shift < bytes >> 12);
        pairs.zip(shifts).map(|((state, edge, way), shift)| {
            let ops = way.into_iter().flat_map(|edge| self.ops(edge));
            (state, edge, ops.map(|op| shifted(op, shift)).collect())
        })
    }
}

/// `op` with its pages of memory `frames` further on.
fn shifted(op: Op, frames: u64) -> Op {
    let memory = Some(Base { symbol: Symbol::Ram, end: false });
    let args = op.args.iter().zip(op.row.params).map(|(arg, param)| {
        let shift = match param.kind {
            Kind::Frame => frames,
            Kind::Address => frames << 12,
            _ => 0,
        };
        // What is beyond all memory stays there: a machine has 8 GiB at most.
        let bytes = if param.kind == Kind::Frame { arg.offset.saturating_mul(0x1000) } else { arg.offset };
        let inside = arg.base == memory && bytes < 8 << 30;
        Expr { offset: arg.offset + if inside { shift } else { 0 }, base: arg.base.clone() }
    });
    Op { args: args.collect(), ..op }
}

#[cfg(test)]
mod tests {
    use parallax_trace::Trace;

    use super::*;

    #[test]
    fn pages_of_memory_move_and_nothing_else_does() {
        let moved = |line: &str| {
            let trace = Trace::parse("t", line).unwrap();
            shifted(trace.ops[0].clone(), 0x200).to_string()
        };
        assert_eq!(moved("host_donate_hyp pfn=ram+0x6000 nr=2\n"), "host_donate_hyp pfn=ram+0x6200 nr=2");
        assert_eq!(moved("host_read ipa=ram+0x6000008\n"), "host_read ipa=ram+0x6200008");
        assert_eq!(moved("host_read ipa=0x9010000\n"), "host_read ipa=0x9010000");
    }
}
