//! `parallax schema`: what promises the forms of JSON make.
//!
//! ```text
//! document  version  printed by
//! run       2        parallax run --format json
//! ```

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_report::text_table;

use super::output::print_as_it_is;
use crate::cli::Schema;
use crate::schema::{ALL, Published, named};

/// Runs it.
pub(super) fn schema(args: &Schema) -> Result<Status> {
    let text = match &args.name {
        Some(name) => {
            let published = named(name);
            published.ok_or_else(|| Failure::usage(format!("no document is called `{name}`")))?.text()
        }
        None => list(),
    };
    print_as_it_is(&text)?;
    Ok(Status::Same)
}

fn list() -> String {
    let header = ["document", "version", "printed by"].map(str::to_owned);
    let row = |published: &Published| {
        [published.name.to_owned(), published.version.to_string(), published.command.to_owned()]
    };
    let rows: Vec<[String; 3]> = ALL.iter().map(row).collect();
    let text = text_table::render(&header, &rows, usize::MAX);
    text.lines().map(|line| line.trim().to_owned() + "\n").collect()
}
