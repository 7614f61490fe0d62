//! All nodes of a tree with the buses that lead to them, and the physical addresses that their `reg` comes to (2.3).

use crate::structure::Token;
use crate::{Editor, FdtError, Node};
use core::ops::Range;

/// A node whose children have addresses.
pub(crate) struct Bus<'a> {
    pub(crate) node: Node,
    /// The bus that it is on; `None` for the root, and where addresses are physical whatever it is on.
    pub(crate) outer: Option<&'a Bus<'a>>,
    pub(crate) cells: Cells,
}

/// How many words an address and a size have in `reg` of a bus's children.
#[derive(Clone, Copy)]
pub(crate) struct Cells {
    pub(crate) address: usize,
    pub(crate) size: usize,
}

/// No physical address is as high.
const LIMIT: u64 = 1 << 52;

/// What is done at a node of a bus: whether to go on with those below it.
type Visit<'v> = dyn FnMut(&mut Editor<'_>, Node, &Bus<'_>) -> Result<bool, FdtError> + 'v;

impl Editor<'_> {
    /// Calls `visit` for each node but the root, in the tree's order. It may remove the node and properties; offsets stay.
    pub(crate) fn walk(&mut self, visit: &mut Visit<'_>) -> Result<(), FdtError> {
        let bus = self.top(self.root()?)?;
        self.walk_below(&bus, visit)
    }

    /// `node` as a bus with physical addresses.
    pub(crate) fn top(&self, node: Node) -> Result<Bus<'static>, FdtError> {
        Ok(Bus { node, outer: None, cells: self.cells(node)? })
    }

    /// As [`Editor::walk`], for what is below `bus`.
    pub(crate) fn walk_below(&mut self, bus: &Bus<'_>, visit: &mut Visit<'_>) -> Result<(), FdtError> {
        let mut at = bus.node.body;
        while at < bus.node.end {
            let (token, next) = self.token(at)?;
            if !matches!(token, Token::Begin(_)) {
                at = next;
                continue;
            }
            let node = self.node_at(at)?;
            at = node.end;
            if visit(self, node, bus)? {
                let inner = Bus { node, outer: Some(bus), cells: self.cells(node)? };
                self.walk_below(&inner, visit)?;
            }
        }
        Ok(())
    }

    /// Gives bases and sizes out of property `name` of `node`, a child of `bus`, to `each`: the physical ones, of a size
    /// that is not 0. In an entry `skip` words come before the address, and the size has `size` words.
    pub(crate) fn spans(
        &self,
        (node, name): (Node, &str),
        bus: &Bus<'_>,
        (skip, size): (usize, usize),
        each: &mut dyn FnMut(u64, u64),
    ) -> Result<(), FdtError> {
        let Some(property) = self.property(node, name)? else { return Ok(()) };
        let address = bus.cells.address;
        for entry in self.entries(property.value, skip + address + size) {
            let (base, size) = entry[skip * 4..].split_at(address * 4);
            if let (Some(base), size @ 1..) = (self.translate(bus, number(base))?, number(size)) {
                let end = base.checked_add(size).filter(|&end| end <= LIMIT);
                end.ok_or(FdtError::Malformed(node.start))?;
                each(base, size);
            }
        }
        Ok(())
    }

    /// As [`Editor::spans`], for `reg`.
    pub(crate) fn regs(
        &self,
        node: Node,
        bus: &Bus<'_>,
        each: &mut dyn FnMut(u64, u64),
    ) -> Result<(), FdtError> {
        self.spans((node, "reg"), bus, (0, bus.cells.size), each)
    }

    /// The physical address of `address` on `bus`; `None` where it leads to none.
    fn translate(&self, bus: &Bus<'_>, address: u64) -> Result<Option<u64>, FdtError> {
        let Some(outer) = bus.outer else { return Ok(Some(address)) };
        let Some(ranges) = self.property(bus.node, "ranges")? else { return Ok(None) };
        if ranges.value.is_empty() {
            return self.translate(outer, address);
        }
        let (inner, upper) = (bus.cells.address * 4, outer.cells.address * 4);
        for entry in self.entries(ranges.value, bus.cells.address + outer.cells.address + bus.cells.size) {
            let (from, entry) = entry.split_at(inner);
            let (to, size) = entry.split_at(upper);
            if let Some(offset) = address.checked_sub(number(from)).filter(|&offset| offset < number(size)) {
                return self.translate(outer, number(to).wrapping_add(offset));
            }
        }
        Ok(None)
    }

    /// #address-cells and #size-cells of `node`, or what they are where it does not say (2.3.5). At most four.
    pub(crate) fn cells(&self, node: Node) -> Result<Cells, FdtError> {
        let read = |name, default| Ok(self.number(node, name)?.unwrap_or(default).min(4));
        Ok(Cells { address: read("#address-cells", 2)?, size: read("#size-cells", 1)? })
    }

    /// The first word of a property.
    pub(crate) fn number(&self, node: Node, name: &str) -> Result<Option<usize>, FdtError> {
        Ok(self.value(node, name)?.first_chunk::<4>().map(|w| word(w)))
    }

    /// The value of property `name`; nothing where there is none.
    pub(crate) fn value(&self, node: Node, name: &str) -> Result<&[u8], FdtError> {
        Ok(self.property(node, name)?.map_or(&[], |property| self.words(property.value)))
    }

    pub(crate) fn words(&self, value: Range<usize>) -> &[u8] {
        self.tree.get(value).unwrap_or_default()
    }

    /// A value as entries of `cells` words each; none where that is no size.
    fn entries(&self, value: Range<usize>, cells: usize) -> impl Iterator<Item = &[u8]> {
        self.words(value).chunks_exact((cells * 4).max(4)).filter(move |_| cells != 0)
    }
}

/// The first word of at least four bytes.
pub(crate) fn word(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |word| u32::from_be_bytes(*word) as usize)
}

/// A number of any words, of which the last two count.
pub(crate) fn number(words: &[u8]) -> u64 {
    words.chunks_exact(4).fold(0, |number, cell| number << 32 | word(cell) as u64)
}
