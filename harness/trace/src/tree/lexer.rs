//! Words, numbers, texts and marks of a source, with the lines that they stand on.

use super::TreeError;

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a number, a directive (`/dts-v1/`), or `/` for the root.
    Word(String),
    /// `"..."`, without the quotes.
    Text(String),
    /// `&label`.
    Reference(String),
    /// One of `{ } < > = ; , :`.
    Mark(char),
}

/// Characters of names, numbers and directives.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ',' | '.' | '_' | '+' | '-' | '@' | '#' | '/' | '?')
}

/// The pieces of `text`, with the lines on which they begin, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, TreeError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest
                .find("*/")
                .map(|end| end + 2)
                .ok_or_else(|| wrong(line, "a comment that does not end"))?,
            '"' => {
                let end = rest[1..].find(['"', '\n']).filter(|end| rest[1 + end..].starts_with('"'));
                let end = end.ok_or_else(|| wrong(line, "a text that does not end on its line"))?;
                tokens.push((line, Token::Text(rest[1..=end].to_owned())));
                end + 2
            }
            '&' => {
                let name = word(&rest[1..]);
                tokens.push((line, Token::Reference(name.to_owned())));
                name.len() + 1
            }
            '{' | '}' | '<' | '>' | '=' | ';' | ':' | ',' => {
                tokens.push((line, Token::Mark(first)));
                1
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ if is_word(first) => {
                let name = word(rest);
                tokens.push((line, Token::Word(name.to_owned())));
                name.len()
            }
            _ => return Err(wrong(line, &format!("`{}`", first.escape_default()))),
        };
        let (taken, behind) = rest.split_at(length);
        line += taken.matches('\n').count();
        rest = behind;
    }
    Ok(tokens)
}

/// The word with which `text` begins.
fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

pub(super) fn wrong(line: usize, what: &str) -> TreeError {
    TreeError { line, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_their_lines() {
        let found =
            tokens("/dts-v1/;\n/* two\nlines */ a,b: x@1 { // no\n\tp = \"t\", <&l 0x1>; };").unwrap();
        let text: Vec<String> = found
            .iter()
            .map(|(line, token)| match token {
                Token::Word(word) => format!("{line}{word}"),
                Token::Text(text) => format!("{line}\"{text}\""),
                Token::Reference(name) => format!("{line}&{name}"),
                Token::Mark(mark) => format!("{line}{mark}"),
            })
            .collect();
        let wanted = "1/dts-v1/ 1; 3a,b 3: 3x@1 3{ 4p 4= 4\"t\" 4, 4< 4&l 40x1 4> 4; 4} 4;";
        assert_eq!(text.join(" "), wanted);
    }

    #[test]
    fn what_does_not_end_is_told() {
        assert_eq!(tokens("a\n/* x").unwrap_err().line, 2);
        assert_eq!(tokens("\"x\ny\"").unwrap_err().line, 1);
        assert_eq!(tokens("a\n\u{e9}").unwrap_err().to_string(), "line 2: `\\u{e9}`");
    }
}
