//! Device trees of machines, written as the Devicetree Specification's source (chapter 6): what a machine gets in place of QEMU's
//! own tree.
//!
//! | module | what for |
//! | --- | --- |
//! | `lexer` | words, numbers, texts and marks |
//! | `source` | what they mean: nodes and properties |
//! | `flat` | the flattened tree (chapter 5) |
//! | `memory` | the memory that it gives a purpose |
//!
//! Understood is what trees of traces need: `/dts-v1/`, `/memreserve/`, nodes with labels, properties of texts, of cells with
//! numbers and references (`&label`), and without a value. There are no includes, expressions, overlays or deletions.

mod flat;
mod lexer;
mod memory;
mod source;

pub use memory::Loaded;

/// The largest source, in bytes.
pub const MAX_SOURCE: u64 = 1 << 20;

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: Node,
    /// The memory reservation block: bases and sizes, in bytes.
    reserved: Vec<(u64, u64)>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    name: String,
    properties: Vec<(String, Vec<u8>)>,
    children: Vec<Self>,
}

impl Node {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    fn property(&self, name: &str) -> Option<&[u8]> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// What is wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TreeError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}
