//! The form of a line: `word key=value ... [=> word key=value ...] [# comment]`.
//!
//! Nothing here knows what the words mean; see [`super::parse`].

use std::ops::Range;

use winnow::ascii::space0;
use winnow::combinator::{alt, cut_err, eof, not, opt, preceded, repeat, terminated};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::token::{rest, take_while};
use winnow::{LocatingSlice, ModalResult, Parser};

use parallax_addr::{Expr, NotAnAddress};

use super::error::Problem;

/// A piece of a line and where it stands (bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

/// A word, or `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) key: Option<Token<'a>>,
    pub(super) value: Token<'a>,
}

impl Item<'_> {
    /// From its first to its last byte.
    pub(super) fn span(&self) -> Range<usize> {
        self.key.as_ref().map_or(self.value.span.start, |key| key.span.start)..self.value.span.end
    }
}

/// A line without its comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// `=>` and what follows it.
    pub(super) result: Option<Expectation<'a>>,
    /// Where the items end.
    pub(super) end: usize,
}

/// What a line expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expectation<'a> {
    /// Where the arrow stands.
    pub(super) arrow: Range<usize>,
    pub(super) items: Vec<Item<'a>>,
}

type Input<'a> = LocatingSlice<&'a str>;

fn text<'a>(input: &mut Input<'a>) -> ModalResult<Token<'a>> {
    take_while(1.., |c: char| !c.is_whitespace() && c != '#' && c != '=')
        .with_span()
        .map(|(text, span)| Token { text, span })
        .parse_next(input)
}

fn item<'a>(input: &mut Input<'a>) -> ModalResult<Item<'a>> {
    let first = text(input)?;
    // In `a=>b` the `=` belongs to the arrow, not to a key.
    let assigned = opt(('=', not('>'))).parse_next(input)?;
    if assigned.is_none() {
        return Ok(Item { key: None, value: first });
    }
    let value = cut_err(text)
        .context(StrContext::Expected(StrContextValue::Description("a value right after `=`")))
        .parse_next(input)?;
    Ok(Item { key: Some(first), value })
}

fn items<'a>(input: &mut Input<'a>) -> ModalResult<Vec<Item<'a>>> {
    repeat(0.., terminated(item, space0)).parse_next(input)
}

fn line<'a>(input: &mut Input<'a>) -> ModalResult<Line<'a>> {
    let items = preceded(space0, items).parse_next(input)?;
    let result = opt((terminated("=>".span(), space0), self::items))
        .map(|result| result.map(|(arrow, items)| Expectation { arrow, items }))
        .parse_next(input)?;
    let comment = ('#', rest).void();
    alt((comment, eof.void()))
        .context(StrContext::Expected(StrContextValue::Description(
            "a word, `key=value`, one `=> RESULT`, or a `#` comment",
        )))
        .parse_next(input)?;
    let end = items.last().map_or(0, |item: &Item<'_>| item.value.span.end);
    Ok(Line { items, result, end })
}

/// Takes a line apart.
pub(super) fn parse_line(source: &str) -> Result<Line<'_>, Problem> {
    line.parse(LocatingSlice::new(source)).map_err(|error| {
        let at = error.offset();
        Problem::new(error.char_span(), found_at(source, at), expectation(error.inner()))
    })
}

/// Reads a number of at most 64 bits.
pub(super) fn parse_number(token: &Token<'_>, expected: &str) -> Result<u64, Problem> {
    parallax_addr::parse_number(token.text).ok_or_else(|| wrong(token, expected))
}

/// Reads a number or a symbolic address.
pub(super) fn parse_expr(token: &Token<'_>) -> Result<Expr, Problem> {
    token.text.parse().map_err(|_| wrong(token, NotAnAddress::EXPECTED))
}

fn wrong(token: &Token<'_>, expected: &str) -> Problem {
    Problem::new(token.span.clone(), format!("`{}`", token.text), expected)
}

/// What stands at byte `at`, for a message.
fn found_at(source: &str, at: usize) -> String {
    source.get(at..).and_then(|rest| rest.split_whitespace().next()).map_or_else(
        || "the end of the line".to_owned(),
        |word| if word.starts_with('#') { "a comment".to_owned() } else { format!("`{word}`") },
    )
}

fn expectation(error: &ContextError) -> String {
    let expected = error.context().find_map(|context| match context {
        StrContext::Expected(value) => Some(value.to_string()),
        _ => None,
    });
    expected.unwrap_or_else(|| "a word or `key=value`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'a>(items: &[Item<'a>]) -> Vec<(Option<&'a str>, &'a str)> {
        items.iter().map(|item| (item.key.as_ref().map(|key| key.text), item.value.text)).collect()
    }

    #[test]
    fn words_keys_result_and_comment_are_told_apart() {
        let line = parse_line("  cpu=1 host_read ipa=ram+0x10  => ok value=5 # why").unwrap();
        assert_eq!(words(&line.items), [(Some("cpu"), "1"), (None, "host_read"), (Some("ipa"), "ram+0x10")]);
        assert_eq!(words(&line.result.unwrap().items), [(None, "ok"), (Some("value"), "5")]);
        assert_eq!(line.end, 30);
    }

    #[test]
    fn blanks_around_the_arrow_are_optional() {
        let line = parse_line("nop=>ok").unwrap();
        assert_eq!(words(&line.items), [(None, "nop")]);
        assert_eq!(words(&line.result.unwrap().items), [(None, "ok")]);
    }

    #[test]
    fn empty_and_comment_lines_hold_nothing() {
        for source in ["", "   ", "# all comment", " \t# x"] {
            let line = parse_line(source).unwrap();
            assert!(line.items.is_empty() && line.result.is_none(), "{source:?}");
        }
    }

    #[test]
    fn a_key_without_value_is_pointed_at() {
        let problem = parse_line("host_read ipa= size=8").unwrap_err();
        assert_eq!(problem.span, 14..15);
        assert_eq!(problem.found, "`size=8`");
        assert_eq!(problem.expected, "a value right after `=`");
        assert_eq!(parse_line("host_read ipa=# x").unwrap_err().found, "a comment");
        assert_eq!(parse_line("host_read ipa=").unwrap_err().found, "the end of the line");
    }

    #[test]
    fn a_second_arrow_is_refused() {
        assert_eq!(parse_line("nop => ok => ok").unwrap_err().span.start, 10);
    }
}
