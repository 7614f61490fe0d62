//! The device tree that the host gets: it says nothing that the tables do not keep.

use parallax_addr::{Ipa, Span};

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::host_tree::HostTree;
use crate::leaf::S2Entry;
use crate::rule::Rule;
use crate::run;
use crate::snapshot::Snapshot;

/// Judges `tree` at the end of the boot. Memory of the hypervisor is reserved in it and `no-map`: the host would else hand it out. No node
/// has registers that the host's table keeps from the host, unless the hypervisor performs
/// the accesses to them, or was told to take them. No node names one
/// that is not there: a driver would wait for it.
#[must_use]
pub fn check_host_tree(tree: &HostTree, snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    reserved(&mut findings, tree);
    registers(&mut findings, tree);
    references(&mut findings, tree);
    findings.list
}

fn reserved(findings: &mut Findings<'_>, tree: &HostTree) {
    let kept: Vec<Span<_>> = tree
        .nodes
        .iter()
        .filter(|node| node.no_map && node.path.starts_with("/reserved-memory/"))
        .flat_map(|node| node.regs.iter().copied())
        .collect();
    for own in findings.snapshot.layout.own() {
        for page in own.pages().filter(|page| !kept.iter().any(|span| span.contains(*page))) {
            let span = Span::new(page, parallax_addr::PAGE_SIZE);
            let message = "the host's device tree does not reserve memory of the hypervisor";
            findings.add(Rule::OwnershipTree, Space::Page, span, message);
        }
    }
}

fn registers(findings: &mut Findings<'_>, tree: &HostTree) {
    let (snapshot, context) = (findings.snapshot, findings.context);
    let smmu = context.emulated.then_some(snapshot.layout.smmu);
    let known: Vec<_> = context.lpis.iter().chain(&context.donated).copied().chain(smmu).collect();
    let of_devices = tree.nodes.iter().filter(|node| !node.path.starts_with("/reserved-memory/"));
    for span in of_devices.flat_map(|node| &node.regs) {
        // /memory names the hypervisor's, too: that is what /reserved-memory is for.
        if context.pieces(*span).any(|(_, is_memory)| is_memory) {
            continue;
        }
        for (span, entry, _) in run::overlay::<_, _, ()>(snapshot.host(), &[], span.cast::<Ipa>()) {
            let kept = entry.is_some_and(|entry| matches!(entry, S2Entry::Annotated { .. }));
            if kept && !known.iter().any(|frame| frame.cast().overlaps(span)) {
                let message = "the host's device tree names registers that the host may not use";
                findings.add(Rule::ReachTree, Space::Cpu, span, message);
            }
        }
    }
}

fn references(findings: &mut Findings<'_>, tree: &HostTree) {
    for node in &tree.nodes {
        for (name, phandles) in &node.refers {
            if phandles.iter().any(|phandle| tree.of(*phandle).is_none()) {
                let message =
                    format!("{name} of {} names a node that the host's tree does not have", node.path);
                let span = node.regs.first().copied().unwrap_or_default();
                findings.add(Rule::SanityTree, Space::Page, span, &message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::PhysAddr;

    use super::*;
    use crate::host_tree::TreeNode;
    use crate::testing::*;

    fn node(path: &str, span: Span) -> TreeNode {
        TreeNode { path: path.to_owned(), regs: vec![span.cast::<PhysAddr>()], ..TreeNode::default() }
    }

    /// What is found after `plant` has changed the tree of a clean state, whose SMMU is hidden.
    fn planted(plant: impl FnOnce(&mut Vec<TreeNode>)) -> Vec<Rule> {
        let reserved = |path: &str, span| TreeNode { no_map: true, ..node(path, span) };
        let mut nodes = vec![
            reserved("/reserved-memory/hypervisor", IMAGE),
            reserved("/reserved-memory/hypervisor-pool", POOL),
            node("/memory@40000000", RAM),
            TreeNode { phandle: Some(1), ..node("/uart@9000000", UART) },
        ];
        plant(&mut nodes);
        check_host_tree(&HostTree { nodes }, &clean(), &context()).iter().map(|found| found.rule).collect()
    }

    #[test]
    fn each_thing_that_the_tree_must_not_say_is_found() {
        assert_eq!(planted(|_| ()), []);
        assert_eq!(planted(|nodes| drop(nodes.remove(1))), [Rule::OwnershipTree], "the pool is not reserved");
        assert_eq!(planted(|nodes| nodes[0].no_map = false), [Rule::OwnershipTree], "the host may map it");
        assert_eq!(
            planted(|nodes| nodes[0].regs[0].size -= 0x1000),
            [Rule::OwnershipTree],
            "a page is missing"
        );
        assert_eq!(planted(|nodes| nodes.push(node("/smmuv3@9050000", SMMU))), [Rule::ReachTree]);
        let refer =
            |phandle| move |nodes: &mut Vec<TreeNode>| nodes[3].refers = vec![("iommus", vec![phandle])];
        assert_eq!(planted(refer(1)), []);
        assert_eq!(planted(refer(2)), [Rule::SanityTree]);
    }
}
