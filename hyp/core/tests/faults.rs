//! Each switchable fault of the ownership code does damage that the checks of `ownership.rs` notice.
#![cfg(feature = "faults")]

mod support;

use hyp_core::fault::{Fault, switch_on};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Machine, Op, RAM, Setup};

const PFN: u64 = RAM >> 12;
const SETUP: Setup = Setup {
    options: "host_s2_pages=14 donate_mmio=0x9010000",
    parange: 5,
    bbm: false,
    bbml2: true,
    smmu_bits: 44,
};

/// Faults of the SMMU's driver, which is a fake here.
const OF_THE_DRIVER: [Fault; 6] = [
    Fault::SmmuNoTlbi,
    Fault::SmmuTlbiWrongVmid,
    Fault::SmmuTlbiWrongIpa,
    Fault::SmmuSteBypass,
    Fault::SmmuSteNoRecord,
    Fault::SmmuLeftDisabled,
];

/// A fault of what becomes of an access once its page is mapped, which is not this crate's.
const OF_THE_TRAPS: Fault = Fault::HostFaultNotRepeated;

/// Faults of the SMMU that the host sees, which takes no part here.
fn is_of_the_viommu(fault: Fault) -> bool {
    fault as u64 >= Fault::ViommuMissingCfgi as u64
}

fn run() {
    let mut machine = Machine::new(SETUP);
    let pool_end = (PFN..).find(|pfn| machine.model.pool_holds(*pfn) && !machine.model.pool_holds(pfn + 1));
    machine.hw.watch(machine.smmu_root.unwrap(), RAM + 0xe2_0000);
    let ops = [
        Op::Touch(0x9000),
        Op::Touch(PFN + 0xe05),
        Op::Dma(PFN + 0xe05),
        Op::Donate(PFN + 0xe05, 1),
        Op::Touch(PFN + 0xe06),
        Op::Donate(PFN + 0xe10, 4),
        Op::Share(PFN + 0x13),
        Op::Donate(PFN + 0x10, 4),
        Op::Touch(PFN + 0x12),
        Op::Return(PFN + 0xe10, 4),
        Op::Return(PFN + 0xe05, 1),
        Op::Pin(PFN + 0x13, 1),
        Op::Unshare(PFN + 0x13),
        Op::Unpin(PFN + 0x13, 1),
        Op::Donate(PFN + 0xa03, 1),
        Op::Touch(PFN + 0xa04),
        Op::Share(PFN + 0xa03),
        Op::Return(pool_end.unwrap(), 1),
    ];
    let far = (1..20).map(|n| Op::Touch(n << 27));
    for op in ops.into_iter().chain(far).chain([Op::ReturnMmio(0x9010)]) {
        machine.perform(op);
        machine.verify((PFN..PFN + 0x20).chain(PFN + 0xa00..PFN + 0xa10).chain(PFN + 0xe00..PFN + 0xe20));
        machine.verify(pool_end.into_iter());
    }
}

#[test]
fn every_fault_of_this_code_is_noticed() {
    run();
    let quiet: Vec<_> = Fault::ALL
        .iter()
        .filter(|fault| {
            !OF_THE_DRIVER.contains(fault) && **fault != OF_THE_TRAPS && !is_of_the_viommu(**fault)
        })
        .filter(|fault| {
            switch_on(**fault);
            catch_unwind(AssertUnwindSafe(run)).is_ok()
        })
        .collect();
    assert!(quiet.is_empty(), "nothing noticed {quiet:?}");
}
