//! Ratios of pairs of measurements, and what they must be.

use std::fmt;

/// Something measured in both boots of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) alone: f64,
    pub(crate) under: f64,
}

impl Pair {
    fn ratio(self) -> f64 {
        self.under / self.alone
    }
}

/// What a ratio must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    const fn verdict(self, ratio: Option<f64>) -> &'static str {
        match (self, ratio) {
            (Self::AtMost(limit), Some(ratio)) if ratio <= limit => "met",
            (Self::AtLeast(limit), Some(ratio)) if ratio >= limit => "met",
            _ => "not met",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
        }
    }
}

/// A row of the table: `what` by wall time, and its ratio by CPU time.
pub(crate) fn row(what: &str, wall: &[Pair], cpu: &[Pair], limit: Limit) -> [String; 10] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let of = |pick: fn(Pair) -> f64| median(wall.iter().map(|&pair| pick(pair)).collect());
    let ratio = of(Pair::ratio);
    let by_cpu = median(cpu.iter().map(|pair| pair.ratio()).collect());
    let extreme = |pick: fn(f64, f64) -> f64| number(wall.iter().map(|pair| pair.ratio()).reduce(pick));
    [
        what.to_owned(),
        number(of(|pair| pair.alone)),
        number(of(|pair| pair.under)),
        number(ratio),
        extreme(f64::min),
        extreme(f64::max),
        limit.to_string(),
        limit.verdict(ratio).to_owned(),
        number(by_cpu),
        limit.verdict(by_cpu).to_owned(),
    ]
}

/// The middle one; the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn a_limit_is_met_or_not() {
        assert_eq!(Limit::AtMost(1.5).verdict(Some(1.4)), "met");
        assert_eq!(Limit::AtMost(1.5).verdict(Some(1.6)), "not met");
        assert_eq!(Limit::AtLeast(0.7).verdict(Some(0.8)), "met");
        assert_eq!(Limit::AtLeast(0.7).verdict(Some(0.6)), "not met");
        assert_eq!(Limit::AtMost(1.5).verdict(None), "not met");
    }

    #[test]
    fn a_row_has_the_median_of_the_ratios_not_the_ratio_of_the_medians() {
        let pairs = [(1.0, 2.0), (10.0, 10.0), (4.0, 2.0)].map(|(alone, under)| Pair { alone, under });
        let row = row("x", &pairs, &[], Limit::AtMost(1.5));
        assert_eq!(row[1..6], ["4.00", "2.00", "1.00", "0.50", "2.00"]);
        assert_eq!(row[7..], ["met", "-", "not met"]);
    }
}
