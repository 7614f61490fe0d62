//! A child or a property by its name.

use crate::structure::Token;
use crate::{Editor, FdtError, Node};
use core::ops::Range;

/// A property: where all of it and where its value lies, as byte offsets into the tree.
pub(crate) struct Property {
    pub(crate) whole: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl Editor<'_> {
    /// The root.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn root(&self) -> Result<Node, FdtError> {
        let mut at = self.structure()?.start;
        while let (Token::Nop, next) = self.token(at)? {
            at = next;
        }
        self.node_at(at)
    }

    /// The first child of `parent` whose name, with or without its unit address, is `name`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn child(&self, parent: Node, name: &str) -> Result<Option<Node>, FdtError> {
        self.find_child(parent, |_, found| {
            let plain = found.split(|&byte| byte == b'@').next();
            Ok(found == name.as_bytes() || plain == Some(name.as_bytes()))
        })
    }

    /// The first child of `parent` whose `compatible` contains `model`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn compatible_child(&self, parent: Node, model: &str) -> Result<Option<Node>, FdtError> {
        self.find_child(parent, |node, _| self.is_compatible(node, model))
    }

    /// Whether `compatible` of `node` contains `model`.
    pub(crate) fn is_compatible(&self, node: Node, model: &str) -> Result<bool, FdtError> {
        let mut models = self.value(node, "compatible")?.split(|&byte| byte == 0);
        Ok(models.any(|one| one == model.as_bytes()))
    }

    /// Whether it contains any of `models`.
    pub(crate) fn is_any(&self, node: Node, models: &[&str]) -> Result<bool, FdtError> {
        models.iter().try_fold(false, |found, model| Ok(found || self.is_compatible(node, model)?))
    }

    fn find_child(
        &self,
        parent: Node,
        wanted: impl Fn(Node, &[u8]) -> Result<bool, FdtError>,
    ) -> Result<Option<Node>, FdtError> {
        let mut at = parent.body;
        while at < parent.end {
            let (token, next) = self.token(at)?;
            let Token::Begin(name) = token else {
                at = next;
                continue;
            };
            let node = self.node_at(at)?;
            if wanted(node, name)? {
                return Ok(Some(node));
            }
            at = node.end;
        }
        Ok(None)
    }

    /// Property `name` of `node`.
    pub(crate) fn property(&self, node: Node, name: &str) -> Result<Option<Property>, FdtError> {
        let mut at = node.body;
        loop {
            let (token, next) = self.token(at)?;
            match token {
                Token::Prop { name: offset, value } => {
                    let strings = self.strings()?.start;
                    if self.text(strings.saturating_add(offset))? == name.as_bytes() {
                        return Ok(Some(Property { whole: at..next, value }));
                    }
                }
                Token::Nop => {}
                // Properties come before children (5.4.2).
                Token::Begin(_) | Token::End => return Ok(None),
            }
            at = next;
        }
    }
}
