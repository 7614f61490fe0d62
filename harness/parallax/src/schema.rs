//! The forms that the command prints, which `parallax schema` lists.

use parallax_bench::document::{self as bench, Benched};
use parallax_fuzz::document::{self as fuzz, Attacked, Explored, Fuzzed};
use parallax_nightly::history::{self as nightly, Night};
use parallax_report::bench_targets::{self, Benched as BenchTargets};
use parallax_report::report::{self, Document};
use parallax_suite::bisect::report as bisect;
use parallax_suite::bisect::{ROW_SCHEMA, RowReport};
use parallax_suite::coverage::document::{self as coverage, Covered};
pub use parallax_suite::schema::Published;

/// All of them.
pub const ALL: &[Published] = &[
    Published::of::<Document>("run", report::SCHEMA, "parallax run --format json"),
    Published::of::<bisect::Report>("bisect", bisect::SCHEMA, "parallax bisect --format json"),
    Published::of::<Attacked>("attack", fuzz::SCHEMA, "parallax attack --format json"),
    Published::of::<Fuzzed>("fuzz", fuzz::FUZZED, "parallax fuzz --format json"),
    Published::of::<Explored>("explore", fuzz::EXPLORED, "parallax explore --format json"),
    Published::of::<Covered>("coverage", coverage::SCHEMA, "parallax coverage --format json"),
    Published::of::<Benched>("bench", bench::SCHEMA, "parallax bench --format json"),
    Published::of::<BenchTargets>(
        "bench-targets",
        bench_targets::SCHEMA,
        "parallax bench --target TARGETS --format json",
    ),
    Published::of::<RowReport>("bisect-kernels", ROW_SCHEMA, "parallax bisect --kernels DIR --format json"),
    Published::of::<Night>("night", nightly::SCHEMA, "parallax nightly history --format json"),
];

/// The form with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Published> {
    ALL.iter().find(|published| published.name == name)
}
