//! Notes beside the output.

use std::io::Write;

/// Writes `line` to the standard error. That it cannot be written ends nothing: what the command found is not lost for a note.
pub fn line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line to the standard error, as `eprintln!` does, which panics where it cannot.
#[macro_export]
macro_rules! note {
    ($($text:tt)*) => { $crate::note::line(&format!($($text)*)) };
}
