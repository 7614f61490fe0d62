//! Stream table entries that are replaced in the wrong steps.

use crate::fault::{Fault, on};
use crate::smmu::Ste;

/// The steps from `from` to `to`, in place of the right ones.
pub(crate) fn steps(from: &Ste, to: &Ste, steps: [Ste; 3]) -> [Ste; 3] {
    // With the head of the new entry over the old one.
    let early = Ste(core::array::from_fn(|i| if i == 0 { to.0[0] } else { from.0[i] }));
    let is_live = steps[0] != from.without_head() || steps[1] != to.without_head();
    if on(Fault::SteChangedLive) {
        [*to; 3]
    } else if on(Fault::SteUnordered) {
        [from.without_head(), *to, *to]
    } else if on(Fault::SteValidFirst) {
        [from.without_head(), early, *to]
    } else if on(Fault::EmulLiveHeadOnly) && is_live {
        [*from, early, early]
    } else {
        steps
    }
}
