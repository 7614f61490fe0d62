//! Any operations near every border that there is, on boards of all kinds, among them some with hardly a page for tables.

mod support;

use std::collections::BTreeMap;

use parallax_ops::Operation;
use parallax_twin::{Board, boot};
use support::{MEMORY, Random};

/// Operations of a machine, and machines of a board: a million operations in all.
const OPS: usize = 2_000;
const MACHINES: u64 = 42;
/// Names another number of machines: the night has more of them.
const MORE: &str = "PARALLAX_TWIN_MACHINES";

/// What must have come of what: everything that a call may end with.
const SEEN: [(&str, &[&str]); 11] = [
    ("host_share_hyp", &["ok", "EPERM"]),
    ("host_unshare_hyp", &["ok", "EPERM", "EBUSY"]),
    ("hyp_pin_shared_mem", &["ok", "EINVAL", "EPERM", "ENOMEM"]),
    ("hyp_unpin_shared_mem", &["ok", "EINVAL", "EPERM"]),
    ("host_donate_hyp", &["ok", "EINVAL", "EPERM", "ENOMEM"]),
    ("hyp_donate_host", &["ok", "EINVAL", "EPERM", "EBUSY", "ENOMEM"]),
    ("host_donate_hyp_mmio", &["EINVAL", "EPERM"]),
    ("hyp_donate_host_mmio", &["EINVAL", "EPERM"]),
    ("hypercall", &["NOT_SUPPORTED"]),
    ("host_write", &["ok", "abort"]),
    ("dma_read", &["ok", "abort"]),
];

const BOARDS: [&str; 12] = [
    "",
    "smmu=shared",
    "smmu=off",
    "smmu.map=pages",
    "smmu.mmio=cacheable",
    "donate_mmio=0x9010000,0x9020000",
    "host_s2_pages=11",
    "host_s2_pages=12 donate_mmio=0x9010000",
    "el2_free_pages=0",
    "el2_free_pages=3",
    "smmu=shared host_s2_pages=520",
    "smmu=off host_s2_pages=9 el2_free_pages=1",
];

/// What goes wrong when `operations` are performed, and after how many of them.
fn trouble(board: Board, operations: &[Operation]) -> Option<(usize, Vec<String>)> {
    counted(board, operations, &mut Counts::new())
}

/// How often each operation ended in which way.
type Counts = BTreeMap<(&'static str, String), u64>;

fn counted(board: Board, operations: &[Operation], counts: &mut Counts) -> Option<(usize, Vec<String>)> {
    let mut twin = boot::boot(board);
    assert!(twin.at_boot().is_empty(), "{board:?}: {:?}", twin.at_boot());
    operations.iter().enumerate().find_map(|(index, operation)| {
        let step = twin.perform(operation);
        *counts
            .entry((operation.spelled().0.name, step.outcome.clone().without_value().to_string()))
            .or_default() += 1;
        (!step.wrong.is_empty()).then_some((index, step.wrong))
    })
}

/// Those of `operations` without which nothing goes wrong.
fn needed(board: Board, mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut at = operations.len();
    while at > 0 {
        at -= 1;
        let mut fewer = operations.clone();
        fewer.remove(at);
        if let Some((last, _)) = trouble(board, &fewer) {
            fewer.truncate(last + 1);
            operations = fewer;
            at = at.min(operations.len());
        }
    }
    operations
}

#[test]
fn nothing_is_wrong_after_any_operation() {
    let machines = std::env::var(MORE).map_or(MACHINES, |text| text.parse().expect(MORE));
    let mut counts = Counts::new();
    for (number, options) in (0..).zip(BOARDS) {
        let board = Board { options, memory: MEMORY, smmu_bits: if number % 2 == 0 { 48 } else { 40 } };
        for machine in 0..machines {
            let mut random = Random::new(number << 32 | machine);
            let mut operations: Vec<Operation> = (0..OPS).map(|_| random.operation()).collect();
            if let Some((last, _)) = counted(board, &operations, &mut counts) {
                operations.truncate(last + 1);
                let operations = needed(board, operations);
                let (_, wrong) = trouble(board, &operations).expect("trouble");
                panic!("{board:?}, machine {machine}:\n{operations:#x?}\n{wrong:#?}");
            }
        }
    }
    for (word, outcomes) in SEEN {
        for outcome in outcomes {
            let count = counts.get(&(word, (*outcome).to_owned())).copied().unwrap_or_default();
            assert!(count > 20, "{word} ended with {outcome} {count} times");
        }
    }
}
