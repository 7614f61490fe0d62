//! What goes and what comes: nodes and properties.

use crate::board::Span;
use crate::find::Property;
use crate::masters::SMMU;
use crate::structure::{BEGIN_NODE, END_NODE, NOP, PROP, Token};
use crate::walk::Cells;
use crate::{Editor, FdtError, Node};
use core::ops::Range;

impl Editor<'_> {
    fn clear(&mut self, range: Range<usize>) -> Result<(), FdtError> {
        let start = range.start;
        let words = self.tree.get_mut(range).ok_or(FdtError::Malformed(start))?;
        words.chunks_exact_mut(4).for_each(|word| word.copy_from_slice(&NOP.to_be_bytes()));
        Ok(())
    }

    /// Removes `node`. Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn remove(&mut self, node: Node) -> Result<(), FdtError> {
        self.clear(node.start..node.end)
    }

    /// Removes property `name` of `node`, if it is there. Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn remove_property(&mut self, node: Node, name: &str) -> Result<(), FdtError> {
        self.property(node, name)?.map_or(Ok(()), |property| self.clear(property.whole))
    }

    /// Gives `node` a property `name` with a value of `len` zeros; where the value is. The node must not have it.
    fn add_empty(&mut self, node: Node, name: &str, len: usize) -> Result<Range<usize>, FdtError> {
        let string = self.add_string(name)?;
        self.grow(node.body, 12 + len.next_multiple_of(4))?;
        self.set_word(node.body, PROP as usize)?;
        self.set_word(node.body + 4, len)?;
        self.set_word(node.body + 8, string)?;
        Ok(node.body + 12..node.body + 12 + len)
    }

    /// Gives `node` a property it does not have, of 32-bit cells. `node` stays good but for its end.
    ///
    /// # Errors
    /// [`FdtError::Full`].
    pub fn add_cells(&mut self, node: Node, name: &str, cells: &[u32]) -> Result<(), FdtError> {
        let value = self.add_empty(node, name, cells.len() * 4)?;
        let places = self.tree[value].chunks_exact_mut(4);
        places.zip(cells).for_each(|(place, cell)| place.copy_from_slice(&cell.to_be_bytes()));
        Ok(())
    }

    /// Gives `to` a copy of `from`'s property `name`, if `from` has one, in place of its own. `from` must lie behind
    /// the start of `to`; `to` stays good but for its end.
    ///
    /// # Errors
    /// [`FdtError::Full`], [`FdtError::Malformed`].
    pub fn copy_property(&mut self, from: Node, to: Node, name: &str) -> Result<(), FdtError> {
        self.remove_property(to, name)?;
        let Some(Property { value: source, .. }) = self.property(from, name)? else { return Ok(()) };
        let target = self.add_empty(to, name, source.len())?;
        // The source has moved on with everything behind `to.body`.
        let moved = 12 + source.len().next_multiple_of(4);
        self.tree.copy_within(source.start + moved..source.end + moved, target.start);
        Ok(())
    }

    /// Gives `parent` a child `name` without contents, before its other children but behind its properties.
    ///
    /// # Errors
    /// [`FdtError::Full`], [`FdtError::Malformed`].
    pub fn add_child(&mut self, parent: Node, name: &str) -> Result<Node, FdtError> {
        let mut at = parent.body;
        while let (Token::Prop { .. } | Token::Nop, next) = self.token(at)? {
            at = next;
        }
        let body = at + (4 + name.len() + 1).next_multiple_of(4);
        self.grow(at, body + 4 - at)?;
        self.set_word(at, BEGIN_NODE as usize)?;
        self.tree[at + 4..at + 4 + name.len()].copy_from_slice(name.as_bytes());
        self.set_word(body, END_NODE as usize)?;
        Ok(Node { start: at, body, end: body + 4 })
    }

    /// Removes the SMMUv3, and what refers to it: then its masters are plain devices.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn hide_smmu(&mut self) -> Result<(), FdtError> {
        self.walk(&mut |tree, node, _| {
            for name in ["iommus", "iommu-map", "iommu-map-mask"] {
                tree.remove_property(node, name)?;
            }
            let is_smmu = tree.is_compatible(node, SMMU)?;
            if is_smmu {
                tree.remove(node)?;
            }
            Ok(!is_smmu)
        })
    }

    /// Adds a node `name` with one span, of which kernels look at no more, to /reserved-memory: not to be mapped. There
    /// #address-cells and #size-cells must be the root's, or nobody reads it.
    ///
    /// # Errors
    /// [`FdtError::Full`], [`FdtError::Malformed`]; [`FdtError::NoAddress`] when the tree's cells are too few for a span.
    pub fn reserve(&mut self, name: &str, (base, bytes): Span) -> Result<(), FdtError> {
        let root = self.root()?;
        let cells = self.cells(root)?;
        let parent = match self.child(root, "reserved-memory")? {
            Some(parent) => parent,
            None => {
                let parent = self.add_child(root, "reserved-memory")?;
                self.add_cells(parent, "ranges", &[])?;
                self.add_cells(parent, "#size-cells", &[cells.size as u32])?;
                self.add_cells(parent, "#address-cells", &[cells.address as u32])?;
                parent
            }
        };
        let Cells { address, size } = self.cells(parent)?;
        let (mut reg, mut len) = ([0; 8], 0);
        for (number, words) in [(base, address), (bytes, size)] {
            if words < 2 && number >> (32 * words) != 0 {
                return Err(FdtError::NoAddress("the hypervisor's memory"));
            }
            for word in (0..words).rev() {
                reg[len] = if word < 2 { (number >> (32 * word)) as u32 } else { 0 };
                len += 1;
            }
        }
        let node = self.add_child(parent, name)?;
        self.add_cells(node, "no-map", &[])?;
        self.add_cells(node, "reg", &reg[..len])
    }
}
