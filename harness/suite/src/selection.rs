//! Which cases of those that were loaded are run, and on which machines.

use parallax_engine::status::Failure;
use parallax_engine::visible;

use crate::cases::Case;

/// Changes the machines of `cases`, and leaves those out, telling so, that do not fit it.
///
/// # Errors
/// None fits, or the machine makes no sense.
pub fn change_machines(cases: &mut Vec<Case>, keys: &str) -> Result<(), Failure> {
    let mut refused = Vec::new();
    cases.retain_mut(|case| match case.trace.change_machine(keys) {
        Ok(()) => true,
        Err(error) => {
            refused.push((case.place.label.clone(), error));
            false
        }
    });
    if cases.is_empty()
        && let Some((_, error)) = refused.pop()
    {
        return Err(Failure::usage(error));
    }
    for (label, error) in refused {
        let label = visible::line(&label);
        parallax_engine::note!("left out: {label}: {}, not {}", visible::line(&error.found), error.expected);
    }
    Ok(())
}

/// Part `part` (from 1 on) of `of`. Neighbours are often alike and take alike: they go to different parts.
#[must_use]
pub fn partition<T>(cases: Vec<T>, part: usize, of: usize) -> Vec<T> {
    cases.into_iter().skip(part - 1).step_by(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_together_are_everything_once() {
        let all: Vec<usize> = (0..23).collect();
        for of in 1..30 {
            let mut parts: Vec<usize> = (1..=of).flat_map(|part| partition(all.clone(), part, of)).collect();
            parts.sort_unstable();
            assert_eq!(parts, all);
        }
    }
}
