//! Sections, tables and numbers.

use parallax_report::html::still::escape;

/// What stands in a cell of a table.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// HTML.
    Html(String),
    /// A word with its class.
    Word(&'static str, &'static str),
    /// A number; nothing where there is none.
    Number(Option<f64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl Value {
    fn cell(&self) -> String {
        match self {
            Self::Text(text) => format!("<td><pre>{}</pre></td>", escape(text)),
            Self::Html(html) => format!("<td>{html}</td>"),
            Self::Word(class, word) => format!("<td class=\"w {class}\">{}</td>", escape(word)),
            Self::Number(number) => {
                format!("<td class=\"n\">{}</td>", number.map(shown).unwrap_or_default())
            }
        }
    }
}

/// A number as people read it: thousands apart, no more digits than say something.
pub(super) fn shown(value: f64) -> String {
    let text = if value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |digits| ("-", digits));
    let (whole, rest) = digits.split_once('.').map_or((digits, String::new()), |(w, r)| (w, format!(".{r}")));
    let mut apart = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    format!("{sign}{apart}{rest}")
}

/// A table; columns that have numbers only are aligned so.
pub(super) fn table(heads: &[&str], rows: &[Vec<Value>]) -> String {
    let number = |column: usize| {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        !rows.is_empty() && cells().all(|cell| matches!(cell, Value::Number(_)))
    };
    let head: String = heads
        .iter()
        .enumerate()
        .map(|(column, word)| {
            let class = if number(column) { " class=\"n\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", escape(word))
        })
        .collect();
    let row = |row: &Vec<Value>| format!("<tr>{}</tr>\n", row.iter().map(Value::cell).collect::<String>());
    let rows: String = rows.iter().map(row).collect();
    format!("<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>\n")
}

/// A section; `body` is HTML.
pub(super) fn section(title: &str, body: &str, class: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<section{class}><h2>{}</h2>{body}</section>\n", escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        let texts = [0.0, 166.0, 1490.0, -1_234_567.0, 97.24, 0.123, 1234.56].map(shown);
        assert_eq!(texts, ["0", "166", "1,490", "-1,234,567", "97.2", "0.12", "1,234.6"]);
    }

    #[test]
    fn a_text_in_a_table_makes_no_element() {
        let text = table(&["<"], &[vec!["<b>".into()]]);
        assert!(text.contains("<th scope=\"col\">&lt;</th>") && text.contains("&lt;b&gt;"));
    }
}
