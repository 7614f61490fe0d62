//! Every operation in every state of a few pages, performed on the real hypervisor.
//!
//! The specification says which states there are and what each operation does in each of them ([`parallax_graph::Graph`]). A
//! tour through all of its transitions, errors included, is performed in stream mode, and every step of it is judged by all
//! judges. What is found comes with the shortest way to it, as a trace.

mod action;
pub mod beside;
mod fresh;
pub mod kept;
mod performed;
pub(crate) mod smmu;
mod tour;

use crate::end::of_hypervisor;
use crate::search::Trials;
use parallax_abi::fault::Fault;
use parallax_addr::{Pfn, StreamId};
use parallax_engine::{Beginning, Session};
use parallax_graph::{Graph, Scope};
use parallax_machine::{Backend, CancellationToken, MachineError};
use parallax_ops::{Kind, Operation};
use parallax_trace::spec::{RAM_BASE, regions};
use parallax_trace::{Op, Trace};

use self::action::{Action, expr};
pub use self::performed::{Performed, summary};
pub use self::tour::{End, Found, Shard};

/// Two pages at the beginning of a block of 2 MiB and its last one, as frames from the first of memory on.
pub const PAGES: [u64; 3] = [0x6000, 0x6001, 0x61ff];
/// Most pages of a scope: the number of states grows as 5 to the power of it.
pub const MOST_PAGES: usize = 5;

/// The machine: what follows the word `machine` in a trace.
const MACHINE: &str = "devices=edu@1";
/// The StreamID of its device.
const STREAM: u32 = 8;

/// What to explore.
#[derive(Clone, Debug)]
pub struct Exploration {
    scope: Scope,
    /// All that there is.
    pub graph: Graph,
    /// The operations of the graph, as a trace has them.
    actions: Vec<Action>,
    /// What each state is called.
    labels: Vec<String>,
    /// Where the host has an SMMU of its own, what is done before all.
    set_up: Option<Action>,
    fault: Option<Fault>,
}

/// The name of page frame number `page` of memory, or without a name where there is no such memory.
fn named(page: u64) -> String {
    match page.checked_add(RAM_BASE.get() >> 12) {
        Some(frame) if page >= 1 << 36 => format!("page frame {frame:#x}"),
        _ => format!("ram+{page:#x}"),
    }
}

impl Exploration {
    /// All states of these pages of memory (frames from the first of memory on) and one page of MMIO, with at most `pins` pins
    /// of a page, on a hypervisor with `fault`.
    ///
    /// # Errors
    /// In words: there is no page, there are too many, or one is not free.
    pub fn new(pages: &[u64], pins: u16, fault: Option<Fault>) -> Result<Self, String> {
        Self::of(pages, pins, fault, false)
    }

    /// The same where the host has an SMMU of its own, with two streams that it turns off, aborts, lets by, and translates.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_smmu(pages: &[u64], pins: u16, fault: Option<Fault>) -> Result<Self, String> {
        Self::of(pages, pins, fault, true)
    }

    fn of(pages: &[u64], pins: u16, fault: Option<Fault>, smmu: bool) -> Result<Self, String> {
        let mut pages = pages.to_vec();
        pages.sort_unstable();
        if let Some(twice) = pages.windows(2).find(|two| two[0] == two[1]) {
            return Err(format!("{} is named twice", named(twice[0])));
        }
        if pages.is_empty() || pages.len() > MOST_PAGES {
            return Err(format!("{} pages: 1 to {MOST_PAGES} can be explored", pages.len()));
        }
        let spec = trace(fault, MACHINE).machine;
        let (free, end) = (FREE, spec.mem_bytes >> 12);
        if let Some(page) = pages.iter().find(|page| !(free..end).contains(page)) {
            let what = if *page < end { "in use" } else { "outside of the machine's memory" };
            let range = format!("pages from ram+{free:#x} to ram+{:#x} can be explored", end - 1);
            return Err(format!("{} is {what}: {range}", named(*page)));
        }
        let mmio = regions(spec.mem_bytes).into_iter().filter(|region| region.name == "rtc");
        let scope = Scope {
            memory: pages.iter().map(|page| Pfn::new((RAM_BASE.get() >> 12) + page)).collect(),
            mmio: mmio.map(|region| region.base.pfn()).collect(),
            streams: if smmu { Vec::new() } else { vec![StreamId::new(STREAM)] },
            pins,
        };
        let graph = Graph::of(&scope);
        if smmu {
            let (graph, actions, labels) = smmu::with_streams(&scope, &graph);
            return Ok(Self { scope, graph, actions, labels, set_up: Some(smmu::set_up()), fault });
        }
        let actions = graph.operations.iter().map(Action::of).collect();
        let labels = graph.states.iter().map(ToString::to_string).collect();
        Ok(Self { scope, graph, actions, labels, set_up: None, fault })
    }

    /// What must hold of the specification in this scope, and where it does not.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        parallax_graph::graph::contradictions(&self.scope, &self.graph)
    }

    /// The machine, as a trace without operations of its own.
    #[must_use]
    pub fn machine(&self) -> Trace {
        trace(self.fault, self.machine_line())
    }

    const fn machine_line(&self) -> &'static str {
        if self.set_up.is_some() { smmu::MACHINE } else { MACHINE }
    }

    /// What state number `state` is.
    #[must_use]
    pub fn label(&self, state: usize) -> &str {
        &self.labels[state]
    }

    /// The pages and what goes with them, for a person.
    #[must_use]
    pub fn scope(&self) -> String {
        let pages = self.scope.memory.iter().map(|pfn| expr(Kind::Frame, pfn.get()).to_string());
        let pages: Vec<String> = pages.collect();
        let streams = self.set_up.as_ref().map_or_else(|| format!("stream {STREAM}"), |_| smmu::scope());
        format!("{}, mmio:rtc, {streams}, {} pins at most", pages.join(", "), self.scope.pins)
    }

    /// `found` as a trace, and whether it shows it: the trace is performed on a machine of its own. Where the user cancels or QEMU is
    /// killed, nobody knows.
    ///
    /// # Errors
    /// A machine does not boot.
    pub fn shown(
        &self,
        found: &Found,
        backend: &dyn Backend,
        cancel: &CancellationToken,
    ) -> Result<(String, Option<bool>), MachineError> {
        let trials = Trials::default();
        for used in [false, true] {
            let text = self.trace(found, used);
            let shows = || self.shows(&text, backend, cancel).map(|shows| shows.then_some(()));
            if trials.attempt(shows)?.is_some() {
                return Ok((text, Some(true)));
            }
        }
        Ok((self.trace(found, true), trials.unless_ended(false)))
    }

    fn shows(
        &self,
        text: &str,
        backend: &dyn Backend,
        cancel: &CancellationToken,
    ) -> Result<bool, MachineError> {
        let trace =
            Trace::parse("explore", text).map_err(|error| MachineError::Contract(error.to_string()))?;
        let mut machine = backend.boot(&self.machine().machine)?;
        let (mut session, found) =
            Session::start_with(machine.as_mut(), Beginning::default()).map_err(lost)?;
        let mut shown = !found.is_empty();
        for op in &trace.ops {
            if cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            match session.step(op) {
                Ok(step) => shown |= !step.findings.is_empty(),
                Err(error) => return of_hypervisor(error).map(|_| true),
            }
        }
        Ok(shown)
    }

    /// The operations of an edge, with what must come of them.
    fn ops(&self, edge: &parallax_graph::Edge) -> Vec<Op> {
        self.actions[edge.operation].expecting(&edge.outcome)
    }

    /// The operations before the first state.
    fn first(&self) -> Vec<Op> {
        self.set_up.as_ref().map_or_else(Vec::new, |set_up| set_up.ops.clone())
    }

    /// `found` as a trace: the shortest way to the state that it was found in, and the operation. The tour had the host and its
    /// devices use each page first, which maps it: with `used` so does the trace.
    fn trace(&self, found: &Found, used: bool) -> String {
        let accesses =
            self.graph.edges[0].iter().filter(|edge| is_access(&self.graph.operations[edge.operation]));
        let accesses = accesses.filter(|_| used);
        let way = accesses.chain(self.graph.way_to(found.state)).chain([&found.edge]);
        let ops = self.first().into_iter().chain(way.flat_map(|edge| self.ops(edge)));
        let lines = ops.map(|op| {
            let expect = op.expect.as_ref().map_or_else(String::new, |expect| format!(" => {expect}"));
            format!("{op}{expect}\n")
        });
        // The usual machine is any trace's.
        let machine =
            self.set_up.as_ref().map_or_else(String::new, |_| format!("machine {}\n", smmu::MACHINE));
        let text = format!("{machine}{}", lines.collect::<String>());
        let fault = self.fault.map_or_else(String::new, |fault| format!("fault {}\n", fault.name()));
        format!("{fault}# parallax explore: {}\n{text}", found.rule())
    }
}

/// The first page frame of memory, from its beginning on, that neither the hypervisor nor the test host uses.
const FREE: u64 = 0x4000;

fn trace(fault: Option<Fault>, machine: &str) -> Trace {
    let text = format!("machine {machine}\nnop\n");
    let mut trace = Trace::parse("explore", &text).expect("the machine of this module is well formed");
    trace.fault = fault;
    trace.machine.hyp.fault = fault;
    trace.machine.faults_build = fault.is_some();
    trace
}

const fn is_access(operation: &Operation) -> bool {
    matches!(operation, Operation::Access(_) | Operation::Dma(_))
}

/// A machine that could not be used any more.
pub(crate) fn lost(error: parallax_engine::SessionError) -> MachineError {
    match error {
        parallax_engine::SessionError::Machine(error) => error,
        other => MachineError::Contract(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_scope_has_the_states_and_transitions_that_the_page_names() {
        let exploration = Exploration::new(&PAGES, 2, None).unwrap();
        assert_eq!((exploration.graph.states.len(), exploration.graph.transitions()), (125, 8_775));
        assert_eq!(exploration.contradictions(), [""; 0]);
    }

    #[test]
    fn with_an_smmu_every_stream_is_in_every_state_of_the_page() {
        let exploration = Exploration::with_smmu(&PAGES[..1], 2, None).unwrap();
        assert_eq!((exploration.graph.states.len(), exploration.graph.transitions()), (50, 2_510));
        assert_eq!(exploration.contradictions(), [""; 0]);
        let names = |text: &str| exploration.labels.iter().filter(|label| label.contains(text)).count();
        assert_eq!((names("SMMU off"), names("streams stage 1, bypass")), (5, 5));
    }

    #[test]
    fn operations_are_spelled_as_traces_read_them() {
        let exploration = Exploration::new(&PAGES, 1, None).unwrap();
        for op in exploration.actions.iter().flat_map(|action| &action.ops) {
            let trace = Trace::parse("t", &format!("{op}\n")).unwrap();
            assert_eq!(Op { line: 0, ..trace.ops[0].clone() }, *op, "{op}");
        }
        assert!(
            exploration
                .actions
                .iter()
                .any(|action| action.ops[0].to_string() == "hyp_donate_host pfn=ram+0x6000 nr=2")
        );
    }

    #[test]
    fn the_machine_that_is_left_out_is_the_one_that_a_trace_has() {
        assert_eq!(trace(None, MACHINE).machine, Trace::parse("t", "nop\n").unwrap().machine);
    }

    #[test]
    fn pages_that_are_in_use_are_refused() {
        assert!(Exploration::new(&[0x3000], 1, None).unwrap_err().contains("ram+0x3000"));
        assert!(Exploration::new(&[], 1, None).is_err());
        assert!(Exploration::new(&[0x6000, 0x6001, 0x6002, 0x6003, 0x6004, 0x6005], 1, None).is_err());
    }
}
