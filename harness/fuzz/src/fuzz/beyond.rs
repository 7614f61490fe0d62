//! The switchable faults that random operations cannot find, each with the reason.
//!
//! `parallax faults --score` holds the list: a fault that is not found and not on it fails, and so does one that is on it and found.

use parallax_abi::fault::Fault;

/// It shows itself when another CPU comes between two steps.
const TWO_CPUS: &str = "two CPUs must be in the hypervisor at once: `parallax schedules` finds it";

/// They and why, in the order of the faults.
pub const BEYOND: &[(Fault, &str)] = &[
    (Fault::HostShareJudgedEarly, TWO_CPUS),
    (Fault::SecondFaultRefused, TWO_CPUS),
    (Fault::HostUnshareJudgedEarly, TWO_CPUS),
    (Fault::PinJudgedEarly, TWO_CPUS),
    (Fault::UnpinJudgedEarly, TWO_CPUS),
    (Fault::HostDonateJudgedEarly, TWO_CPUS),
    (Fault::HypDonateJudgedEarly, TWO_CPUS),
    (Fault::HostFaultJudgedEarly, TWO_CPUS),
];

/// Why `fault` is not found, if it is on the list.
#[must_use]
pub fn reason(fault: Fault) -> Option<&'static str> {
    BEYOND.iter().find(|(listed, _)| *listed == fault).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_same_list() {
        let rows =
            |text: &str| text.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
        let listed = BEYOND.iter().map(|(fault, reason)| format!("| `{}` | {reason} |", fault.name()));
        let page = include_str!("../../../../docs/fuzz.md");
        let section =
            page.split("## What it does not find").nth(1).and_then(|rest| rest.split("\n## ").next());
        let shown: Vec<String> = rows(section.expect("the section"));
        assert_eq!(shown, listed.collect::<Vec<_>>());
    }

    #[test]
    fn each_is_listed_once_in_order() {
        assert!(BEYOND.is_sorted_by(|(one, _), (other, _)| one < other));
    }
}
