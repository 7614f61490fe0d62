//! The part of an exploration that several hypervisors can do, as traces for all of them.
//!
//! Which operations a hypervisor lacks shows when one of each is performed on it. What is left of the graph without those, from the
//! state of the boot on, is toured like the whole.

use std::collections::{BTreeMap, BTreeSet};

use parallax_graph::{Edge, Graph, Tour};
use parallax_trace::Op;

use super::fresh::MEMORY;
use super::{Exploration, MACHINE};

/// Transitions of a machine, at most about so many.
const MACHINE_TRANSITIONS: usize = 400;
/// Why a transition cannot be, where its operation could.
const NOT_REACHED: &str = "no way leads to its state without those";

/// What is left.
#[derive(Clone, Debug)]
pub struct Beside {
    exploration: Exploration,
    /// How many transitions cannot be performed, by reason.
    pub left_out: BTreeMap<String, usize>,
}

/// What is performed on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// As a trace.
    pub text: String,
    /// The transitions in it, by state and number of the operation.
    pub transitions: BTreeSet<(usize, usize)>,
}

impl Exploration {
    /// One operation of each word, as a trace: what a hypervisor lacks shows in it.
    #[must_use]
    pub fn one_of_each(&self) -> String {
        let mut words = BTreeSet::new();
        let first = self.actions.iter().filter(|action| words.insert(action.name));
        text(MACHINE, first.flat_map(|action| action.ops.clone()))
    }

    /// What is left without the operations whose words `lacking` has, each with the reason.
    #[must_use]
    pub fn beside(&self, lacking: &BTreeMap<String, String>) -> Beside {
        let mut graph = self.graph.clone();
        let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
        for edges in &mut graph.edges {
            edges.retain(|edge| match lacking.get(self.actions[edge.operation].name) {
                Some(why) => {
                    *left_out.entry(why.clone()).or_default() += 1;
                    false
                }
                None => true,
            });
        }
        let reached = reached(&graph);
        for (edges, _) in graph.edges.iter_mut().zip(reached).filter(|(_, reached)| !reached) {
            let count = std::mem::take(edges).len();
            if count > 0 {
                *left_out.entry(NOT_REACHED.to_owned()).or_default() += count;
            }
        }
        Beside { exploration: Self { graph, ..self.clone() }, left_out }
    }
}

impl Beside {
    /// How many transitions are left.
    #[must_use]
    pub fn transitions(&self) -> usize {
        self.exploration.graph.transitions()
    }

    /// How many states they begin in.
    #[must_use]
    pub fn states(&self) -> usize {
        self.exploration.graph.edges.iter().filter(|edges| !edges.is_empty()).count()
    }

    /// The tour, in as many machines as it takes.
    #[must_use]
    pub fn tour(&self) -> Vec<Part> {
        let graph = &self.exploration.graph;
        let parts = graph.transitions().div_ceil(MACHINE_TRANSITIONS);
        (0..parts).map(|part| self.part(MACHINE, Tour::of_part(graph, part, parts))).collect()
    }

    /// Operations on pages that nobody has touched, in states that at most one operation leads to.
    #[must_use]
    pub fn untouched(&self) -> Part {
        let mut transitions = BTreeSet::new();
        let mut ops = Vec::new();
        for (state, edge, shifted) in self.exploration.fresh(self.exploration.fresh_machine().mem_bytes) {
            transitions.insert((state, edge.operation));
            ops.extend(shifted);
        }
        Part { text: text(&format!("{MACHINE}{MEMORY}"), ops), transitions }
    }

    fn part<'g>(&self, machine: &str, edges: impl Iterator<Item = (usize, &'g Edge)>) -> Part {
        let mut transitions = BTreeSet::new();
        let mut ops = Vec::new();
        for (state, edge) in edges {
            transitions.insert((state, edge.operation));
            ops.extend(self.exploration.ops(edge));
        }
        Part { text: text(machine, ops), transitions }
    }
}

/// A trace. What must come of an operation is for the judges of each hypervisor to say.
fn text(machine: &str, ops: impl IntoIterator<Item = Op>) -> String {
    let lines: String = ops.into_iter().map(|op| format!("{op}\n")).collect();
    format!("machine {machine}\n{lines}")
}

/// Which states can be reached from the first.
fn reached(graph: &Graph) -> Vec<bool> {
    let mut reached = vec![false; graph.states.len()];
    let mut queue = vec![0];
    while let Some(state) = queue.pop() {
        if !std::mem::replace(&mut reached[state], true) {
            queue.extend(graph.edges[state].iter().map(|edge| edge.to));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use parallax_trace::Trace;

    use super::super::PAGES;
    use super::*;

    fn without(words: &[&str]) -> Beside {
        let lacking = words.iter().map(|word| ((*word).to_owned(), format!("it lacks {word}")));
        Exploration::new(&PAGES, 2, None).unwrap().beside(&lacking.collect())
    }

    /// What no unmodified kernel has.
    const LACKING: [&str; 8] = [
        "dma_read",
        "dma_write",
        "hyp_pin_shared_mem",
        "hyp_unpin_shared_mem",
        "host_donate_hyp",
        "hyp_donate_host",
        "host_donate_hyp_mmio",
        "hyp_donate_host_mmio",
    ];

    #[test]
    fn every_transition_is_left_or_left_out_for_one_reason() {
        let beside = without(&LACKING);
        // Each page the host's or lent.
        assert_eq!((beside.states(), beside.transitions()), (8, 8 * 17));
        assert_eq!(beside.left_out["it lacks dma_read"], 125 * 3);
        assert_eq!(beside.left_out.values().sum::<usize>() + beside.transitions(), 8_775);
        assert_eq!(without(&[]).left_out.len(), 0);
    }

    #[test]
    fn the_tour_takes_all_that_is_left_in_every_part() {
        for beside in [without(&LACKING), without(&["dma_read"])] {
            let parts = beside.tour();
            let taken: BTreeSet<_> = parts.iter().flat_map(|part| part.transitions.clone()).collect();
            assert_eq!(taken.len(), beside.transitions());
            for part in &parts {
                let ops = Trace::parse("t", &part.text).unwrap().ops;
                assert!(ops.iter().all(|op| op.expect.is_none()));
                assert!(ops.len() < 3 * MACHINE_TRANSITIONS, "{}", ops.len());
            }
        }
    }

    #[test]
    fn what_is_lacking_is_in_neither_trace() {
        let beside = without(&LACKING);
        for text in [&beside.tour()[0].text, &beside.untouched().text] {
            assert!(LACKING.iter().all(|word| !text.contains(word)), "{text}");
            assert!(text.contains("host_unshare_hyp"));
        }
        let untouched = beside.untouched();
        assert!(untouched.text.contains("ram+0x6200000"), "{}", untouched.text);
        assert_eq!(untouched.transitions.len(), 4 * 17);
    }

    #[test]
    fn where_no_way_leads_back_what_was_not_taken_is_not_counted() {
        let beside = without(&["host_unshare_hyp"]);
        let taken: usize = beside.tour().iter().map(|part| part.transitions.len()).sum();
        assert!(taken < beside.transitions(), "{taken}");
    }

    #[test]
    fn one_of_each_is_one_of_each() {
        let exploration = Exploration::new(&PAGES, 2, None).unwrap();
        let trace = Trace::parse("t", &exploration.one_of_each()).unwrap();
        let words: BTreeSet<&str> = trace.ops.iter().map(|op| op.row.name).collect();
        assert_eq!((words.len(), trace.ops.len()), (13, 13));
    }
}
