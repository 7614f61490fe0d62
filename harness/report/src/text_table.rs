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
    table.to_string()
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
