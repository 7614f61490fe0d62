//! The EL1 test host: performs the operations that the harness writes into its mailbox.
//!
//! It runs as the hypervisor's host, or on the bare machine at EL1, and reaches everything the way a host does: by
//! loads, stores, branches, walks, hypercalls and a PCI device's DMA. An access that fails is a result like any other.
//!
//! | module | what for |
//! | --- | --- |
//! | [`start`], [`mmu`], [`vectors`] | entry, stage 1 with a window to any IPA, exceptions as results |
//! | [`board`] | what the device tree says |
//! | [`cpus`], [`gic`], [`time`] | the other CPUs, waking them, waiting without burning virtual time |
//! | [`pci`], [`edu`], [`dma`], [`evtq`] | finding DMA devices, using them, what the SMMU said |
//! | [`access`], [`calls`], [`race`], [`probe`], [`perform`], [`mailbox`] | the requests |
//! | [`kept`] | registers that a visit to the hypervisor must leave alone |
#![no_std]
#![no_main]

mod access;
mod board;
mod calls;
mod cpus;
mod dma;
mod edu;
mod evtq;
mod gic;
mod kept;
mod mailbox;
mod mmu;
mod pci;
mod perform;
mod probe;
mod race;
mod start;
mod time;
mod vectors;

use core::ops::Range;

use dtoolkit::fdt::Fdt;
use parallax_abi::mailbox::{Request, Response, kind, op};
use spin::Once;

use crate::board::Board;
use crate::cpus::{Cpu, MAX_CPUS};
use crate::edu::Devices;
use crate::vectors::parallax_stuck;

/// What was found out at boot.
struct Host {
    board: Board,
    devices: Devices,
}

static HOST: Once<Host> = Once::new();

/// What was found out at boot.
fn host() -> &'static Host {
    HOST.get().unwrap_or_else(|| parallax_stuck())
}

/// CPU 0, from `_start`; x0 is the device tree.
extern "C" fn main(tree: *const u8) -> ! {
    Cpu::enter(0);
    // SAFETY: x0 at entry is the device tree, by the boot protocol; nobody writes to it.
    let tree = unsafe { Fdt::from_raw(tree) };
    let Some(board) = tree.ok().and_then(Board::from_tree) else { parallax_stuck() };
    mmu::map_ram(&board);
    if !gic::init(&board) || !gic::enter(&board, 0) {
        parallax_stuck();
    }
    let devices = board.pci.as_ref().map_or_else(Devices::default, pci::scan);
    let host = HOST.call_once(|| Host { board, devices });
    let cpus = cpus::bring_up(&host.board);
    mailbox::open(cpus);
    loop {
        let count = mailbox::wait();
        let mut next = 0;
        while next < count {
            let index = next;
            let request = mailbox::request(index);
            next += 1;
            if request.op == op::AT_ONCE {
                mailbox::respond(index, Response::of(kind::OK));
                next = count.min(next.saturating_add(request.args[0] as usize));
                at_once(&host.board, cpus, index + 1..next);
            } else {
                mailbox::respond(index, dispatch(&host.board, cpus, &request));
            }
        }
        if count == 0 {
            core::hint::spin_loop();
        } else {
            mailbox::close(count);
        }
    }
}

/// Has the requests in `slots` performed at once, each by the CPU that it names.
fn at_once(board: &Board, cpus: usize, slots: Range<usize>) {
    let mut begun = [false; MAX_CPUS];
    let cpu_of = |request: &Request| usize::try_from(request.cpu).ok().filter(|cpu| *cpu < cpus);
    for request in slots.clone().map(mailbox::request) {
        if let Some(cpu @ 1..) = cpu_of(&request) {
            begun[cpu] = !begun[cpu] && cpus::begin(board, cpu, &request);
        }
    }
    let mut own = None;
    for (index, request) in slots.clone().map(|index| (index, mailbox::request(index))) {
        if own.is_none() && cpu_of(&request) == Some(0) {
            own = Some((index, perform::perform(Cpu::current(), &request)));
            mailbox::parallax_done();
        }
    }
    for index in slots {
        let response = match (cpu_of(&mailbox::request(index)), own) {
            (_, Some((own, response))) if own == index => response,
            (Some(cpu @ 1..), _) if core::mem::take(&mut begun[cpu]) => cpus::end(cpu),
            (Some(1..), _) => Response::of(kind::TIMEOUT),
            _ => Response::of(kind::BAD_REQUEST),
        };
        mailbox::respond(index, response);
    }
}

/// Hands `request` to the CPU that it names.
fn dispatch(board: &Board, cpus: usize, request: &Request) -> Response {
    match usize::try_from(request.cpu) {
        Ok(0) => perform::perform(Cpu::current(), request),
        Ok(index) if index < cpus => cpus::ask(board, index, request),
        _ => Response { kind: kind::BAD_REQUEST, ..Response::default() },
    }
}

/// Every other CPU, from `secondary_start`.
extern "C" fn secondary_main(index: usize) -> ! {
    let cpu = Cpu::enter(index);
    let board = &host().board;
    if !gic::enter(board, index) {
        parallax_stuck();
    }
    cpu.serve(board, perform::perform)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    parallax_stuck()
}
