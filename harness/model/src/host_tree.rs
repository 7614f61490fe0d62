//! The flattened device tree that the host gets (Devicetree Specification, chapter 5), as far as the hypervisor has a say in it.

use std::fmt::Write as _;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::{NodeStandard as _, Status};
use dtoolkit::{Node as _, Property as _};
use parallax_addr::{AddressMap, PhysAddr, Span};

/// Deeper nodes are refused: no board has them.
const DEEPEST: usize = 16;

/// A node that says where something is, or names another node as what translates or takes its accesses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeNode {
    /// Its path from the root.
    pub path: String,
    /// Its `reg`, in physical addresses; nothing where a bus above it says nothing of them.
    pub regs: Vec<Span<PhysAddr>>,
    /// It is memory that the host may not map (3.5.4).
    pub no_map: bool,
    /// Its `phandle`.
    pub phandle: Option<u32>,
    /// The properties `iommus`, `iommu-map` and `msi-map`, each with the phandles in it.
    pub refers: Vec<(&'static str, Vec<u32>)>,
}

/// All such nodes, less those that are disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTree {
    /// In the order of the tree.
    pub nodes: Vec<TreeNode>,
}

/// A part of a bus: its base there, in physical addresses, and bytes.
type Window = (u64, u64, u64);

impl HostTree {
    /// Reads the tree that begins with `bytes`.
    ///
    /// # Errors
    /// It is malformed: what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let tree = Fdt::new(bytes).map_err(|error| error.to_string())?;
        let mut nodes = Vec::new();
        visit(tree.root(), "", &[(0, 0, u64::MAX)], &mut nodes)?;
        Ok(Self { nodes })
    }

    /// The nodes one by one, for people: path, where it is, what it refers to.
    #[must_use]
    pub fn text(&self, symbols: &AddressMap) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            _ = write!(text, "{}", node.path);
            node.regs.iter().for_each(|span| _ = write!(text, " {}", symbols.span(*span)));
            if node.no_map {
                text.push_str(" no-map");
            }
            for (name, phandles) in &node.refers {
                let paths = phandles.iter().map(|phandle| self.of(*phandle).map_or("?", |node| &node.path));
                _ = write!(text, " {name}={}", paths.collect::<Vec<_>>().join(","));
            }
            text.push('\n');
        }
        text
    }

    /// The node with this phandle.
    #[must_use]
    pub fn of(&self, phandle: u32) -> Option<&TreeNode> {
        self.nodes.iter().find(|node| node.phandle == Some(phandle))
    }
}

fn visit(node: FdtNode<'_>, above: &str, bus: &[Window], nodes: &mut Vec<TreeNode>) -> Result<(), String> {
    if node.status().is_ok_and(|status| status != Status::Okay) {
        return Ok(());
    }
    let path = if node.name().is_empty() { String::new() } else { format!("{above}/{}", node.name()) };
    if path.matches('/').count() > DEEPEST {
        return Err(format!("{path} is too deep"));
    }
    let found = TreeNode {
        regs: regs(node, bus).map_err(|error| format!("{path}: {error}"))?,
        no_map: node.property("no-map").is_some(),
        phandle: node.phandle().map_err(|error| format!("{path}: {error}"))?,
        refers: refers(node),
        path: path.clone(),
    };
    if !found.regs.is_empty() || found.phandle.is_some() || !found.refers.is_empty() {
        nodes.push(found);
    }
    let below = windows(node, &path, bus);
    node.children().try_for_each(|child| visit(child, &path, &below, nodes))
}

/// The `reg` of `node` on `bus`, in physical addresses.
fn regs(node: FdtNode<'_>, bus: &[Window]) -> Result<Vec<Span<PhysAddr>>, String> {
    let Some(regs) = node.reg().map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
    let number = |reg: dtoolkit::standard::Reg<'_>| Some((reg.address().ok()?, reg.size().ok()?));
    let physical = |(base, size): (u64, u64)| {
        let window = bus.iter().find(|(first, _, bytes)| base >= *first && base - first < *bytes)?;
        Some(Span::new(PhysAddr::new(base - window.0 + window.1), size))
    };
    Ok(regs.filter_map(number).filter_map(physical).filter(|span: &Span<_>| !span.is_empty()).collect())
}

/// The parts of the bus below `node` that lead to physical addresses: its `ranges` (2.3.8), all where it is empty, nothing without one. Below the
/// root they are physical addresses.
fn windows(node: FdtNode<'_>, path: &str, bus: &[Window]) -> Vec<Window> {
    let property = node.property("ranges");
    // /reserved-memory has one, and an empty one at that; its children are memory (3.5.1).
    if path.is_empty() || property.as_ref().is_some_and(|ranges| ranges.value().is_empty()) {
        return bus.to_vec();
    }
    let Ok(Some(ranges)) = node.ranges() else { return Vec::new() };
    let number = |range: dtoolkit::standard::Range<'_>| {
        Some((range.child_bus_address().ok()?, range.parent_bus_address::<u64>().ok()?, range.length().ok()?))
    };
    let physical = |(child, parent, bytes): Window| {
        let (first, at, _) =
            bus.iter().find(|(first, _, bytes)| parent >= *first && parent - first < *bytes)?;
        Some((child, parent - first + at, bytes))
    };
    ranges.filter_map(number).filter_map(physical).collect()
}

/// Whom `node` names: words of each entry, and which of them is the phandle.
fn refers(node: FdtNode<'_>) -> Vec<(&'static str, Vec<u32>)> {
    let forms = [("iommus", 2, 0), ("iommu-map", 4, 1), ("msi-map", 4, 1)];
    let phandles = |(name, words, which): (&'static str, usize, usize)| {
        let property = node.property(name)?;
        let words = property.value().as_chunks::<4>().0.chunks_exact(words).map(|entry| entry[which]);
        Some((name, words.map(u32::from_be_bytes).collect()))
    };
    forms.into_iter().filter_map(phandles).collect()
}

#[cfg(test)]
mod tests {
    use parallax_trace::tree::Tree;
    use proptest::prelude::*;

    use super::*;

    const SOURCE: &str = "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;
        off@1000 { reg = <0 0x1000 0 0x1000>; status = \"disabled\"; };
        smmu@2000 { reg = <0 0x2000 0 0x1000>; phandle = <7>; };
        soc { #address-cells = <1>; #size-cells = <1>; ranges = <0x100 0 0x80000000 0x1000>;
            dma@100 { reg = <0x100 0x10>; iommus = <7 3>; };
            far@9000 { reg = <0x9000 0x10>; };
        };
        bus { #address-cells = <1>; #size-cells = <0>; chip@5 { reg = <5>; }; };
        reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;
            hypervisor@40000000 { reg = <0 0x40000000 0 0x200000>; no-map; };
        };
        pcie@3000 { reg = <0 0x3000 0 0x1000>; iommu-map = <0 8 0 0x10000>; };
    };";

    fn flat() -> Vec<u8> {
        Tree::parse(SOURCE).unwrap().flat()
    }

    #[test]
    fn what_is_where_and_who_is_named() {
        let tree = HostTree::read(&flat()).unwrap();
        assert_eq!(
            tree.text(&AddressMap::default()),
            "/smmu@2000 0x2000..0x3000\n\
             /soc/dma@100 0x80000000..0x80000010 iommus=/smmu@2000\n\
             /reserved-memory/hypervisor@40000000 0x40000000..0x40200000 no-map\n\
             /pcie@3000 0x3000..0x4000 iommu-map=?\n"
        );
    }

    proptest! {
        #[test]
        fn a_changed_tree_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = flat();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut.index(bytes.len()) / 8);
            drop(HostTree::read(&bytes));
        }
    }
}
