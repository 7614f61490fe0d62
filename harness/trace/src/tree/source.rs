//! From a source to a tree.

use std::collections::BTreeMap;

use super::lexer::{Token, tokens, wrong};
use super::{Node, Tree, TreeError};

/// The deepest nodes that are read.
const DEEPEST: usize = 32;

impl Tree {
    /// Reads a source.
    ///
    /// # Errors
    /// The first thing that is malformed, or that is not understood here.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        let tokens = tokens(text)?;
        let labels = labels(&tokens);
        let mut reader = Reader { tokens: &tokens, at: 0, labels: &labels };
        reader.word("/dts-v1/")?;
        reader.mark(';')?;
        let mut reserved = Vec::new();
        while reader.is_word("/memreserve/") {
            reader.at += 1;
            reserved.push((reader.number()?, reader.number()?));
            reader.mark(';')?;
        }
        reader.word("/")?;
        let root = reader.node(String::new(), None, 0)?;
        match reader.tokens.get(reader.at) {
            None => Ok(Self { root, reserved }),
            Some(_) => Err(reader.wrong("more behind the root")),
        }
    }
}

/// Each label of a node and the phandle that the node gets, from 1 in the order of the source.
fn labels(tokens: &[(usize, Token)]) -> BTreeMap<&str, u32> {
    let named = tokens.windows(2).filter_map(|pair| match pair {
        [(_, Token::Word(label)), (_, Token::Mark(':'))] => Some(label.as_str()),
        _ => None,
    });
    named.zip(1..).collect()
}

struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    labels: &'a BTreeMap<&'a str, u32>,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> TreeError {
        let last = self.tokens.last().map_or(1, |(line, _)| *line);
        wrong(self.tokens.get(self.at).map_or(last, |(line, _)| *line), what)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += usize::from(token.is_some());
        token
    }

    fn is(&self, token: &Token) -> bool {
        self.tokens.get(self.at).is_some_and(|(_, there)| there == token)
    }

    fn is_word(&self, word: &str) -> bool {
        self.is(&Token::Word(word.to_owned()))
    }

    fn word(&mut self, word: &str) -> Result<(), TreeError> {
        let there = self.is_word(word);
        self.at += usize::from(there);
        if there { Ok(()) } else { Err(self.wrong(&format!("no `{word}`"))) }
    }

    fn mark(&mut self, mark: char) -> Result<(), TreeError> {
        let there = self.takes(mark);
        if there { Ok(()) } else { Err(self.wrong(&format!("no `{mark}`"))) }
    }

    /// Steps over `mark` if it stands here.
    fn takes(&mut self, mark: char) -> bool {
        let there = self.is(&Token::Mark(mark));
        self.at += usize::from(there);
        there
    }

    fn number(&mut self) -> Result<u64, TreeError> {
        let number = match self.tokens.get(self.at) {
            Some((_, Token::Word(word))) => parallax_addr::parse_number(word),
            _ => None,
        };
        let number = number.ok_or_else(|| self.wrong("no number"))?;
        self.at += 1;
        Ok(number)
    }

    /// What follows the name of a node.
    fn node(&mut self, name: String, label: Option<&str>, depth: usize) -> Result<Node, TreeError> {
        if depth > DEEPEST {
            return Err(self.wrong("too deep a node"));
        }
        self.mark('{')?;
        let mut node = Node { name, ..Node::default() };
        if let Some(phandle) = label.and_then(|label| self.labels.get(label)) {
            node.properties.push(("phandle".to_owned(), phandle.to_be_bytes().to_vec()));
        }
        while !self.takes('}') {
            let mut name = self.name()?;
            let mut label = None;
            if self.takes(':') {
                label = Some(std::mem::replace(&mut name, self.name()?));
            }
            if self.is(&Token::Mark('{')) {
                let child = self.node(name, label.as_deref(), depth + 1)?;
                node.children.push(child);
                continue;
            }
            let value = if self.takes('=') { self.value()? } else { Vec::new() };
            self.mark(';')?;
            node.properties.push((name, value));
        }
        self.mark(';')?;
        Ok(node)
    }

    fn name(&mut self) -> Result<String, TreeError> {
        match self.next() {
            Some(Token::Word(name)) => Ok(name),
            _ => Err(self.wrong("no name")),
        }
    }

    /// What follows the `=` of a property.
    fn value(&mut self) -> Result<Vec<u8>, TreeError> {
        let mut value = Vec::new();
        loop {
            match self.next() {
                Some(Token::Text(text)) => value.extend([text.as_bytes(), b"\0"].concat()),
                Some(Token::Mark('<')) => {
                    while !self.takes('>') {
                        value.extend(self.cell()?.to_be_bytes());
                    }
                }
                _ => return Err(self.wrong("no value: a text or `<`")),
            }
            if !self.takes(',') {
                return Ok(value);
            }
        }
    }

    fn cell(&mut self) -> Result<u32, TreeError> {
        if let Some((_, Token::Reference(label))) = self.tokens.get(self.at) {
            let phandle = self.labels.get(label.as_str());
            let phandle = *phandle.ok_or_else(|| self.wrong(&format!("no label `{label}`")))?;
            self.at += 1;
            return Ok(phandle);
        }
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.wrong("a cell of more than 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_properties_and_children_and_labels_become_phandles() {
        let text = "/dts-v1/;\n/memreserve/ 0x1000 0x200;\n/ {\n\ta = \"x\", \"y\";\n\tflag;\n\tbus: bus@0 { r = <&bus 0x2>, <3>; };\n};\n";
        let tree = Tree::parse(text).unwrap();
        assert_eq!(tree.reserved, [(0x1000, 0x200)]);
        assert_eq!(tree.root.property("a"), Some(&b"x\0y\0"[..]));
        assert_eq!(tree.root.property("flag"), Some(&[][..]));
        let bus = tree.root.child("bus@0").unwrap();
        assert_eq!(bus.property("phandle"), Some(&[0, 0, 0, 1][..]));
        assert_eq!(bus.property("r"), Some(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..]));
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (text, said) in [
            ("/ { };", "line 1: no `/dts-v1/`"),
            ("/dts-v1/;\n/ { a = <&b>; };", "line 2: no label `b`"),
            ("/dts-v1/;\n/ {\n a = <0x100000000>; };", "line 3: a cell of more than 32 bits"),
            ("/dts-v1/;\n/ { a = 5; };", "line 2: no value: a text or `<`"),
            ("/dts-v1/;\n/ { a", "line 2: no `;`"),
            ("/dts-v1/;\n/ { }", "line 2: no `;`"),
            ("/dts-v1/;\n/ { };\n/ { };", "line 3: more behind the root"),
        ] {
            assert_eq!(Tree::parse(text).unwrap_err().to_string(), said, "{text}");
        }
        let deep = format!("/dts-v1/; / {{ {}", "a { ".repeat(100));
        assert_eq!(Tree::parse(&deep).unwrap_err().what, "too deep a node");
    }
}
