//! What a driver in order does with the host's own SMMU, each with the result that it must have: a scene at a time, in pages that nobody
//! else uses. A scene begins with an SMMU that is off, whatever came before.
//!
//! | module | scenes |
//! | --- | --- |
//! | [`usual`] | what every driver does |
//! | [`errors`] | what GERROR tells of |
//! | [`tables`] | stream tables at the limits of their format |
//! | [`queues`] | queues of more than one page, and two at one address |
//! | [`alone`] | one command, with nothing beside it that would do its work |
//! | [`fields`] | commands and entries whose fields all have a value |
//! | [`registers`] | registers that CR0 guards, and halves of registers |
//! | [`held`] | memory that cannot be held, and as much as can be |
//! | [`left`] | work that one access leaves to the next |
//! | [`its`] | the queue of the ITS, ITTs, and registers of both |
//! | [`its_commands`] | commands of the ITS at their limits |
//! | [`stage1`] | context descriptors, and what is remembered of a stage 1 |

mod alone;
mod errors;
mod fields;
mod held;
mod its;
mod its_commands;
mod left;
mod queues;
mod registers;
mod stage1;
mod tables;
mod usual;

use parallax_ops::Outcome;
use parallax_trace::{Op, Trace};

use super::generator::{Generator, Step};
use super::kind::Kind;
use super::machines::Special;
use crate::random::Random;

/// What a card has done next.
type Scene = fn(&mut Generator, usize) -> Vec<Op>;
/// How many cards of a deck have a scene, and what it is counted as beside [`Kind::Scene`]. A scene with several variants has a card for
/// each.
type Cards = (usize, Option<Kind>, Scene);

/// The scenes of a machine: with many streams it takes long until all have heard that the SMMU is on, so those need no stream.
const fn scenes(special: Special) -> &'static [&'static [Cards]] {
    match special {
        Special::Wide => &[tables::WIDE, queues::CARDS],
        Special::NoMap => &[held::NO_MAP],
        Special::NoTable => &[held::NO_TABLE],
        Special::Left => &[left::CARDS],
        Special::Failed => &[errors::FAILED],
        Special::Full => &[held::ALL],
        Special::Its => &[its::CARDS, its_commands::CARDS],
        _ => &[
            usual::CARDS,
            errors::CARDS,
            tables::CARDS,
            alone::CARDS,
            fields::CARDS,
            registers::CARDS,
            stage1::CARDS,
        ],
    }
}

/// The scenes that come next, the last one first. So a machine that is long enough for a whole deck has each, whatever the seed.
#[derive(Debug, Default)]
pub(super) struct Deck(Vec<(Scene, usize, Option<Kind>)>);

impl Deck {
    /// The next card: its scene, which of that scene's cards it is, and what it is counted as. An empty deck is a new one of `all`,
    /// shuffled.
    fn deal(&mut self, all: &[&[Cards]], random: &mut Random) -> (Scene, usize, Option<Kind>) {
        if self.0.is_empty() {
            let all = all.iter().copied().flatten();
            self.0.extend(all.flat_map(|(cards, kind, scene)| (0..*cards).map(|card| (*scene, card, *kind))));
            random.shuffle(&mut self.0);
        }
        self.0.pop().expect("a new deck has cards")
    }
}

/// The next scene.
pub(super) fn scene(generator: &mut Generator) {
    let all = scenes(generator.setting.special);
    let (scene, card, place) = generator.deck.deal(all, &mut generator.random);
    let ops = scene(generator, card);
    // Each of them must be done, where no more than that is said: so they are kept together.
    let done = |op: Op| Op { expect: op.expect.or(Some(Outcome::Ok { value: None })), ..op };
    let steps = ops.into_iter().map(|op| Step { kind: Kind::Scene, place, op: done(op) });
    generator.steps.extend(steps);
}

/// A scene's lines, of a trace, for card number `card`; `errors` is GERROR, which it may change.
type Lines = fn(card: usize, random: &mut Random, errors: &mut u64) -> String;

fn told(generator: &mut Generator, lines: Lines, card: usize) -> Vec<Op> {
    let lines = lines(card, &mut generator.random, &mut generator.errors);
    let text = format!("{OFF}{lines}smmu_write CR0 0\n");
    Trace::parse("scene", &text).expect("the scenes of this module are well formed").ops
}

/// The same, where the host's own SMMU has no part, or there is none.
fn told_without_smmu(generator: &mut Generator, lines: Lines, card: usize) -> Vec<Op> {
    let lines = lines(card, &mut generator.random, &mut generator.errors);
    Trace::parse("scene", &lines).expect("the scenes of this module are well formed").ops
}

/// The variant of a scene that its card number `card` shows.
fn variant<T: Copy>(card: usize, variants: &[T]) -> T {
    variants[card % variants.len()]
}

/// How each begins. Whatever came before, it is known from then on how the SMMU stands.
const OFF: &str = "\
smmu_write CR0 0
smmu_read CR0ACK => ok value=0
smmu_read GERROR
smmu_read GERRORN
smmu_read IRQ_CTRL
smmu_write CR2 0
smmu_write EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x7000000
smmu_write EVENTQ_PROD 0
smmu_write EVENTQ_CONS 0
smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x7001000
smmu_write CMDQ_PROD 0
smmu_write CMDQ_CONS 0
smmu_write STRTAB_BASE ADDR=ram+0x7002000
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_card_comes_once_before_any_comes_again() {
        for special in [
            Special::Scenes,
            Special::Wide,
            Special::NoMap,
            Special::Full,
            Special::NoTable,
            Special::Left,
            Special::Failed,
            Special::Its,
        ] {
            let (mut deck, mut random) = (Deck::default(), Random::new(1, 1));
            let cards = || scenes(special).iter().copied().flatten().map(|(cards, ..)| *cards);
            for _ in 0..3 {
                let size = cards().sum();
                let mut dealt: Vec<usize> =
                    (0..size).map(|_| deck.deal(scenes(special), &mut random).1).collect();
                dealt.sort_unstable();
                let mut all: Vec<usize> = cards().flat_map(|cards| 0..cards).collect();
                all.sort_unstable();
                assert_eq!(dealt, all);
                assert!(deck.0.is_empty());
            }
        }
    }
}
