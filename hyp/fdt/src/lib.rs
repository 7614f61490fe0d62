//! Changes to a device tree where it lies (Devicetree Specification 0.4, chapter 5: flattened format).
//!
//! The host gets the tree that the loader made, less what the hypervisor keeps. What goes is overwritten with NOP
//! tokens; what comes is moved in, and everything behind it moves on within the space that the tree's header claims.
//! No memory is needed besides the tree itself, and a tree that is malformed or full is an error, never a panic.
//!
//! | module | what for |
//! | --- | --- |
//! | `header` | words of the tree, and the blocks that its header names |
//! | `structure` | tokens of the structure block, and the nodes that they make |
//! | `find` | a child or a property by name |
//! | `room` | space for what comes |
//! | `edit` | what goes, and what comes |
//! | `walk` | all nodes, and their physical addresses |
//! | `board` | what the machine is |
//! | `masters` | devices that write memory past the SMMU |
//! | `faulty` | what a build with faults gets wrong |
#![no_std]
#![forbid(unsafe_code)]

mod board;
mod edit;
mod faulty;
mod find;
mod header;
mod masters;
mod room;
mod structure;
mod walk;

pub use board::{Found, Span};
pub use masters::Frame;
pub use structure::Node;

/// Why a tree cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FdtError {
    /// It breaks the format.
    #[error("the device tree is malformed at byte {0:#x}")]
    Malformed(usize),
    /// What the hypervisor must have has no physical address.
    #[error("{0} has no physical address in the device tree")]
    NoAddress(&'static str),
    /// Its size leaves no room for what is to be added.
    #[error("the device tree has no room for {0} more bytes")]
    Full(usize),
}

/// A tree that is being changed. Offsets found before an insertion are stale after it.
#[derive(Debug)]
pub struct Editor<'a> {
    tree: &'a mut [u8],
}

impl<'a> Editor<'a> {
    /// The tree in `tree`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`] when it is none, of no version that is known, or its blocks are not inside of it in the
    /// order structure, strings.
    pub fn new(tree: &'a mut [u8]) -> Result<Self, FdtError> {
        let editor = Self { tree };
        let total = editor.word(header::TOTALSIZE)?;
        let (structure, strings) = (editor.structure()?, editor.strings()?);
        let ordered = structure.end <= strings.start && strings.end <= total && total <= editor.tree.len();
        let ordered = ordered && structure.start >= header::SIZE;
        let known =
            editor.word(0)? == header::MAGIC && editor.word(header::LAST_COMP_VERSION)? <= header::VERSION;
        let aligned = structure.start.is_multiple_of(4) && structure.end.is_multiple_of(4);
        if known && ordered && aligned { Ok(editor) } else { Err(FdtError::Malformed(0)) }
    }

    /// Bytes of the tree, with the room behind it.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.len() as u64
    }
}
