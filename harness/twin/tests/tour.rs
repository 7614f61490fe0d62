//! Every operation in every state of a few pages, on one board after the other.

use parallax_addr::{Pfn, StreamId};
use parallax_graph::{Graph, Scope, Tour};
use parallax_trace::spec::RAM_BASE;
use parallax_twin::{Board, Twin, boot};

/// The first page frame of memory.
const RAM: u64 = RAM_BASE.get() >> 12;
/// A page of MMIO that the host has.
const RTC: u64 = 0x9010;

/// Pages as frames from the first of memory on.
fn scope(pages: &[u64], pins: u16) -> Scope {
    Scope {
        memory: pages.iter().map(|page| Pfn::new(RAM + page)).collect(),
        mmio: vec![Pfn::new(RTC)],
        streams: vec![StreamId::new(8)],
        pins,
    }
}

/// Takes every transition of `scope` on `board`, and says how many steps that were.
fn tour(board: Board, scope: &Scope) -> usize {
    let mut scope = scope.clone();
    if board.options == "smmu=off" {
        // Nobody keeps a device from anything.
        scope.streams.clear();
    }
    let graph = Graph::of(&scope);
    let mut twin: Twin = boot::boot(board);
    assert!(twin.at_boot().is_empty(), "{board:?}: {:?}", twin.at_boot());
    let mut steps = 0;
    for (state, edge) in Tour::new(&graph) {
        let operation = &graph.operations[edge.operation];
        let step = twin.perform(operation);
        let [before, after] = [state, edge.to].map(|state| &graph.states[state]);
        assert!(step.wrong.is_empty(), "{board:?}: {operation:?} in [{before}]: {:#?}", step.wrong);
        let same = edge.outcome.admits(&step.outcome);
        assert!(same, "{board:?}: {operation:?} in [{before}], to [{after}]: {}", step.outcome);
        steps += 1;
    }
    assert!(steps >= graph.transitions());
    steps
}

/// Two pages at the beginning of a block of 2 MiB and its last one.
const PAGES: [u64; 3] = [0x6000, 0x6001, 0x61ff];

#[test]
fn three_pages_on_every_board() {
    for options in ["", "smmu=shared", "smmu=off", "smmu.map=pages", "smmu.mmio=cacheable"] {
        tour(Board { options, ..Board::default() }, &scope(&PAGES, 2));
    }
}

/// Two pages at the end of a block, two at the beginning of the next one.
#[test]
fn four_pages_across_the_border_of_two_blocks() {
    tour(Board::default(), &scope(&[0x61fe, 0x61ff, 0x6200, 0x6201], 1));
}

/// More states than a machine under QEMU is led through.
#[test]
fn five_pages() {
    tour(Board::default(), &scope(&[0x6000, 0x6001, 0x61fe, 0x61ff, 0x6200], 2));
}
