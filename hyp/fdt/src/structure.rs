//! The structure block: its tokens, and the nodes that they make (5.4).

use crate::{Editor, FdtError};
use core::ops::Range;

pub(crate) const BEGIN_NODE: u32 = 1;
pub(crate) const END_NODE: u32 = 2;
pub(crate) const PROP: u32 = 3;
pub(crate) const NOP: u32 = 4;
/// A tree nests no deeper than this here.
const MAX_DEPTH: usize = 16;

/// A node: where it lies, as byte offsets into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its BEGIN_NODE token.
    pub(crate) start: usize,
    /// Where its properties begin.
    pub(crate) body: usize,
    /// Behind its END_NODE token.
    pub(crate) end: usize,
}

/// One token of the structure block.
pub(crate) enum Token<'t> {
    /// A node of this name begins.
    Begin(&'t [u8]),
    /// It ends.
    End,
    /// A property: offset of its name in the strings block, and where its value lies.
    Prop { name: usize, value: Range<usize> },
    /// Nothing.
    Nop,
}

impl Editor<'_> {
    /// The token at `at`, and where the next one is.
    pub(crate) fn token(&self, at: usize) -> Result<(Token<'_>, usize), FdtError> {
        if at >= self.structure()?.end {
            return Err(FdtError::Malformed(at));
        }
        let body = at + 4;
        Ok(match self.word(at)? as u32 {
            BEGIN_NODE => {
                let name = self.text(body)?;
                (Token::Begin(name), (body + name.len() + 1).next_multiple_of(4))
            }
            END_NODE => (Token::End, body),
            NOP => (Token::Nop, body),
            PROP => {
                let (len, name) = (self.word(body)?, self.word(body + 4)?);
                let value = body + 8..(body + 8).saturating_add(len);
                let next = value.end.checked_next_multiple_of(4).filter(|&next| next <= self.tree.len());
                (Token::Prop { name, value }, next.ok_or(FdtError::Malformed(at))?)
            }
            _ => return Err(FdtError::Malformed(at)),
        })
    }

    /// The node whose BEGIN_NODE token is at `start`.
    pub(crate) fn node_at(&self, start: usize) -> Result<Node, FdtError> {
        let (Token::Begin(_), body) = self.token(start)? else { return Err(FdtError::Malformed(start)) };
        let (mut at, mut depth) = (body, 1);
        while depth != 0 {
            let (token, next) = self.token(at)?;
            match token {
                Token::Begin(_) if depth == MAX_DEPTH => return Err(FdtError::Malformed(at)),
                Token::Begin(_) => depth += 1,
                Token::End => depth -= 1,
                Token::Prop { .. } | Token::Nop => {}
            }
            at = next;
        }
        Ok(Node { start, body, end: at })
    }
}
