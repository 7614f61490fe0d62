//! Which CPU goes on when several are between two points of the hypervisor.

use std::fmt;
use std::str::FromStr;

use crate::batch::CpuId;

/// Most turns of a schedule.
pub const MOST_TURNS: usize = 4096;

/// CPUs in turn, each until the next point at which another may go on: a lock, a store that publishes, a TLBI, a barrier. A CPU that
/// cannot go on is passed over. Behind the last turn the CPU that had it goes on as far as it can, then of the others the one with the
/// lowest number.
/// As text a digit for each turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Vec<CpuId>);

impl Schedule {
    /// `turns`, of CPUs 0 to 9, at most [`MOST_TURNS`]; more, and those of other CPUs, are left out.
    #[must_use]
    pub fn new(turns: impl IntoIterator<Item = CpuId>) -> Self {
        Self(turns.into_iter().filter(|cpu| cpu.get() < 10).take(MOST_TURNS).collect())
    }

    /// The turns.
    #[must_use]
    pub fn turns(&self) -> &[CpuId] {
        &self.0
    }

    /// How often another CPU has the turn than before.
    #[must_use]
    pub fn switches(&self) -> usize {
        self.0.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|cpu| write!(f, "{}", cpu.get()))
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MOST_TURNS {
            return Err(format!("at most {MOST_TURNS} digits"));
        }
        let turn = |digit: char| digit.to_digit(10).map(|cpu| CpuId::new(cpu.into()));
        let turns: Option<Vec<CpuId>> = text.chars().map(turn).collect();
        turns.map(Self).ok_or_else(|| "a digit for each turn, the number of a CPU".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_its_digits() {
        let schedule: Schedule = "0110".parse().unwrap();
        assert_eq!((schedule.to_string().as_str(), schedule.switches()), ("0110", 2));
        assert_eq!("".parse(), Ok(Schedule::default()));
        assert!("01x".parse::<Schedule>().is_err());
        assert!("0".repeat(MOST_TURNS + 1).parse::<Schedule>().is_err());
    }
}
