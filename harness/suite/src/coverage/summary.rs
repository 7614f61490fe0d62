//! Coverage for a person.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::{Files, Line};

/// A line a file: how many of its lines were reached.
#[must_use]
pub fn table(files: &Files) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["file", "lines", "reached", "not"]);
    let mut total = (0, 0);
    let row = |name: &str, (all, reached): (usize, usize)| {
        [name.to_owned(), all.to_string(), reached.to_string(), (all - reached).to_string()]
    };
    for (file, lines) in files {
        let counts = (lines.len(), lines.values().filter(|line| line.traces != 0).count());
        total = (total.0 + counts.0, total.1 + counts.1);
        table.add_row(row(file, counts));
    }
    table.add_row(row("all", total));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}

/// The lines that were not reached, by file and function: `  a::split: 3-4, 9`.
#[must_use]
pub fn unreached(files: &Files) -> String {
    let mut text = String::new();
    for (file, lines) in files {
        let missing: Vec<(u32, &Line)> =
            lines.iter().filter(|(_, line)| line.traces == 0).map(|(number, line)| (*number, line)).collect();
        if missing.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{file}");
        for part in missing.chunk_by(|(_, before), (_, after)| before.function == after.function) {
            let numbers: Vec<u32> = part.iter().map(|(number, _)| *number).collect();
            let _ = writeln!(text, "  {}: {}", part[0].1.function, ranges(&numbers));
        }
    }
    text
}

/// `1-3, 7` for 1, 2, 3 and 7.
fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample, site};
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_function() {
        let mut tally = sample();
        assert_eq!(unreached(tally.files()), "hyp/a.rs\n  a::split: 3-4\n  a::map: 9\nhyp/b.rs\n  b: 1\n");
        tally.add(&[site("hyp/b.rs", 1, "b"), site("hyp/a.rs", 9, "")]);
        assert_eq!(unreached(tally.files()), "hyp/a.rs\n  a::split: 3-4\n");
        let table = table(tally.files());
        let last: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["all", "4", "2", "2"]);
    }
}
