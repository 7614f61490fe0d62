//! Two operations at the same time, on the same page and on neighbours, under schedules that shuttle draws: whichever CPU has its turn
//! between two accesses to memory, each operation must have happened at one moment.

#[path = "support/pairs.rs"]
mod pairs;

/// Times that each pair is run, by each scheduler.
const TIMES: usize = 8;
/// Names another number of times: the night has more.
const MORE: &str = "PARALLAX_TWIN_SCHEDULES";

#[test]
fn every_pair_happens_in_some_order() {
    pairs::set_up();
    let times = std::env::var(MORE).map_or(TIMES, |text| text.parse().expect(MORE));
    for options in ["", "smmu=shared"] {
        for ((beginning, pair), seed) in pairs::pairs().zip(0..) {
            pairs::run(pairs::board(options), &beginning, pair, (seed, times));
        }
    }
}
