//! The command that the tests run.

/// Where a test archive was unpacked, or where it was built.
pub(crate) fn program() -> String {
    std::env::var("NEXTEST_BIN_EXE_parallax").unwrap_or_else(|_| env!("CARGO_BIN_EXE_parallax").to_owned())
}
