//! What was performed of a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use parallax_graph::Edge;
use parallax_report::text_table;
use parallax_spec::Page;

use super::kept::Done;
use super::{Exploration, Shard};

/// Which transitions were performed, and how many operations that took.
#[derive(Clone, Debug, Default)]
pub struct Performed {
    /// Operations, those on the way from one transition to the next included.
    pub operations: u64,
    /// Transitions that were performed once more, on pages that nobody had touched.
    pub untouched: u64,
    /// Whether the user ended it before all was performed.
    pub interrupted: bool,
    /// For each state the operations that were performed in it.
    taken: Vec<BTreeSet<usize>>,
}

impl Performed {
    /// Nothing of `exploration` yet.
    #[must_use]
    pub fn of(exploration: &Exploration) -> Self {
        Self { taken: vec![BTreeSet::new(); exploration.graph.states.len()], ..Self::default() }
    }

    pub(super) fn count(&mut self, state: usize, edge: &Edge) {
        self.operations += 1;
        self.taken[state].insert(edge.operation);
    }

    /// Counts `shard`, which was performed before.
    pub fn count_before(&mut self, exploration: &Exploration, shard: Shard, done: Done) {
        self.operations += done.operations;
        self.untouched += done.untouched;
        for (state, edges) in exploration.graph.edges.iter().enumerate() {
            if state % shard.count == shard.index {
                self.taken[state].extend(edges.iter().map(|edge| edge.operation));
            }
        }
    }

    /// In how many operations it was performed.
    #[must_use]
    pub const fn done(&self) -> Done {
        Done { operations: self.operations, untouched: self.untouched }
    }

    /// Counts what `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.untouched += other.untouched;
        self.interrupted |= other.interrupted;
        for (mine, theirs) in self.taken.iter_mut().zip(&other.taken) {
            mine.extend(theirs);
        }
    }

    /// How many different transitions.
    #[must_use]
    pub fn transitions(&self) -> usize {
        self.taken.iter().map(BTreeSet::len).sum()
    }
}

/// The kinds of pages that rows of a table are counted by.
const KINDS: [&str; 6] = ["host's", "lent", "pinned", "given", "mmio", "several"];

impl Performed {
    /// Transitions of `exploration` that were performed: by the operation, and in the order of [`KINDS`] by what the pages are that it names.
    pub(crate) fn counts<'a>(&self, exploration: &'a Exploration) -> BTreeMap<&'a str, [u64; KINDS.len()]> {
        let mut counts: BTreeMap<&str, [u64; KINDS.len()]> = BTreeMap::new();
        for (state, taken) in self.taken.iter().enumerate() {
            for operation in taken {
                let kind = exploration.kind(state, *operation);
                counts.entry(exploration.actions[*operation].name).or_default()[kind] += 1;
            }
        }
        counts
    }
}

/// What was performed, as a table: operations by what the pages are that they name.
#[must_use]
pub fn summary(exploration: &Exploration, performed: &Performed) -> String {
    let graph = &exploration.graph;
    let counts = performed.counts(exploration);
    let mut header = vec!["transitions"];
    header.extend(KINDS);
    let header: [String; KINDS.len() + 1] = std::array::from_fn(|column| header[column].to_owned());
    let row = |(name, counts): (&&str, &[u64; KINDS.len()])| {
        std::array::from_fn(|column| match column {
            0 => (*name).to_owned(),
            _ => counts[column - 1].to_string(),
        })
    };
    let rows: Vec<[String; KINDS.len() + 1]> = counts.iter().map(row).collect();
    let mut text = format!(
        "{}\n{} states, {} transitions\n",
        exploration.scope(),
        graph.states.len(),
        graph.transitions()
    );
    text += &text_table::render(&header, &rows, usize::MAX);
    let _ = writeln!(
        text,
        "\nperformed {} of {} transitions in {} operations, all tables checked after each",
        performed.transitions(),
        graph.transitions(),
        performed.operations
    );
    if performed.untouched > 0 {
        let _ = writeln!(text, "and {} once more on pages that nobody had touched", performed.untouched);
    }
    text
}

impl Exploration {
    /// The place in [`KINDS`] of what `operation` names in `state`.
    fn kind(&self, state: usize, operation: usize) -> usize {
        let named = self.graph.operations[operation].footprint().pages;
        let state = &self.graph.states[state];
        let pages = self.scope.memory.iter().zip(&state.0);
        let kinds: BTreeSet<usize> = pages
            .filter(|(pfn, _)| pfn.ipa().is_some_and(|ipa| named.is_some_and(|named| named.contains(ipa))))
            .map(|(_, page)| match page {
                Page::Host => 0,
                page if page.is_pinned() => 2,
                Page::Lent { .. } => 1,
                _ => 3,
            })
            .collect();
        match (kinds.len(), kinds.first()) {
            (1, Some(kind)) => *kind,
            (0, _) => 4,
            _ => 5,
        }
    }
}
