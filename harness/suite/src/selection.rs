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
            refused.push((case.name_here(), error));
            false
        }
    });
    let count = refused.len();
    if cases.is_empty()
        && let Some((label, error)) = refused.first()
        && refused.iter().all(|(_, other)| (&other.found, &other.expected) == (&error.found, &error.expected))
    {
        let which = if count == 1 { visible::line(label).to_string() } else { format!("{count} traces") };
        let (keys, found) = (visible::line(keys), visible::line(&error.found));
        return Err(Failure::usage(format!(
            "{which}: --machine {keys}: found {found}, expected {}",
            error.expected
        )));
    }
    for (label, error) in refused {
        let label = visible::line(&label);
        parallax_engine::note!("left out: {label}: {}, not {}", visible::line(&error.found), error.expected);
    }
    if cases.is_empty() {
        let keys = visible::line(keys);
        return Err(Failure::usage(format!("--machine {keys}: none of {count} traces fits it")));
    }
    Ok(())
}

/// Leaves those of `cases` out, telling so, that perform operations at once: `target` has no schedules.
///
/// # Errors
/// All do.
pub fn leave_schedules_out(cases: &mut Vec<Case>, target: &str) -> Result<(), Failure> {
    let is_left_out = |case: &Case| case.trace.ops.iter().any(|op| op.at_once.is_some());
    let why = format!("{target} has no schedules");
    if !cases.is_empty() && cases.iter().all(is_left_out) {
        let which = match &cases[..] {
            [case] => visible::line(&case.name_here()).to_string(),
            all => format!("{} traces", all.len()),
        };
        let remedy = "leave `together` and `end` out, or run it on hyp";
        return Err(Failure::usage(format!("{which}: {why}: {remedy}")));
    }
    for case in cases.iter().filter(|case| is_left_out(case)) {
        parallax_engine::note!("left out: {}: {why}", visible::line(&case.place.label));
    }
    cases.retain(|case| !is_left_out(case));
    Ok(())
}

/// Part `part` (from 1 on) of `of`. Neighbours are often alike and take alike: they go to different parts.
#[must_use]
pub fn partition<T>(cases: Vec<T>, part: usize, of: usize) -> Vec<T> {
    cases.into_iter().skip(part - 1).step_by(of).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use parallax_report::golden::Place;
    use parallax_trace::Trace;

    use super::*;

    fn cases(texts: &[(&str, &str)]) -> Vec<Case> {
        let case = |(name, text): &(&str, &str)| Case {
            trace: Trace::parse(name, text).unwrap(),
            place: Place::of(Path::new(name)),
        };
        texts.iter().map(case).collect()
    }

    #[test]
    fn a_machine_that_no_trace_fits_is_an_error_that_names_the_trace() {
        let (plain, second) = (("a.trace", "nop"), ("b.trace", "machine cpus=2\nnop\ncpu=1 nop"));
        let said = |traces: &[(&str, &str)], keys: &str| {
            let mut cases = cases(traces);
            change_machines(&mut cases, keys).map(|()| cases.len()).map_err(|failure| failure.message)
        };
        assert_eq!(said(&[plain, second], "cpus=1"), Ok(1));
        let one = said(&[second], "cpus=1").unwrap_err();
        assert_eq!(
            one,
            "b.trace: --machine cpus=1: found too few CPUs, expected as many as line 3 of the trace uses"
        );
        let all = said(&[plain, second], "mem=1T").unwrap_err();
        assert!(all.starts_with("2 traces: --machine mem=1T: found `1T`, expected a size"), "{all}");
        let third = ("c.trace", "machine cpus=2\ncpu=1 nop");
        assert_eq!(
            said(&[second, third], "cpus=1").unwrap_err(),
            "--machine cpus=1: none of 2 traces fits it"
        );
    }

    #[test]
    fn what_has_a_schedule_is_left_out_where_there_is_none() {
        let at_once = ("b.trace", "machine cpus=2\ntogether\nnop\ncpu=1 nop\nend");
        let mut both = cases(&[("a.trace", "nop"), at_once]);
        leave_schedules_out(&mut both, "pkvm:7.3").unwrap();
        assert_eq!(both.iter().map(|case| case.trace.path.as_str()).collect::<Vec<_>>(), ["a.trace"]);
        assert_eq!(
            leave_schedules_out(&mut cases(&[at_once]), "pkvm:7.3").unwrap_err().message,
            "b.trace: pkvm:7.3 has no schedules: leave `together` and `end` out, or run it on hyp"
        );
    }

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
