//! The real hypervisor under the real QEMU: what a live machine does when all is well, and how each failure is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use parallax_abi::fault::Fault;
use parallax_abi::hypercall::{HOST_DONATE_HYP, HOST_SHARE_HYP, HOST_UNSHARE_HYP};
use parallax_abi::journal as records;
use parallax_abi::mailbox::{Request, SLOTS, kind, op};
use parallax_addr::{HypVa, PhysAddr};
use parallax_machine::qemu::Notes;
use parallax_machine::toolchain::{BuiltImages, Variant, build, plugin};
use parallax_machine::{
    BootOptions, CancellationToken, FailureClass, Live, Machine, MachineError, journal, step,
};
use parallax_trace::spec::{DmaDevice, MachineSpec, RAM_BASE};

/// A page of RAM that neither the hypervisor nor the test host uses.
const PAGE: u64 = RAM_BASE.get() + 0x0600_0000;

fn images() -> &'static BuiltImages {
    static IMAGES: OnceLock<BuiltImages> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let root: PathBuf = Path::new("../..").canonicalize().unwrap();
        build(&root, Variant::Normal, &CancellationToken::new()).unwrap_or_else(|error| panic!("{error}"))
    })
}

fn boot_with(config: MachineSpec, options: BootOptions) -> Result<Live, MachineError> {
    Live::boot(config, images(), options)
}

fn boot() -> Live {
    boot_with(MachineSpec::default(), BootOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn request(op: u64, args: &[u64]) -> Request {
    let mut request = Request { op, ..Request::default() };
    request.args[..args.len()].copy_from_slice(args);
    request
}

fn share() -> Request {
    request(op::HYPERCALL, &[HOST_SHARE_HYP, PAGE >> 12])
}

fn unshare() -> Request {
    request(op::HYPERCALL, &[HOST_UNSHARE_HYP, PAGE >> 12])
}

#[test]
fn operations_are_performed_in_order() {
    let mut live = boot();
    let responses = live.perform_requests(&[share(), share(), unshare(), unshare()]).unwrap();
    let results: Vec<(u64, u64, bool)> =
        responses.iter().map(|response| (response.kind, response.x[0], response.x[1] == 0)).collect();
    assert_eq!(
        results,
        [(kind::OK, 0, true), (kind::OK, 0, false), (kind::OK, 0, true), (kind::OK, 0, false)]
    );
}

#[test]
fn more_operations_than_the_mailbox_holds_are_all_performed() {
    let mut live = boot();
    let batch: Vec<Request> =
        (0..3 * SLOTS as u64).map(|index| request(op::WRITE, &[PAGE + 8 * index, 8, index + 1])).collect();
    let responses = live.perform_requests(&batch).unwrap();
    assert!(responses.len() == batch.len() && responses.iter().all(|response| response.kind == kind::OK));
    for index in 0..batch.len() as u64 {
        let mut bytes = [0; 8];
        live.memory().read(PhysAddr::new(PAGE + 8 * index), &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), index + 1);
    }
}

#[test]
fn registers_and_description_show_the_machine_that_was_asked_for() {
    let config = MachineSpec { cpus: 2, mem_bytes: 128 << 20, ..MachineSpec::default() };
    let mut live = boot_with(config, BootOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let registers = live.registers().unwrap();
    assert_eq!(registers.sys.hcr_el2 & 1, 1, "HCR_EL2.VM");
    assert_eq!(registers.sys.sctlr_el2 & 1, 1, "SCTLR_EL2.M");
    let smmu = registers.smmu.expect("the hypervisor uses the SMMU");
    assert_eq!(smmu.0.get(&0x20).map(|cr0| cr0 & 1), Some(1), "SMMU_CR0.SMMUEN");
    let info = live.target().info_or_zero();
    assert!(info.cpus == 2 && info.image_pa > RAM_BASE.get() && info.smmu_pa == 0x0905_0000, "{info:x?}");
    assert!(live.target().description.payload.contains(PhysAddr::new(0x4300_0000)));
}

#[test]
fn a_device_behind_a_root_port_is_on_bus_1() {
    let devices = vec![DmaDevice::Slot(1), DmaDevice::BehindPort(2)];
    let config = MachineSpec {
        devices,
        hyp: parallax_trace::spec::HypOptions { sid_bits: 16, ..Default::default() },
        ..Default::default()
    };
    let mut live = boot_with(config, BootOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let read = |sid| request(op::DMA_READ, &[sid, PAGE, 8]);
    let kinds: Vec<u64> = live
        .perform_requests(&[read(8), read(0x100), read(0x18)])
        .unwrap()
        .iter()
        .map(|response| response.kind)
        .collect();
    assert_eq!(kinds, [kind::OK, kind::OK, kind::NO_DEVICE]);
}

#[test]
fn two_runs_leave_the_same_memory() {
    let run = || {
        let config = MachineSpec { cpus: 2, mem_bytes: 128 << 20, ..MachineSpec::default() };
        let mut live = boot_with(config, BootOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        let on_cpu_1 = Request { cpu: 1, ..share() };
        live.perform_requests(&[on_cpu_1, unshare()]).unwrap();
        live.perform_requests(&[request(op::DMA_WRITE, &[8, PAGE, 64, 0x55])]).unwrap();
        let registers = live.registers().unwrap();
        let mut ram = vec![0; 128 << 20];
        live.memory().read(PhysAddr::new(RAM_BASE.get()), &mut ram).unwrap();
        (registers, ram)
    };
    let (first, second) = (run(), run());
    assert_eq!(first.0, second.0);
    let differs = first.1.iter().zip(&second.1).position(|(a, b)| a != b);
    assert_eq!(differs, None, "offset in RAM of the first byte that differs");
}

#[test]
fn stepping_counts_the_hypervisors_own_instructions() {
    let mut live = boot();
    let stepped = step::count(&mut live, share()).unwrap();
    assert_eq!((stepped.response.kind, stepped.response.x[1]), (kind::OK, 0));
    let info = live.target().info_or_zero();
    let text = info.image_va..info.image_va + info.image_size;
    assert!(stepped.pcs.len() > 10 && stepped.pcs.iter().all(|pc| text.contains(&pc.get())));
    let last = stepped.pcs.last().and_then(|pc| live.symbols().unwrap().instruction((*pc).into()));
    assert_eq!(last.as_deref(), Some("eret"));
    // The machine goes on as if nothing had happened.
    assert_eq!(live.perform_requests(&[unshare()]).unwrap()[0].x[1], 0);
}

/// The plugin.
fn pagewatch() -> Option<PathBuf> {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        plugin(&images().repo_root, &CancellationToken::new()).unwrap_or_else(|error| panic!("{error}"))
    });
    Some(library.clone())
}

fn boot_watched(cpus: u8) -> Live {
    let options = BootOptions { pagewatch: pagewatch(), ..BootOptions::default() };
    let config = MachineSpec { cpus, ..MachineSpec::default() };
    boot_with(config, options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_plugin_counts_the_instructions_that_single_steps_count() {
    let stepped = step::count(&mut boot(), share()).unwrap();
    let mut live = boot_watched(1);
    let boot = live.journal().unwrap().events().unwrap();
    let entered = boot.iter().rfind(|event| event.kind == records::kind::ERET).unwrap();
    live.perform_requests(&[share()]).unwrap();
    let events = live.journal().unwrap().events().unwrap();
    let mark = events.iter().find(|event| event.kind == records::kind::MARK).unwrap();
    assert_eq!(mark.b - entered.b, stepped.pcs.len() as u64);
}

#[test]
fn the_plugin_notes_the_instructions_that_single_steps_meet() {
    let stepped = step::count(&mut boot(), share()).unwrap();
    let options = BootOptions { pagewatch: pagewatch(), notes: Notes::Code, ..BootOptions::default() };
    let mut live = boot_with(MachineSpec::default(), options).unwrap_or_else(|error| panic!("{error}"));
    let at_boot = live.executed().unwrap();
    live.perform_requests(&[share()]).unwrap();
    let now = live.executed().unwrap();
    assert!(stepped.pcs.iter().all(|pc| now.contains(HypVa::new((*pc).get()))));
    let new = stepped.pcs.iter().filter(|pc| !at_boot.contains(HypVa::new((**pc).get()))).count();
    assert!(0 < new && new < stepped.pcs.len(), "{new} of {} ran at boot", stepped.pcs.len());
    assert!(live.journal().is_none(), "it keeps no journal");
}

#[test]
fn the_plugin_tells_operations_and_cpus_apart() {
    let mut live = boot_watched(4);
    // The host has the page, so that EL2 has something to take away.
    live.perform_requests(&[request(op::WRITE, &[PAGE, 8, 0])]).unwrap();
    live.journal().unwrap().events().unwrap();
    let on = |cpu, request| Request { cpu, ..request };
    let donate = request(op::HYPERCALL, &[HOST_DONATE_HYP, PAGE >> 12, 1]);
    let responses = live.perform_requests(&[on(2, share()), on(1, unshare()), on(3, donate)]).unwrap();
    assert!(
        responses.iter().all(|response| (response.kind, response.x[1]) == (kind::OK, 0)),
        "{responses:?}"
    );
    let events = live.journal().unwrap().events().unwrap();
    let (operations, rest) = journal::by_operation(&events);
    let slots: Vec<u64> = operations.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(slots, [0, 1, 2]);
    for ((_, events), cpu) in operations.iter().zip([2, 1, 3]) {
        let (mark, events) = events.split_last().unwrap();
        assert!(mark.cpu == 0 && !events.is_empty() && events.iter().all(|event| event.cpu == cpu));
    }
    let (_, donation) = operations[2];
    let count = |kind| donation.iter().filter(|event| event.kind == kind).count();
    let counts = [records::kind::TLBI, records::kind::BARRIER, records::kind::MMIO_WRITE].map(count);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(rest.is_empty(), "nothing happens at EL2 between operations");
    // What was stored is what memory holds now, wherever it was stored last; stacks, which are not in the linear map,
    // aside.
    let mut last = BTreeMap::new();
    let linear = live.target().told.layout.linear_offset;
    let told = |event: &&records::Record| {
        event.kind == records::kind::STORE && event.a == event.b.wrapping_add(linear)
    };
    for event in events.iter().filter(told) {
        let bytes = event.value.to_le_bytes().into_iter().take(event.size.into());
        last.extend((event.b..).zip(bytes));
    }
    assert!(last.len() >= 64, "tables and page states were written: {}", last.len());
    for (pa, byte) in last {
        let mut now = [0];
        live.memory().read(PhysAddr::new(pa), &mut now).unwrap();
        assert_eq!(now, [byte], "{pa:#x}");
    }
}

#[test]
fn a_hang_tells_where_each_cpu_is() {
    let options = BootOptions { perform_timeout: Duration::from_millis(500), ..BootOptions::default() };
    let mut live = boot_with(MachineSpec::default(), options).unwrap_or_else(|error| panic!("{error}"));
    // `b .`: the test host calls it and never comes back.
    let responses = live.perform_requests(&[request(op::WRITE, &[PAGE, 4, 0x1400_0000])]).unwrap();
    assert_eq!(responses[0].kind, kind::OK);
    let error = live.perform_requests(&[request(op::EXEC, &[PAGE])]).unwrap_err();
    assert!(matches!(error, MachineError::Hang { .. }) && error.class() == FailureClass::Run, "{error}");
    assert!(error.to_string().contains("cpu 0 at EL1: 0x"), "{error}");
}

#[test]
fn a_hypervisor_that_does_not_know_an_option_is_none_of_this_harness() {
    let mut config = MachineSpec::default();
    // A normal build knows no faults.
    config.hyp.fault = Some(Fault::SmmuNoTlbi);
    let error = boot_with(config, BootOptions::default()).unwrap_err();
    let MachineError::Boot(cause) = &error else { panic!("{error}") };
    assert!(matches!(**cause, MachineError::Unfit(_)), "{error}");
    assert!(error.to_string().contains("unknown boot option `fault=smmu_no_tlbi`"), "{error}");
    assert_eq!(error.class(), FailureClass::Setup);
}

#[test]
fn a_panic_while_booting_is_quoted_with_its_place_in_the_source() {
    let mut config = MachineSpec::default();
    // Too few for the boot's own tables.
    config.hyp.host_s2_pages = Some(1);
    let error = boot_with(config, BootOptions::default()).unwrap_err();
    let MachineError::Boot(cause) = &error else { panic!("{error}") };
    assert!(matches!(**cause, MachineError::Panic { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("hyp/src/") && text.contains(".rs:"), "{text}");
    assert_eq!(error.class(), FailureClass::Run);
}

#[test]
fn a_qemu_that_dies_half_way_is_told_with_its_status() {
    let mut live = boot();
    // PSCI SYSTEM_OFF.
    let error = live.perform_requests(&[request(op::SMC, &[0x8400_0008])]).unwrap_err();
    assert!(matches!(error, MachineError::QemuDied { .. }) && error.class() == FailureClass::Run, "{error}");
    assert!(error.to_string().contains("exit status: 0"), "{error}");
}

#[test]
fn a_qemu_that_does_not_start_is_quoted() {
    let config = MachineSpec { extra: vec!["-no-such-option".into()], ..MachineSpec::default() };
    let error = boot_with(config, BootOptions::default()).unwrap_err();
    assert!(matches!(error, MachineError::NotStarted(_)), "{error}");
    assert!(error.to_string().contains("no-such-option"), "{error}");
    assert_eq!(error.class(), FailureClass::Setup);
}

#[test]
fn cancelling_ends_a_boot_at_once() {
    let options = BootOptions::default();
    options.cancel.cancel();
    let error = boot_with(MachineSpec::default(), options).unwrap_err();
    assert!(matches!(error, MachineError::Cancelled), "{error}");
}

#[test]
fn a_cpu_that_cannot_run_the_hypervisor_is_named() {
    let config = MachineSpec { cpu: "cortex-a15".into(), ..MachineSpec::default() };
    let error = boot_with(config, BootOptions::default()).unwrap_err();
    assert!(error.to_string().contains("cortex-a15"), "{error}");
    assert_eq!(error.class(), FailureClass::Setup);
}

#[test]
fn nothing_is_left_of_a_machine_that_is_gone() {
    let live = boot();
    let process = PathBuf::from(format!("/proc/{}", live.qemu_id()));
    let open: Vec<String> = std::fs::read_dir(process.join("fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| target.contains("/parallax-"))
        .collect();
    assert!(open.len() >= 2, "guest RAM and the serial port at least: {open:?}");
    assert!(open.iter().all(|target| target.ends_with(" (deleted)")), "{open:?}");
    drop(live);
    assert!(!process.exists(), "QEMU still runs");
}
