//! A number of CPUs as an argument.

use clap::builder::RangedI64ValueParser;
use parallax_trace::spec::CPUS;

/// A number of CPUs that a machine can have.
pub(super) fn cpus() -> RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(i64::from(*CPUS.start())..=i64::from(*CPUS.end()))
}
