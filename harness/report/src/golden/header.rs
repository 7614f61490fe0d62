//! What stands above a golden's text: insta's fields, one to a line, between two lines `---`.
//!
//! insta takes it as any YAML: nested as deep as its stack is, with numbers that it cannot read, with the name of a
//! file that holds the text instead. No golden has such, and so none is given to it.

/// The line before the fields, and behind them.
const EDGE: &str = "---";
/// What insta writes where there is no field.
const NONE: &str = "{}";
/// The fields that hold a text.
const TEXTS: [&str; 4] = ["source", "description", "expression", "input_file"];

/// Judges the bytes of a golden; gives the line where they are none, and what is wrong there.
pub(super) fn check(bytes: &[u8]) -> Result<(), (usize, String)> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        (1 + before.iter().filter(|byte| **byte == b'\n').count(), "no text in UTF-8".to_owned())
    })?;
    header(text)
}

/// The same of the header of `text`.
fn header(text: &str) -> Result<(), (usize, String)> {
    let mut lines = (1..).zip(text.lines().map(str::trim_end));
    if lines.next().is_none_or(|(_, line)| line != EDGE) {
        return Err((1, format!("`{EDGE}` must be the first line")));
    }
    let mut before = EDGE;
    let mut last = 1;
    for (number, line) in lines {
        match line {
            EDGE if before == EDGE => return Err((number, "a header without fields".to_owned())),
            EDGE => return Ok(()),
            _ if before == NONE => return Err((number, format!("something behind `{NONE}`"))),
            NONE if before == EDGE => (),
            line => field(line).map_err(|what| (number, what))?,
        }
        (before, last) = (line, number);
    }
    Err((last, format!("no line `{EDGE}` ends the header")))
}

/// Judges a line of the header.
fn field(line: &str) -> Result<(), String> {
    let Some((name, value)) = line.split_once(": ") else { return Err("no `name: value`".to_owned()) };
    let right = match name {
        "snapshot_kind" => value == "text",
        "assertion_line" => value.parse::<u32>().is_ok(),
        name if TEXTS.contains(&name) => is_quoted(value) || is_plain(value),
        name => return Err(format!("no field `{}`", name.escape_debug())),
    };
    if right { Ok(()) } else { Err(format!("no value of `{name}`")) }
}

/// Whether a value is quoted as insta quotes, which is as JSON does.
fn is_quoted(value: &str) -> bool {
    value.starts_with('"') && serde_json::from_str::<String>(value).is_ok()
}

/// Whether a value stands for itself, in YAML as here.
fn is_plain(value: &str) -> bool {
    value.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '_'))
        && !value.contains(['\0', '\t', '\r'])
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_fields_and_nothing_else() {
        let said = |fields: &str| header(&format!("---\n{fields}---\n1: nop -> ok\n"));
        for fields in [
            "source: golden/traces.rs\r\ndescription: parallax run a.trace\r\n",
            "source: \"a: \\u0007 \\\"b\\\"\"\nsnapshot_kind: text\nassertion_line: 7\n",
            "expression: \"[1]\"\n",
            "{}\n",
        ] {
            assert_eq!(said(fields), Ok(()), "{fields}");
        }
        for (fields, line, what) in [
            ("", 2, "a header without fields"),
            ("source: x\ninfo: 1\n", 3, "no field `info`"),
            ("{}\nsource: a\n", 3, "something behind `{}`"),
            ("source: .nan\n", 2, "no value of `source`"),
            ("source: a: b\n", 2, "no value of `source`"),
            ("source: \"a\n", 2, "no value of `source`"),
            ("source: [a]\n", 2, "no value of `source`"),
            ("assertion_line: -1\n", 2, "no value of `assertion_line`"),
            ("snapshot_kind: binary\nextension: x\n", 2, "no value of `snapshot_kind`"),
            ("source: a\n<<<<<<< HEAD\n", 3, "no `name: value`"),
        ] {
            assert_eq!(said(fields), Err((line, what.to_owned())), "{fields}");
        }
        assert_eq!(header("1: nop -> ok\n"), Err((1, "`---` must be the first line".to_owned())));
        assert_eq!(header("---\nsource: a\n"), Err((2, "no line `---` ends the header".to_owned())));
        assert_eq!(header(""), Err((1, "`---` must be the first line".to_owned())));
    }
}
