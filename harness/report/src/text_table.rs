//! Tables for people.

use comfy_table::{CellAlignment, Table};

/// A table without lines, whose columns from number `first` on are numbers.
#[must_use]
pub fn render<const N: usize>(header: &[String; N], rows: &[[String; N]], first: usize) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// A table without lines, of as many columns as `header` has, all of them text.
#[must_use]
pub fn render_any(header: &[String], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_ends_in_blanks() {
        let words = |words: [&str; 2]| words.map(str::to_owned);
        let (header, rows) = (words(["name", "what it is"]), [words(["a", "1"]), words(["long name", ""])]);
        let any = render_any(&header, &rows.clone().map(Vec::from));
        for text in [render(&header, &rows, 1), render(&header, &rows, usize::MAX), any] {
            assert_eq!(text.lines().count(), 3);
            assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
        }
    }
}
