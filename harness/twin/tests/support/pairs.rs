//! Two operations at the same time, under schedules that shuttle draws.

use std::sync::atomic::{AtomicBool, Ordering};

use parallax_addr::{Ipa, PAGE_SHIFT, Pfn, StreamId};
use parallax_ops::{Call, CpuAccess, DmaAccess, Operation, Outcome};
use parallax_trace::spec::RAM_BASE;
use parallax_twin::{Board, boot, hardware};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner, thread};

const RAM: u64 = RAM_BASE.get() >> 12;
/// The last page of a block of 2 MiB; the next one is the first of another.
const PAGE: Pfn = Pfn::new(RAM + 0x21ff);
/// Preemptions that PCT puts in.
const DEPTH: usize = 3;

fn call(call: Call) -> Operation {
    Operation::Hypercall(call)
}

fn ipa(pfn: Pfn) -> Ipa {
    Ipa::new(pfn.get() << PAGE_SHIFT)
}

fn read(pfn: Pfn) -> Operation {
    Operation::Access(CpuAccess::Read { ipa: ipa(pfn), size: 8, normal: 0 })
}

fn dma(pfn: Pfn) -> Operation {
    Operation::Dma(DmaAccess::Read { sid: StreamId::new(8), ipa: ipa(pfn), len: 8 })
}

/// What leads to each state of the page that the pairs begin in.
pub(crate) fn beginnings() -> Vec<Vec<Operation>> {
    let (pfn, nr) = (PAGE, 1);
    let share = call(Call::HostShareHyp { pfn });
    let pin = call(Call::HypPinSharedMem { pfn, nr });
    let donate = call(Call::HostDonateHyp { pfn, nr });
    vec![vec![], vec![read(pfn), dma(pfn)], vec![read(pfn), share], vec![share, pin], vec![read(pfn), donate]]
}

/// What is done at the same time.
pub(crate) fn operations() -> Vec<Operation> {
    let (pfn, next) = (PAGE, Pfn::new(PAGE.get() + 1));
    vec![
        call(Call::HostShareHyp { pfn }),
        call(Call::HostUnshareHyp { pfn }),
        call(Call::HypPinSharedMem { pfn, nr: 1 }),
        call(Call::HypUnpinSharedMem { pfn, nr: 1 }),
        call(Call::HostDonateHyp { pfn, nr: 1 }),
        call(Call::HostDonateHyp { pfn, nr: 2 }),
        call(Call::HostDonateHyp { pfn: next, nr: 1 }),
        call(Call::HypDonateHost { pfn, nr: 1 }),
        read(pfn),
        read(next),
        dma(pfn),
    ]
}

/// Whether both CPUs are under way: before and after that nobody else has a turn.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);

fn turn() {
    if UNDER_WAY.load(Ordering::Relaxed) {
        thread::yield_now();
    }
}

/// Performs `pair` at the same time after `beginning`, once under the schedule that is being tried.
fn once(board: Board, beginning: &[Operation], pair: [Operation; 2]) {
    let mut twin = boot::boot(board);
    for operation in beginning {
        let wrong = twin.perform(operation).wrong;
        assert!(wrong.is_empty(), "{operation:?}: {wrong:#?}");
    }
    twin.begin();
    UNDER_WAY.store(true, Ordering::Relaxed);
    let cpus = pair.map(|operation| {
        let machine = twin.machine();
        thread::spawn(move || machine.perform(&operation))
    });
    let outcomes: Vec<Outcome> = cpus.into_iter().map(|cpu| cpu.join().expect("an outcome")).collect();
    UNDER_WAY.store(false, Ordering::Relaxed);
    let performed: Vec<_> = pair.into_iter().zip(outcomes).collect();
    let wrong = twin.end(&performed);
    assert!(wrong.is_empty(), "after {beginning:#x?}, at the same time {performed:#x?}:\n{wrong:#?}");
}

/// Runs `pair` so many times after `beginning`, by each of two schedulers: each choice at random, and few preemptions at any place.
pub(crate) fn run(board: Board, beginning: &[Operation], pair: [Operation; 2], (seed, times): (u64, usize)) {
    by(RandomScheduler::new_from_seed(seed, times), board, beginning.to_vec(), pair);
    by(PctScheduler::new_from_seed(seed, DEPTH, times), board, beginning.to_vec(), pair);
}

fn by(scheduler: impl Scheduler + 'static, board: Board, beginning: Vec<Operation>, pair: [Operation; 2]) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || once(board, &beginning, pair));
}

/// From now on both CPUs have turns.
pub(crate) fn set_up() {
    hardware::on_turn(turn);
}

/// All pairs, in every state that they begin in.
pub(crate) fn pairs() -> impl Iterator<Item = (Vec<Operation>, [Operation; 2])> {
    let all = operations();
    let pairs: Vec<[Operation; 2]> = (0..all.len())
        .flat_map(|index| all[index..].iter().map(move |second| (index, *second)))
        .map(|(index, second)| [all[index], second])
        .collect();
    beginnings()
        .into_iter()
        .flat_map(move |beginning| pairs.clone().into_iter().map(move |pair| (beginning.clone(), pair)))
}

/// The machine.
pub(crate) fn board(options: &'static str) -> Board {
    Board { options, memory: 64 << 20, smmu_bits: 40 }
}
