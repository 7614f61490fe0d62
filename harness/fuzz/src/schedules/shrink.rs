//! From a schedule that shows something to one with fewer switches that does.

use parallax_machine::MachineError;
use parallax_ops::CpuId;

/// A CPU, and how many turns it has without another one between.
type Run = (CpuId, usize);

/// The turns as runs.
fn runs(turns: &[CpuId]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for cpu in turns {
        match runs.last_mut() {
            Some((last, count)) if last == cpu => *count += 1,
            _ => runs.push((*cpu, 1)),
        }
    }
    runs
}

fn turns(runs: &[Run]) -> Vec<CpuId> {
    runs.iter().flat_map(|(cpu, count)| std::iter::repeat_n(*cpu, *count)).collect()
}

/// The shortest schedule that `shows` the same, found with at most `trials` attempts: first without its end, then without runs in the
/// middle, then with shorter runs.
pub(super) fn shrink(
    schedule: Vec<CpuId>,
    mut trials: usize,
    shows: &mut dyn FnMut(&[CpuId]) -> Result<bool, MachineError>,
) -> Result<Vec<CpuId>, MachineError> {
    let mut best = runs(&schedule);
    let mut changed = true;
    while changed {
        changed = false;
        for candidate in shorter(&best) {
            if trials == 0 {
                return Ok(turns(&best));
            }
            trials -= 1;
            if shows(&turns(&candidate))? {
                best = runs(&turns(&candidate));
                changed = true;
                break;
            }
        }
    }
    Ok(turns(&best))
}

/// What is simpler than `all`, the simplest first.
fn shorter(all: &[Run]) -> Vec<Vec<Run>> {
    let mut candidates = Vec::new();
    let mut keep = 0;
    while keep < all.len() {
        candidates.push(all[..keep].to_vec());
        keep = (keep * 2).max(keep + 1);
    }
    if !all.is_empty() {
        candidates.push(all[..all.len() - 1].to_vec());
    }
    for without in 0..all.len() {
        candidates.push([&all[..without], &all[without + 1..]].concat());
    }
    for (index, (cpu, count)) in all.iter().enumerate() {
        for less in [count / 2, count - 1] {
            if (1..*count).contains(&less) {
                let mut candidate = all.to_vec();
                candidate[index] = (*cpu, less);
                candidates.push(candidate);
            }
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stays() {
        let cpu = |number: &u8| CpuId::new(u64::from(*number));
        // CPU 1 must go on after at least three turns of CPU 0.
        let mut shows = |turns: &[CpuId]| {
            let first = turns.iter().position(|turn| *turn == cpu(&1));
            Ok(first.is_some_and(|first| first >= 3))
        };
        let long: Vec<CpuId> = [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0].iter().map(cpu).collect();
        let short = shrink(long, 200, &mut shows).unwrap();
        assert_eq!(short, [0, 0, 0, 1].iter().map(cpu).collect::<Vec<_>>());
    }
}
