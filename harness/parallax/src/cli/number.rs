//! Numbers as arguments: in decimal, or with `0x` in hexadecimal, as in traces.

use std::ops::RangeInclusive;

/// What decides random choices: any number of 64 bits.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    let number = parallax_addr::parse_number(text);
    number.ok_or_else(|| format!("expected a number from 0 to {}, such as 7 or 0x5", u64::MAX))
}

/// A number in `range`.
pub(super) fn within<T>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: TryFrom<u64>,
{
    move |text| {
        let number = parallax_addr::parse_number(text).filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cmd::Cli;

    #[test]
    fn a_seed_is_written_as_numbers_of_traces_are() {
        assert_eq!([seed("5"), seed("0x5"), seed("0xffffffffffffffff")], [Ok(5), Ok(5), Ok(u64::MAX)]);
        for text in ["", "x", "0x", "-1", "18446744073709551616", "0x10000000000000000", "1.5"] {
            let said = seed(text).unwrap_err();
            assert!(said.ends_with("18446744073709551615, such as 7 or 0x5"), "{text}: {said}");
        }
    }

    #[test]
    fn a_number_out_of_its_range_is_told_with_it() {
        let jobs = within::<u16>(1..=64);
        assert_eq!([jobs("1"), jobs("0x40")], [Ok(1), Ok(64)]);
        for text in ["0", "65", "99999999999999999999", "-1", "two"] {
            assert_eq!(jobs(text).unwrap_err(), "expected a number from 1 to 64", "{text}");
        }
    }

    #[test]
    fn a_seed_below_zero_is_a_number_that_does_not_fit_and_no_argument() {
        for command in ["fuzz", "attack", "schedules", "faults --score"] {
            let words = format!("parallax {command} --seed -1");
            let error = Cli::command().try_get_matches_from(words.split(' ')).unwrap_err().to_string();
            assert!(error.contains("expected a number from 0 to 18446744073709551615"), "{error}");
        }
    }
}
