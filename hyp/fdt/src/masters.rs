//! The bus masters of the tree that no SMMU holds: they leave it, and whoever asked gets their addresses.
//!
//! Nothing in a device tree says that a device writes memory, so the question is asked the other way round: a device
//! that is not known to be harmless ([`HARMLESS`]) and is not wholly behind the SMMU is a master. A host bridge without an
//! `iommu-map` for all of its requester IDs is one too, with all the windows to its devices.

use crate::structure::Token;
use crate::{Editor, FdtError, Node};
use core::ops::Range;

/// Devices that never access memory on their own, by `compatible`.
const HARMLESS: [&str; 13] = [
    "arm,pl011",
    "arm,sbsa-uart",
    "ns16550a",
    "arm,pl031",
    "arm,pl050",
    "arm,pl061",
    "arm,sp804",
    "arm,sp805",
    "arm,sbsa-gwdt",
    "arm,armv7-timer-mem",
    "arm,gic-v2m-frame",
    "fixed-clock",
    "cfi-flash",
];
/// Masters that the hypervisor knows how to hold, where it looks for them: below the root.
const HELD: [&str; 2] = ["arm,smmu-v3", "arm,gic-v3"];
/// The same, below a GIC.
const HELD_BY_GIC: &str = "arm,gic-v3-its";
/// What lies below the root and has a `reg`, but is no device.
const NO_DEVICE: [&[u8]; 2] = [b"memory", b"reserved-memory"];
/// Requester IDs of a host bridge.
const REQUESTERS: u64 = 1 << 16;

/// Physical addresses of a master: one of its register frames, or a window to the devices behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The node's name, with its unit address.
    pub name: &'a str,
    /// The first byte.
    pub base: u64,
    /// Bytes; never 0.
    pub size: u64,
}

/// A node whose children have addresses.
struct Bus<'a> {
    node: Node,
    outer: Option<&'a Bus<'a>>,
    cells: Cells,
}

/// How many words an address and a size have in `reg` of a bus's children.
#[derive(Clone, Copy)]
struct Cells {
    address: usize,
    size: usize,
}

impl Editor<'_> {
    /// Removes every master that is not wholly behind the SMMUv3 below the root, and gives its addresses to `taken`.
    /// Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`], with some masters removed.
    pub fn take_masters(&mut self, mut taken: impl FnMut(Frame<'_>)) -> Result<(), FdtError> {
        let root = self.root()?;
        let smmu = match self.compatible_child(root, "arm,smmu-v3")? {
            Some(node) => self.number(node, "phandle")?,
            None => None,
        };
        let root = Bus { node: root, outer: None, cells: self.cells(root)? };
        self.take_children(&root, smmu, &mut taken)
    }

    fn take_children(
        &mut self,
        bus: &Bus<'_>,
        smmu: Option<usize>,
        taken: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), FdtError> {
        let mut at = bus.node.body;
        while at < bus.node.end {
            let (token, next) = self.token(at)?;
            let Token::Begin(name) = token else {
                at = next;
                continue;
            };
            let plain = name.split(|&byte| byte == b'@').next().unwrap_or(name);
            let node = self.node_at(at)?;
            at = node.end;
            if bus.outer.is_none() && NO_DEVICE.contains(&plain) {
                continue;
            }
            if self.is_master(node, bus, smmu)? && self.tell(node, bus, taken)? {
                self.remove(node)?;
            } else if self.property(node, "ranges")?.is_some() && !self.is_bridge(node)? {
                let inner = Bus { node, outer: Some(bus), cells: self.cells(node)? };
                self.take_children(&inner, smmu, taken)?;
            }
        }
        Ok(())
    }

    /// Whether a child of `bus` may write memory past the SMMU.
    fn is_master(&self, node: Node, bus: &Bus<'_>, smmu: Option<usize>) -> Result<bool, FdtError> {
        let is_any = |models: &[&str]| {
            models.iter().try_fold(false, |found, model| Ok(found || self.is_compatible(node, model)?))
        };
        if self.is_bridge(node)? {
            return Ok(!self.maps_all(node, smmu)?);
        }
        let held = match bus.outer {
            None => is_any(&HELD)?,
            Some(outer) => {
                outer.outer.is_none()
                    && self.is_compatible(bus.node, "arm,gic-v3")?
                    && is_any(&[HELD_BY_GIC])?
            }
        };
        Ok(!held && !is_any(&HARMLESS)? && !self.is_bus(node)? && !self.is_behind(node, smmu)?)
    }

    /// Whether `node` is a host bridge.
    fn is_bridge(&self, node: Node) -> Result<bool, FdtError> {
        Ok(self
            .property(node, "device_type")?
            .is_some_and(|value| self.tree[value.value].starts_with(b"pci")))
    }

    /// Whether `node` does nothing but lead to its children.
    fn is_bus(&self, node: Node) -> Result<bool, FdtError> {
        Ok(self.property(node, "ranges")?.is_some() && self.property(node, "reg")?.is_none())
    }

    /// Whether all IDs of the device's `iommus` are the SMMU's.
    fn is_behind(&self, node: Node, smmu: Option<usize>) -> Result<bool, FdtError> {
        let Some(ids) = self.property(node, "iommus")? else { return Ok(false) };
        let (entries, rest) = self.words(ids.value).as_chunks::<8>();
        Ok(!entries.is_empty() && rest.is_empty() && entries.iter().all(|entry| Some(word(entry)) == smmu))
    }

    /// Whether the bridge's `iommu-map` leads all requester IDs to the SMMU.
    fn maps_all(&self, node: Node, smmu: Option<usize>) -> Result<bool, FdtError> {
        let Some(map) = self.property(node, "iommu-map")? else { return Ok(false) };
        let (entries, _) = self.words(map.value).as_chunks::<16>();
        let reaches = |covered: u64, entry: &[u8; 16]| {
            let (first, length) = (word(entry) as u64, word(&entry[12..]) as u64);
            let mine = Some(word(&entry[4..])) == smmu && first <= covered;
            if mine { covered.max(first + length) } else { covered }
        };
        // Entries may come in any order: each pass adds one of them, or nothing any more.
        let covered = entries.iter().fold(0, |covered, _| entries.iter().fold(covered, reaches));
        Ok(covered >= REQUESTERS)
    }

    /// Gives all addresses of `node` to `taken`: false when it has none.
    fn tell(&self, node: Node, bus: &Bus<'_>, taken: &mut dyn FnMut(Frame<'_>)) -> Result<bool, FdtError> {
        let name = str::from_utf8(self.text(node.start + 4)?).unwrap_or("?");
        let mut any = false;
        let mut tell = |base: Option<u64>, size: u64| {
            if let (Some(base), 1..) = (base, size) {
                any = true;
                taken(Frame { name, base, size });
            }
        };
        let Cells { address, size } = bus.cells;
        if let Some(reg) = self.property(node, "reg")? {
            for entry in self.entries(reg.value, address + size) {
                let base = self.translate(bus, number(&entry[..address * 4]))?;
                tell(base, number(&entry[address * 4..]));
            }
        }
        if self.is_bridge(node)?
            && let Some(windows) = self.property(node, "ranges")?
        {
            let inner = self.cells(node)?;
            for entry in self.entries(windows.value, inner.address + address + inner.size) {
                let (_, entry) = entry.split_at(inner.address * 4);
                let base = self.translate(bus, number(&entry[..address * 4]))?;
                tell(base, number(&entry[address * 4..]));
            }
        }
        Ok(any)
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
    fn cells(&self, node: Node) -> Result<Cells, FdtError> {
        let read = |name, default| Ok(self.number(node, name)?.unwrap_or(default).min(4));
        Ok(Cells { address: read("#address-cells", 2)?, size: read("#size-cells", 1)? })
    }

    fn number(&self, node: Node, name: &str) -> Result<Option<usize>, FdtError> {
        Ok(self
            .property(node, name)?
            .and_then(|value| self.words(value.value).first_chunk::<4>())
            .map(|w| word(w)))
    }

    fn words(&self, value: Range<usize>) -> &[u8] {
        self.tree.get(value).unwrap_or_default()
    }

    /// A value as entries of `cells` words each; none where that is no size.
    fn entries(&self, value: Range<usize>, cells: usize) -> impl Iterator<Item = &[u8]> {
        self.words(value).chunks_exact((cells * 4).max(4)).filter(move |_| cells != 0)
    }
}

/// The first word of at least four bytes.
fn word(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |word| u32::from_be_bytes(*word) as usize)
}

/// A number of any words, of which the last two count.
fn number(words: &[u8]) -> u64 {
    words.chunks_exact(4).fold(0, |number, cell| number << 32 | word(cell) as u64)
}
