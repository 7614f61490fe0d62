//! A recording as one HTML file: everything that `parallax report` shows is in it, and it opens from disk.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`collect`] | reads a recording: per operation its result, changes, events and findings |
//! | [`data`] | what the page has of it |
//! | [`intern`] | texts that occur often, each once |
//! | [`story`] | which stores brought about what a finding is about |
//! | [`order`] | what an operation did, in order, where a rule of the order was broken |
//! | [`pairs`] | which operation of one recording belongs to which of another |
//! | [`still`] | pages without a program: their frame and colours |
//! | [`perfetto`] | operations and events of each CPU as a Chrome trace |
//!
//! The page's program and style are under `assets/`; nothing in it is loaded from anywhere.

mod collect;
mod data;
mod intern;
mod opened;
mod order;
mod pairs;
pub mod perfetto;
pub mod still;
mod story;

use parallax_engine::status::Failure;
use serde::Serialize;

use self::data::Recorded;
use self::intern::{Intern, Value};
pub use self::opened::Opened;

const FRAME: &str = include_str!("assets/page.html");
const STYLE: [&str; 2] = [include_str!("assets/colours.css"), include_str!("assets/layout.css")];
const PROGRAM: [&str; 8] = [
    include_str!("assets/state.js"),
    include_str!("assets/names.js"),
    include_str!("assets/list.js"),
    include_str!("assets/lanes.js"),
    include_str!("assets/panels.js"),
    include_str!("assets/order.js"),
    include_str!("assets/findings.js"),
    include_str!("assets/main.js"),
];

/// What is at the beginning of each page, whatever version made it.
const BEGINNING: [&str; 2] = ["<!doctype html>\n", "<title>Parallax report</title>"];

/// Whether a file that begins with `bytes` begins as a page does.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.starts_with(BEGINNING[0]) && text.contains(BEGINNING[1])
}

/// Version of the data in the page.
const SCHEMA: u32 = 3;

#[derive(Serialize)]
struct Document {
    schema: u32,
    values: Vec<Value>,
    texts: Vec<String>,
    runs: Vec<Recorded>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<pairs::Pair>,
}

/// The page of `recording`, beside `other` if there is one. `step` is called after each operation that was read.
///
/// # Errors
/// A recording is damaged.
pub fn page(recording: Opened, other: Option<Opened>, step: &dyn Fn()) -> Result<String, Failure> {
    let mut intern = Intern::default();
    let mut runs = Vec::new();
    for opened in std::iter::once(recording).chain(other) {
        runs.push(collect::recorded(opened, &mut intern, step)?);
    }
    let pairs = match &runs[..] {
        [left, right] => pairs::pairs(left, right),
        _ => Vec::new(),
    };
    let (values, texts) = intern.into_lists();
    let document = Document { schema: SCHEMA, values, texts, runs, pairs };
    let data = serde_json::to_string(&document).map_err(Failure::usage)?;
    // The end of the element must not occur in it, whatever a recording says.
    let data = data.replace('<', "\\u003c");
    let parts = [("/*STYLE*/", STYLE.concat()), ("/*DATA*/", data), ("/*PROGRAM*/", PROGRAM.concat())];
    let mut page = String::new();
    let mut rest = FRAME;
    for (mark, text) in parts {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page = page + before + &text;
        rest = after;
    }
    Ok(page + rest)
}
