//! A register that the hypervisor changes is found by the test host, and named.

use std::path::Path;
use std::time::Duration;

use parallax_abi::hypercall::HOST_SHARE_HYP;
use parallax_abi::journal::VECTORS_SYMBOL;
use parallax_addr::ImageVa;
use parallax_machine::toolchain::{Variant, build};
use parallax_machine::{BootOptions, CancellationToken, Debug, Live, Machine, MachineError};
use parallax_ops::{CpuId, Operation};
use parallax_trace::spec::{MachineSpec, RAM_BASE};

/// Offset of the vector for exceptions from the host.
const FROM_LOWER_EL: u64 = 0x400;
/// A stop comes at once, or never.
const PATIENCE: Duration = Duration::from_secs(20);

fn stop(debug: &mut dyn Debug) -> Result<ImageVa, MachineError> {
    debug.go(None, false)?;
    Ok(debug.stopped(PATIENCE)?.expect("a stop").pc)
}

/// Has a hypercall performed, and `x<number>` set to 1 as the hypervisor is entered: where the host sees it, it is as if the
/// hypervisor gave it back so. What is said of that; nothing where nobody minds.
fn said_of(number: u8, live: &mut Live) -> Result<Option<String>, MachineError> {
    let entry = live.symbols().expect("symbols").hyp.required(VECTORS_SYMBOL)?.get() + FROM_LOWER_EL;
    let debug = live.debug().expect("a debugger's way in");
    let page = (RAM_BASE.get() + 0x0600_0000) >> 12;
    let share = Operation::AnyHypercall { id: HOST_SHARE_HYP, x: [page, 0, 0, 0, 0, 0] };
    debug.begin(CpuId::new(0), &share)?;
    debug.ask(0, &[format!("Z1,{entry:x},4")])?;
    assert_eq!(stop(debug)?.get(), entry);
    debug.ask(0, &[format!("P{number:x}=0100000000000000"), format!("z1,{entry:x},4")])?;
    let at = stop(debug)?;
    let stops = debug.stops();
    assert!([stops.wait, stops.stuck].contains(&at), "x{number}: stopped at {at}");
    Ok((at == stops.stuck).then(|| debug.stuck()))
}

#[test]
fn a_register_that_changes_is_named() {
    let root = Path::new("../..").canonicalize().expect("the tree");
    let images = build(&root, Variant::Normal, &CancellationToken::new()).expect("images");
    let boot = || Live::boot(MachineSpec::default(), &images, BootOptions::default()).expect("a machine");
    for number in [4, 17, 18, 19, 28, 29, 30] {
        let said = said_of(number, &mut boot()).expect("a stop").expect("it is seen");
        let held = 0x4b45_5054_0000_0000 | u64::from(number) << 16 | u64::from(!u16::from(number));
        // x4 is an argument.
        let held = if number == 4 { 0 } else { held };
        let named = format!(": x{number} held {held:#x}, and 0x1 was found");
        assert!(said.ends_with(&named), "{said}");
    }
    // x3 is a result.
    assert_eq!(said_of(3, &mut boot()).expect("a stop"), None);
}
