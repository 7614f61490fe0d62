//! The device tree that the host gets: every node of it with registers, memory, or another node that it names.
//!
//! What the hypervisor keeps to itself is not in it, or is reserved. A change is reviewed as a golden is: `cargo insta test
//! --review --test host_tree`.

use std::path::Path;

use parallax_engine::{host_tree, live};
use parallax_machine::{Backend, CancellationToken};
use parallax_suite::cases;

/// The tree of the machine of a trace.
fn tree_of(trace: &str) -> String {
    let root = &Path::new("../..").canonicalize().expect("the root of the workspace");
    let cases = cases::load(&[root.join("traces/good").join(trace)]).expect("a trace");
    let trace = &cases[0].trace;
    let hyp = live::build(root, [trace], &CancellationToken::new()).expect("images");
    let machine = hyp.boot(&trace.machine).expect("a machine");
    let tree = host_tree(machine.as_ref()).expect("a tree").expect("its place");
    tree.text(&machine.target().address_map())
}

#[test]
fn the_smmu_is_hidden() {
    insta::assert_snapshot!(tree_of("boot.trace"), @"
    /reserved-memory/hypervisor-pool pool no-map
    /reserved-memory/hypervisor hyp no-map
    /memory@40000000 ram
    /pl061@9030000 mmio:gpio
    /pcie@10000000 mmio:ecam msi-map=/intc@8000000/its@8080000
    /pl031@9010000 mmio:rtc
    /pl011@9000000 mmio:uart
    /intc@8000000 mmio:gicd mmio:gicr
    /intc@8000000/its@8080000 mmio:its
    /flash@0 mmio:flash+0x0..+0x4000000 mmio:flash+0x4000000..mmio:flash_end
    /cpus/cpu@0
    /apb-pclk
    ");
}

#[test]
fn the_host_has_an_smmu_and_two_cpus() {
    insta::assert_snapshot!(tree_of("viommu_two_cpus.trace"), @"
    /reserved-memory/hypervisor-pool pool no-map
    /reserved-memory/hypervisor hyp no-map
    /memory@40000000 ram
    /pl061@9030000 mmio:gpio
    /smmuv3@9050000 mmio:smmu
    /pcie@10000000 mmio:ecam iommu-map=/smmuv3@9050000 msi-map=/intc@8000000/its@8080000
    /pl031@9010000 mmio:rtc
    /pl011@9000000 mmio:uart
    /intc@8000000 mmio:gicd mmio:gicr
    /intc@8000000/its@8080000 mmio:its
    /flash@0 mmio:flash+0x0..+0x4000000 mmio:flash+0x4000000..mmio:flash_end
    /cpus/cpu@0
    /cpus/cpu@1
    /apb-pclk
    ");
}

#[test]
fn a_board_with_a_bus() {
    insta::assert_snapshot!(tree_of("tree_soc.trace"), @"
    /reserved-memory/hypervisor-pool pool no-map
    /reserved-memory/hypervisor hyp no-map
    /memory@40000000 ram
    /intc@8000000 mmio:gicd mmio:gicr
    /intc@8000000/its@8080000 mmio:its
    /soc/serial@0 mmio:uart
    /pcie@10000000 mmio:ecam msi-map=/intc@8000000/its@8080000
    ");
}
