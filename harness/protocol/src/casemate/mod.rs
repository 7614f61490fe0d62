//! The Casemate trace format: a text of s-expressions, one event each.
//!
//! ```text
//! (mem-write (id 3) (tid 0) (mem-order plain) (address 0x40001000) (value 0x0) (src "good.c:12"))
//! ```
//!
//! The condensed form has the same fields by position: `(mem-write 3 0 "good.c:12" plain 0x40001000 0x0)`. Lines that
//! begin with `! ` carry verdicts and are passed over, as are log lines before the first event of a line. Beyond
//! Casemate's own events this crate reads and writes those of the SMMU, which Casemate does not have: see [`write()`]; [`plain()`] writes what Casemate itself takes.

mod fields;
mod place;
mod plain;
mod read;
mod sexp;
mod write;

pub use plain::plain;
pub use read::{Log, ReadError, Sources, parse, read};
pub use sexp::Error;
pub use write::{Form, write};

/// Whether a file that begins with `bytes` begins as what is written here, with named fields, does.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().next().unwrap_or_default();
    first.starts_with('(') && first.contains(" (id ")
}
