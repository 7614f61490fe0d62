//! The bus masters of the tree that no SMMU holds: they leave it, and whoever asked gets their addresses.
//!
//! Nothing in a device tree says that a device writes memory, so the question is asked the other way round: a device
//! that is not known to be harmless ([`HARMLESS`]) and is not wholly behind the SMMU is a master. A host bridge without an
//! `iommu-map` for all of its requester IDs is one too, with all the windows to its devices.

use crate::walk::{Bus, word};
use crate::{Editor, FdtError, Node};

/// Devices that never access memory on their own, by `compatible`.
const HARMLESS: [&str; 14] = [
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
    "simple-bus",
];
/// Masters that the hypervisor knows how to hold: the first SMMU of the tree, the GIC, and an ITS below that.
pub(crate) const SMMU: &str = "arm,smmu-v3";
pub(crate) const GIC: &str = "arm,gic-v3";
pub(crate) const ITS: &str = "arm,gic-v3-its";
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

impl Editor<'_> {
    /// Removes every master that is not wholly behind the first SMMUv3 of the tree, and gives its addresses to `taken`.
    /// Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`], with some masters removed.
    pub fn take_masters(&mut self, mut taken: impl FnMut(Frame<'_>)) -> Result<(), FdtError> {
        let (mut smmu, mut gic) = (None, None);
        self.walk(&mut |tree, node, _| {
            for (model, first) in [(SMMU, &mut smmu), (GIC, &mut gic)] {
                if first.is_none() && tree.is_compatible(node, model)? {
                    *first = Some(node);
                }
            }
            Ok(true)
        })?;
        let phandle = smmu.map_or(Ok(None), |node| self.number(node, "phandle"))?;
        let held = |node| [smmu, gic].contains(&Some(node));
        self.walk(&mut |tree, node, bus| {
            let name = tree.text(node.start + 4)?;
            let plain = name.split(|&byte| byte == b'@').next().unwrap_or(name);
            if bus.outer.is_none() && NO_DEVICE.contains(&plain) {
                return Ok(false);
            }
            let held = held(node) || gic == Some(bus.node) && tree.is_compatible(node, ITS)?;
            if !held && tree.is_master(node, phandle)? && tree.tell(node, bus, &mut taken)? {
                // What is below it leaves the tree with it, and is a master where it is, like any that no tree names.
                let inner = Bus { node, outer: Some(bus), cells: tree.cells(node)? };
                tree.walk_below(&inner, &mut |tree, at, bus| tree.tell(at, bus, &mut taken).and(Ok(true)))?;
                tree.remove(node)?;
                return Ok(false);
            }
            Ok(!tree.is_bridge(node)?)
        })
    }

    /// Whether a device that nothing else is known of may write memory past the SMMU.
    fn is_master(&self, node: Node, smmu: Option<usize>) -> Result<bool, FdtError> {
        if self.is_bridge(node)? {
            return Ok(!self.maps_all(node, smmu)?);
        }
        // A bus that does nothing but lead to its children.
        let bus = self.property(node, "ranges")?.is_some() && self.property(node, "reg")?.is_none();
        Ok(!bus && !self.is_any(node, &HARMLESS)? && !self.is_behind(node, smmu)?)
    }

    /// Whether `node` is a host bridge.
    fn is_bridge(&self, node: Node) -> Result<bool, FdtError> {
        Ok(self.value(node, "device_type")?.starts_with(b"pci"))
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
        let mut tell = |base, size| {
            any = true;
            taken(Frame { name, base, size });
        };
        self.regs(node, bus, &mut tell)?;
        if self.is_bridge(node)? {
            let inner = self.cells(node)?;
            self.spans((node, "ranges"), bus, (inner.address, inner.size), &mut tell)?;
        }
        Ok(any)
    }
}
