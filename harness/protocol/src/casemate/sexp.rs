//! S-expressions: tokens with their places, and lists of bounded depth and length.

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

/// Lists in lists: an event holds fields, a field holds no lists.
pub(super) const MAX_DEPTH: usize = 2;
/// Items of one list.
pub(super) const MAX_ITEMS: usize = 16;
/// Bytes of one word or string.
pub(super) const MAX_WORD: usize = 4096;

/// A word, a string or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A bare word or number.
    Word(&'a str),
    /// A quoted string, still with its escapes.
    Text(&'a str),
    /// A list.
    List(Vec<Node<'a>>),
}

/// An item and the byte at which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) item: Item<'a>,
}

/// Reads the lists of a text one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The byte at which the last verdict begins.
    verdict: Option<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // A mark of the order of bytes says nothing.
        Self { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, verdict: None }
    }

    /// The line of the last verdict, if there was one.
    pub(super) fn verdict(&self) -> Option<usize> {
        self.verdict.map(|at| self.error(at, "").line)
    }

    /// An error at byte `at`.
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Error {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: line.chars().count() + 1,
            message: message.into(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The next list of the text, `None` at its end. Verdict lines are passed over.
    pub(super) fn next_list(&mut self) -> Result<Option<Node<'a>>, Error> {
        loop {
            self.skip_space();
            match self.peek() {
                None => return Ok(None),
                Some(b'(') => return self.node(0).map(Some),
                Some(b'!') if self.text[self.at..].starts_with("! ") && self.at_line_start() => {
                    self.verdict = Some(self.at);
                    self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n);
                }
                Some(_) => return Err(self.error(self.at, "expected `(` of an event")),
            }
        }
    }

    fn at_line_start(&self) -> bool {
        self.at == 0 || self.text.as_bytes()[self.at - 1] == b'\n'
    }

    fn node(&mut self, depth: usize) -> Result<Node<'a>, Error> {
        let at = self.at;
        match self.peek() {
            Some(b'(') if depth >= MAX_DEPTH => Err(self.error(at, "a field cannot hold a list")),
            Some(b'(') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.skip_space();
                    match self.peek() {
                        None => return Err(self.error(at, "this `(` is never closed")),
                        Some(b')') => break,
                        Some(_) if items.len() == MAX_ITEMS => {
                            return Err(self.error(self.at, format!("more than {MAX_ITEMS} items in a list")));
                        }
                        Some(_) => items.push(self.node(depth + 1)?),
                    }
                }
                self.at += 1;
                Ok(Node { at, item: Item::List(items) })
            }
            Some(b'"') => self.quoted(at),
            _ => {
                let rest = &self.text[at..];
                let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '"'));
                let word = &rest[..end.unwrap_or(rest.len())];
                if word.is_empty() {
                    return Err(self.error(at, "expected a word, a number, a string or a list"));
                }
                self.at += word.len();
                self.bounded(at, word)?;
                Ok(Node { at, item: Item::Word(word) })
            }
        }
    }

    fn quoted(&mut self, at: usize) -> Result<Node<'a>, Error> {
        let rest = &self.text[at + 1..];
        let mut escaped = false;
        for (offset, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = at + 1 + offset + 1;
                    let text = &rest[..offset];
                    self.bounded(at, text)?;
                    return Ok(Node { at, item: Item::Text(text) });
                }
                b'\n' => break,
                _ => {}
            }
        }
        Err(self.error(at, "this string does not end on its line"))
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
