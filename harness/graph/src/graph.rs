//! All states of a small machine, all operations in all of them, and a way through.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use parallax_ops::{Operation, Outcome};

use crate::small::{Scope, Small};
use parallax_spec::next;
use parallax_spec::step::Board;

/// What an operation does in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its number among [`Graph::operations`].
    pub operation: usize,
    /// How it ends.
    pub outcome: Outcome,
    /// The number of the state that it leads to.
    pub to: usize,
}

/// The state graph of a scope, closed: every operation of the scope from every state that can be reached. Operations that
/// would count further than the scope does are left out.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The states, in the order in which they were found; the first is that of the boot.
    pub states: Vec<Small>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// What each operation does in each state.
    pub edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// The graph of `scope`.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        let operations = scope.operations();
        let mut states = vec![scope.start()];
        let mut numbers = HashMap::from([(scope.start(), 0)]);
        let mut edges = Vec::new();
        while let Some(state) = states.get(edges.len()).cloned() {
            let mut of_state = Vec::with_capacity(operations.len());
            for (operation, kind) in operations.iter().enumerate() {
                let (outcome, after) = perform(scope, &state, kind);
                if !scope.holds(&after) {
                    continue;
                }
                let to = match numbers.entry(after) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        states.push(new.key().clone());
                        *new.insert(states.len() - 1)
                    }
                };
                of_state.push(Edge { operation, outcome, to });
            }
            edges.push(of_state);
        }
        Self { states, operations, edges }
    }

    /// The operations of a shortest way from the first state to `state`.
    #[must_use]
    pub fn way_to(&self, state: usize) -> Vec<&Edge> {
        let mut from: BTreeMap<usize, (usize, &Edge)> = BTreeMap::new();
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front().filter(|at| *at != state) {
            for edge in &self.edges[at] {
                if edge.to != 0 && !from.contains_key(&edge.to) {
                    from.insert(edge.to, (at, edge));
                    queue.push_back(edge.to);
                }
            }
        }
        let (mut way, mut at) = (Vec::new(), state);
        while let Some((before, edge)) = from.get(&at).copied() {
            way.insert(0, edge);
            at = before;
        }
        way
    }

    /// How many transitions it has.
    #[must_use]
    pub fn transitions(&self) -> usize {
        self.edges.iter().map(Vec::len).sum()
    }
}

/// How `operation` ends in `state`, and what it leads to, when there are pages for tables.
#[must_use]
pub fn perform(scope: &Scope, state: &Small, operation: &Operation) -> (Outcome, Small) {
    let view = scope.view(state);
    let done = Outcome::Ok { value: None };
    let board = Board { emulated: &[], streams: Some(1 << 32), lent: false, free: None };
    let first = next(operation, &done, &view, board);
    if let Some(wrong) = first.wrong {
        return (wrong.expected, state.clone());
    }
    let mut after = state.clone();
    for effect in first.effects {
        for (place, pfn) in scope.memory.iter().enumerate() {
            let inside = pfn.ipa().is_some_and(|ipa| effect.span.contains(ipa.identity()));
            if inside {
                after.0[place] = effect.page;
            }
        }
    }
    (done, after)
}

/// A way through all transitions of a graph, from the state of the boot on.
pub struct Tour<'a> {
    graph: &'a Graph,
    at: usize,
    /// For each state, how many of its edges were taken: they are taken in their order.
    taken: Vec<usize>,
    /// Edges still to be taken on the way to a state that has some left.
    way: VecDeque<usize>,
}

impl<'a> Tour<'a> {
    /// From the beginning.
    #[must_use]
    pub fn new(graph: &'a Graph) -> Self {
        Self::of_part(graph, 0, 1)
    }

    /// The same, for part `part` of `parts` of the states: together they take every transition.
    #[must_use]
    pub fn of_part(graph: &'a Graph, part: usize, parts: usize) -> Self {
        let taken = graph.edges.iter().enumerate();
        let taken = taken.map(|(state, edges)| if state % parts.max(1) == part { 0 } else { edges.len() });
        Self { graph, at: 0, taken: taken.collect(), way: VecDeque::new() }
    }

    /// Edges that lead from here to the nearest state with one that was not taken; none if all were.
    fn search(&self) -> Option<VecDeque<usize>> {
        let mut from: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut queue = VecDeque::from([self.at]);
        while let Some(state) = queue.pop_front() {
            if self.taken[state] < self.graph.edges[state].len() {
                let (mut way, mut at) = (VecDeque::new(), state);
                while at != self.at {
                    let (before, edge) = from[&at];
                    way.push_front(edge);
                    at = before;
                }
                return Some(way);
            }
            for (number, edge) in self.graph.edges[state].iter().enumerate() {
                if edge.to != self.at && !from.contains_key(&edge.to) {
                    from.insert(edge.to, (state, number));
                    queue.push_back(edge.to);
                }
            }
        }
        None
    }
}

impl<'a> Iterator for Tour<'a> {
    /// State, edge.
    type Item = (usize, &'a Edge);

    fn next(&mut self) -> Option<Self::Item> {
        let state = self.at;
        let edge = match self.way.pop_front() {
            Some(edge) => edge,
            None if self.taken[state] < self.graph.edges[state].len() => {
                self.taken[state] += 1;
                self.taken[state] - 1
            }
            None => {
                self.way = self.search()?;
                return self.next();
            }
        };
        let edge = &self.graph.edges[state][edge];
        self.at = edge.to;
        Some((state, edge))
    }
}

/// What must hold of a specification of the pages of `scope`, and where it does not. That a page has one owner, and that a refusal
/// changes nothing, cannot be written otherwise.
#[must_use]
pub fn contradictions(scope: &Scope, graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    let back = reached_backwards(graph);
    for (state, back) in graph.states.iter().zip(back) {
        if !back {
            wrong.push(format!("from [{state}] no way leads back to the beginning"));
        }
    }
    for (state, edges) in graph.states.iter().zip(&graph.edges) {
        for edge in edges {
            let named = graph.operations[edge.operation].footprint().pages;
            let pages = scope.memory.iter().zip(state.0.iter().zip(&graph.states[edge.to].0));
            for (pfn, _) in pages.filter(|(_, (before, after))| before != after) {
                let is_named = pfn.ipa().is_some_and(|ipa| named.is_some_and(|named| named.contains(ipa)));
                if !is_named {
                    let operation = edge.operation;
                    wrong.push(format!(
                        "operation {operation} of [{state}] changes page frame {:#x}, which it does not name",
                        pfn.get()
                    ));
                }
            }
        }
    }
    wrong
}

/// From which states the first can be reached.
fn reached_backwards(graph: &Graph) -> Vec<bool> {
    let mut before = vec![Vec::new(); graph.states.len()];
    for (from, edges) in graph.edges.iter().enumerate() {
        edges.iter().for_each(|edge| before[edge.to].push(from));
    }
    let mut reached = vec![false; graph.states.len()];
    let mut queue = vec![0];
    while let Some(state) = queue.pop() {
        if !std::mem::replace(&mut reached[state], true) {
            queue.extend(&before[state]);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use parallax_addr::Pfn;

    use super::*;
    use parallax_spec::Page;

    fn scope() -> Scope {
        let memory = [0x10, 0x11, 0x1ff].map(Pfn::new).to_vec();
        Scope { memory, mmio: vec![Pfn::new(0x9)], streams: Vec::new(), pins: 2 }
    }

    #[test]
    fn the_graph_of_three_pages_has_no_contradiction() {
        let graph = Graph::of(&scope());
        assert_eq!(contradictions(&scope(), &graph), [""; 0]);
        // Each page on its own: the host's, lent with 0 to 2 pins, given.
        assert_eq!(graph.states.len(), 5 * 5 * 5);
        assert_eq!(graph.transitions(), 8_025, "a call more is more transitions: then this is the new count");
    }

    #[test]
    fn the_tour_takes_every_transition() {
        let graph = Graph::of(&scope());
        let mut at = 0;
        let mut seen = BTreeSet::new();
        let mut steps = 0;
        for (state, edge) in Tour::new(&graph) {
            assert_eq!(state, at, "it goes on from where it is");
            at = edge.to;
            seen.insert((state, edge.operation));
            steps += 1;
        }
        assert_eq!(seen.len(), graph.transitions());
        assert!(steps < 2 * graph.transitions(), "{steps} steps");
    }

    #[test]
    fn a_specification_without_a_way_back_is_noticed() {
        let mut graph = Graph::of(&scope());
        for edges in &mut graph.edges {
            edges.retain(|edge| {
                !matches!(
                    graph.operations[edge.operation],
                    Operation::Hypercall(parallax_ops::Call::HypDonateHost { .. })
                )
            });
        }
        assert!(contradictions(&scope(), &graph).iter().any(|wrong| wrong.contains("no way leads back")));
    }

    #[test]
    fn a_page_that_changes_without_being_named_is_noticed() {
        let mut graph = Graph::of(&scope());
        let given = |place: usize| {
            let alone = |(other, page): (usize, &Page)| match place == other {
                true => *page == Page::Given { users: 0 },
                false => *page == Page::Host,
            };
            graph.states.iter().position(|state| state.0.iter().enumerate().all(alone)).unwrap()
        };
        let (first, last) = (given(0), given(2));
        graph.edges[0].iter_mut().filter(|edge| edge.to == first).for_each(|edge| edge.to = last);
        assert!(contradictions(&scope(), &graph)[0].contains("which it does not name"));
    }
}
