//! S-expressions: tokens with their places, and lists of bounded depth and length.

use memchr::memchr3;

use super::place::Place;

/// What is wrong with a text, and where. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Error {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// What stands there, and what could.
    pub message: String,
}

/// Items of one list.
pub(super) const MAX_ITEMS: usize = 16;
/// Bytes of one word or string.
pub(super) const MAX_WORD: usize = 4096;

/// Bytes that are no part of a word.
const ENDS_WORD: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        ends[byte as usize] = byte.is_ascii_whitespace() || matches!(byte, b'(' | b')' | b'"');
        byte += 1;
    }
    ends
};

/// A word, a string or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A bare word or number.
    Word(&'a str),
    /// A quoted string, still with its escapes.
    Text(&'a str),
    /// A list: the items that follow, so many.
    List(usize),
}

/// An item and the byte at which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) item: Item<'a>,
}

/// Reads the lists of a piece of a text one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    /// How far it has come.
    pub(super) at: usize,
    /// Where the piece begins.
    place: Place,
    /// No more text follows.
    last: bool,
    /// The piece ended before what began in it: more of the text is needed.
    pub(super) cut: bool,
    /// The byte at which the last verdict begins.
    pub(super) verdict: Option<usize>,
    /// The last list: each item, and behind a list its own.
    nodes: Vec<Node<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, place: Place, last: bool) -> Self {
        Self { text, at: 0, place, last, cut: false, verdict: None, nodes: Vec::new() }
    }

    /// Where byte `at` is in the whole text.
    pub(super) fn place(&self, at: usize) -> Place {
        self.place.behind(self.text.get(..at).unwrap_or(self.text))
    }

    /// An error at byte `at`.
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        let Place { line, column } = self.place(at);
        Error { line, column, message: message.into() }
    }

    /// The last list that [`Reader::next_list`] found.
    pub(super) fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes to the next list of the piece and gives the byte at which it begins; `None` where there is no more in it, or
    /// no whole one (then [`Reader::cut`] is set, and `at` is where that begins). Verdict lines are passed over.
    pub(super) fn next_list(&mut self) -> Result<Option<usize>, Error> {
        loop {
            self.skip_space();
            let at = self.at;
            match self.peek() {
                None => return Ok(None),
                Some(b'(') => {
                    let read = self.list();
                    if self.cut && !self.last {
                        self.at = at;
                        return Ok(None);
                    }
                    return read.map(|()| Some(at));
                }
                Some(b'!') if self.at_line_start() => match self.text[at..].find('\n') {
                    _ if !self.text[at..].starts_with("! ") && (self.last || at + 1 < self.text.len()) => {
                        return Err(self.error(at, "expected `(` of an event"));
                    }
                    Some(end) => {
                        self.verdict = Some(at);
                        self.at += end;
                    }
                    None if self.last => {
                        self.verdict = Some(at);
                        self.at = self.text.len();
                    }
                    None => {
                        self.cut = true;
                        return Ok(None);
                    }
                },
                Some(_) => return Err(self.error(at, "expected `(` of an event")),
            }
        }
    }

    fn at_line_start(&self) -> bool {
        match self.at.checked_sub(1) {
            Some(before) => self.text.as_bytes()[before] == b'\n',
            None => self.place.column == 1,
        }
    }

    /// The list that begins here, with its items.
    fn list(&mut self) -> Result<(), Error> {
        self.nodes.clear();
        let begin = self.at;
        let mut items = 0;
        self.at += 1;
        loop {
            self.skip_space();
            let at = self.at;
            match self.peek() {
                None => return Err(self.unclosed(begin)),
                Some(b')') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) if items == MAX_ITEMS => {
                    return Err(self.error(at, format!("more than {MAX_ITEMS} items in a list")));
                }
                Some(b'(') => self.field(at)?,
                Some(_) => self.word_or_text(at)?,
            }
            items += 1;
        }
    }

    /// A list in a list.
    fn field(&mut self, begin: usize) -> Result<(), Error> {
        let node = self.nodes.len();
        self.nodes.push(Node { at: begin, item: Item::List(0) });
        self.at += 1;
        loop {
            self.skip_space();
            let at = self.at;
            let items = self.nodes.len() - node - 1;
            match self.peek() {
                None => return Err(self.unclosed(begin)),
                Some(b')') => {
                    self.at += 1;
                    self.nodes[node].item = Item::List(items);
                    return Ok(());
                }
                Some(_) if items == MAX_ITEMS => {
                    return Err(self.error(at, format!("more than {MAX_ITEMS} items in a list")));
                }
                Some(b'(') => return Err(self.error(at, "a field cannot hold a list")),
                Some(_) => self.word_or_text(at)?,
            }
        }
    }

    fn unclosed(&mut self, begin: usize) -> Error {
        self.cut = true;
        if self.last { self.error(begin, "this `(` is never closed") } else { self.more(begin) }
    }

    /// Stands for an error that more text may clear up: nobody sees it.
    fn more(&self, at: usize) -> Error {
        Error { line: self.place.line, column: at, message: String::new() }
    }

    fn word_or_text(&mut self, at: usize) -> Result<(), Error> {
        let item = if self.text.as_bytes()[at] == b'"' { self.quoted(at)? } else { self.word(at)? };
        self.nodes.push(Node { at, item });
        Ok(())
    }

    fn word(&mut self, at: usize) -> Result<Item<'a>, Error> {
        let rest = &self.text.as_bytes()[at..];
        let end = rest.iter().position(|byte| ENDS_WORD[usize::from(*byte)]);
        let word = &self.text[at..at + end.unwrap_or(rest.len())];
        self.at += word.len();
        self.bounded(at, word)?;
        Ok(Item::Word(word))
    }

    fn quoted(&mut self, at: usize) -> Result<Item<'a>, Error> {
        let rest = &self.text[at + 1..];
        let mut from = 0;
        while let Some(found) = memchr3(b'"', b'\\', b'\n', &rest.as_bytes()[from..]) {
            let end = from + found;
            match rest.as_bytes()[end] {
                // What follows a backslash stands for itself, whatever it is.
                b'\\' if end + 1 < rest.len() => from = end + 2,
                b'\\' => break,
                b'"' => {
                    self.at = at + 1 + end + 1;
                    let text = &rest[..end];
                    self.bounded(at, text)?;
                    return Ok(Item::Text(text));
                }
                _ => return Err(self.error(at, "this string does not end on its line")),
            }
        }
        self.cut = true;
        if self.last {
            Err(self.error(at, "this string does not end on its line"))
        } else {
            Err(self.more(at))
        }
    }

    fn bounded(&self, at: usize, word: &str) -> Result<(), Error> {
        if word.len() > MAX_WORD {
            return Err(self.error(at, format!("longer than {MAX_WORD} bytes")));
        }
        Ok(())
    }
}

/// The meaning of a quoted string: `\"` and `\\`, anything else stands for itself.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        match (escaped, c) {
            (true, 'n') => out.push('\n'),
            _ => out.push(c),
        }
        escaped = false;
    }
    out
}

/// A quoted string that means `text`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
