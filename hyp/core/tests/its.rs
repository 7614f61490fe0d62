//! The ITS and the redistributors that the host sees against a hostile host: commands that change at every look, registers
//! written at random, and hardware that refuses or does not answer.

use hyp_core::access::{Outcome, Refusal};
use hyp_core::addr::{HypVa, Ipa, PAGE_SIZE, PhysAddr};
use hyp_core::error::Error;
use hyp_core::hw::{Cpu, Memory, Mmio};
use hyp_core::its::{Env, Its, Lpis, Probed, Redistributor};
use hyp_core::regions::Range;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The host's memory; all else is somebody else's.
const HOST: Range = Range { base: PhysAddr(0x4000_0000), size: 0x10_0000 };
const QUEUE: u64 = HOST.base.0;
const ITT: u64 = HOST.base.0 + 0x8000;
/// The hypervisor's memory: device table, collection table, queue.
const OURS: [PhysAddr; 3] = [PhysAddr(0x9000_0000), PhysAddr(0x9000_1000), PhysAddr(0x9000_2000)];
const FRAME: u64 = 0x808_0000;
const GICR: u64 = 0x80a_0000;

const CTLR: u64 = 0x0;
const CBASER: u64 = 0x80;
const CWRITER: u64 = 0x88;
const CREADR: u64 = 0x90;
const BASER0: u64 = 0x100;
const BASER1: u64 = 0x108;
const PROPBASER: u64 = 0x70;
const PENDBASER: u64 = 0x78;
const VALID: u64 = 1 << 63;
/// GITS_TYPER: 12 bytes an entry of an ITT, 16 bits of EventIDs, 16 bits of DeviceIDs; SEIS, which is hidden.
const TYPER: u64 = 1 | 11 << 4 | 15 << 8 | 15 << 13 | 1 << 18;

/// The machine, of which only what the code under test can see counts.
#[derive(Debug, Default)]
struct World {
    /// The hypervisor's memory.
    memory: RefCell<BTreeMap<u64, u64>>,
    registers: RefCell<BTreeMap<u64, u64>>,
    /// DeviceID to its ITT's pages, in the hardware.
    mapped: RefCell<BTreeMap<u64, Range>>,
    issued: RefCell<Vec<[u64; 4]>>,
    held: RefCell<Vec<Range>>,
    /// The host's queue where it is not noise.
    commands: RefCell<BTreeMap<u64, u64>>,
    noise: Cell<u64>,
    refuses: Cell<bool>,
    is_dead: Cell<bool>,
    lpis: Cell<bool>,
    propbaser: Cell<u64>,
    pendbaser: Cell<u64>,
}

impl World {
    fn register(&self, offset: u64) -> u64 {
        self.registers.borrow().get(&offset).copied().unwrap_or(0)
    }

    fn is_held(&self, range: Range) -> bool {
        self.held.borrow().iter().any(|held| held.contains(range))
    }

    /// Every table that the hardware writes is held, or the hypervisor's.
    fn verify(&self) {
        for (device, itt) in &*self.mapped.borrow() {
            assert!(self.is_held(*itt), "the ITT of {device:#x} is not held");
        }
        if self.lpis.get() {
            let ids = 2_u64 << (self.propbaser.get() & 0x1f);
            let at = |base: u64, size| Range { base: PhysAddr(base), size };
            assert!(self.is_held(at(self.propbaser.get() & 0xf_ffff_ffff_f000, ids - 8192)));
            assert!(self.is_held(at(self.pendbaser.get() & 0xf_ffff_ffff_0000, ids / 8)));
        }
        for (register, table) in [(BASER0, OURS[0]), (BASER1, OURS[1]), (CBASER, OURS[2])] {
            assert_eq!(self.register(register) & 0xffff_ffff_f000, table.0, "{register:#x}");
            assert_eq!(self.register(register) & 1 << 62, 0, "no indirect tables");
        }
    }

    /// The hardware works its queue off.
    fn work(&self) {
        let end = self.register(CWRITER);
        let retries = end & 1 != 0;
        let (base, mut at) = (self.register(CBASER) & 0xf_ffff_ffff_f000, self.register(CREADR) & !1);
        if self.register(CREADR) & 1 != 0 && !retries {
            return;
        }
        while at != end & !1 && !self.is_dead.get() {
            let command =
                [0, 8, 16, 24].map(|n| self.memory.borrow().get(&(base + at + n)).copied().unwrap_or(0));
            if self.refuses.get() && command[0] & 0xff != 5 {
                self.registers.borrow_mut().insert(CREADR, at | 1);
                return;
            }
            let device = command[0] >> 32;
            self.issued.borrow_mut().push(command);
            match (command[0] & 0xff, command[2] & VALID != 0) {
                (8, true) => {
                    let (start, size) =
                        (command[2] & 0xf_ffff_ffff_ff00, 12_u64 << ((command[1] & 0x1f) + 1));
                    let range = Range { base: PhysAddr(start), size };
                    assert!(device < 256 && HOST.contains(range) && self.is_held(range), "{command:#x?}");
                    self.mapped.borrow_mut().insert(device, range);
                }
                (8, false) => drop(self.mapped.borrow_mut().remove(&device)),
                (op, _) => assert!([1, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15].contains(&op), "{command:#x?}"),
            }
            at = (at + 32) % PAGE_SIZE;
        }
        self.registers.borrow_mut().insert(CREADR, at);
    }
}

#[derive(Debug)]
struct ItsFrame(Rc<World>);

impl Mmio for ItsFrame {
    fn read32(&self, offset: u64) -> u32 {
        let value = match offset & !7 {
            CTLR if offset == 0 => self.0.register(CTLR) | u64::from(self.0.register(CTLR) & 1 == 0) << 31,
            CTLR => 0x43b,
            8 => TYPER,
            0xffe8 => 0x3b,
            BASER0 => self.0.register(BASER0) | 1 << 56 | 7 << 48,
            BASER1 => self.0.register(BASER1) | 4 << 56 | 7 << 48,
            register => self.0.register(register),
        };
        (if offset == 4 { value } else { value >> ((offset & 4) * 8) }) as u32
    }

    fn write32(&self, offset: u64, value: u32) {
        if offset == CTLR && self.0.is_dead.get() {
            return;
        }
        self.0.registers.borrow_mut().insert(offset, value.into());
        match offset {
            CTLR => {}
            CWRITER => self.0.work(),
            _ => panic!("32 bits at {offset:#x}"),
        }
    }

    fn write64(&self, offset: u64, value: u64) {
        assert_eq!(self.0.register(CTLR) & 1, 0, "{offset:#x} is written while the ITS is enabled");
        if offset == BASER0 {
            self.0.mapped.borrow_mut().clear();
        }
        self.0.registers.borrow_mut().insert(offset, value);
    }
}

#[derive(Debug)]
struct GicrFrame(Rc<World>);

impl Mmio for GicrFrame {
    fn read32(&self, offset: u64) -> u32 {
        match offset {
            0 => self.0.lpis.get().into(),
            8 => 1 | 1 << 1 | 1 << 3 | 1 << 4,
            _ => 0,
        }
    }

    fn write32(&self, offset: u64, value: u32) {
        match offset {
            0 => self.0.lpis.set(value & 1 != 0 || self.0.is_dead.get() && self.0.lpis.get()),
            0x14 => assert_eq!(value & !2, 0, "GICR_WAKER"),
            _ => panic!("32 bits at {offset:#x}"),
        }
    }

    fn write64(&self, offset: u64, value: u64) {
        assert!(!self.0.lpis.get(), "{offset:#x} is written while LPIs are on");
        match offset {
            PROPBASER => self.0.propbaser.set(value),
            PENDBASER => self.0.pendbaser.set(value),
            _ => panic!("64 bits at {offset:#x}"),
        }
    }
}

/// Either of them.
#[derive(Debug)]
enum Frame {
    Its(ItsFrame),
    Gicr(GicrFrame),
}

impl Frame {
    fn inner(&self) -> &dyn Mmio {
        match self {
            Self::Its(frame) => frame,
            Self::Gicr(frame) => frame,
        }
    }
}

impl Mmio for Frame {
    fn read32(&self, offset: u64) -> u32 {
        self.inner().read32(offset)
    }
    fn write32(&self, offset: u64, value: u32) {
        self.inner().write32(offset, value);
    }
    fn write64(&self, offset: u64, value: u64) {
        self.inner().write64(offset, value);
    }
}

#[derive(Debug)]
struct Ram(Rc<World>);

impl Memory for Ram {
    fn read(&self, pa: PhysAddr) -> u64 {
        self.0.memory.borrow().get(&pa.0).copied().unwrap_or(0)
    }
    fn write(&self, pa: PhysAddr, value: u64) {
        assert!(OURS.iter().any(|page| pa.align_down(PAGE_SIZE) == *page), "{pa} is written");
        self.0.memory.borrow_mut().insert(pa.0, value);
    }
    fn write_release(&self, pa: PhysAddr, value: u64) {
        self.write(pa, value);
    }
    fn zero_page(&self, pa: PhysAddr) {
        (0..512).for_each(|n| self.write(pa.add(n * 8), 0));
    }
}

/// No CPU.
#[derive(Debug)]
struct Nothing;

impl Cpu for Nothing {
    fn dsb_ishst(&self) {}
    fn dsb_ish(&self) {}
    fn dsb_sy(&self) {}
    fn isb(&self) {}
    fn tlbi_ipas2e1is(&self, _: Ipa) {}
    fn tlbi_vmalle1is(&self) {}
    fn tlbi_vmalls12e1is(&self) {}
    fn tlbi_vae2is(&self, _: HypVa) {}
    fn tlbi_alle2is(&self) {}
    fn relax(&self) {}
}

struct Host(Rc<World>);

impl Env for Host {
    fn hold(&mut self, range: Range) -> Result<(), Error> {
        assert!(range.base.is_aligned(PAGE_SIZE) && range.size.is_multiple_of(PAGE_SIZE) && range.size != 0);
        if !HOST.contains(range) {
            return Err(Error::Perm);
        }
        self.0.held.borrow_mut().push(range);
        Ok(())
    }

    fn release(&mut self, range: Range) {
        let mut held = self.0.held.borrow_mut();
        let at = held.iter().position(|held| *held == range).expect("released, but not held");
        held.swap_remove(at);
    }

    fn read(&self, pa: PhysAddr) -> u64 {
        assert!(self.0.is_held(Range { base: pa, size: 8 }), "{pa} is read, but not held");
        if let Some(word) = self.0.commands.borrow().get(&pa.0) {
            return *word;
        }
        let noise = self
            .0
            .noise
            .get()
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0.noise.set(noise);
        let random = noise >> 20;
        match pa.0 / 8 % 4 {
            0 => [8, random & 0xf][usize::from(random & 16 != 0)] | (random >> 8 & 3) << 32,
            1 => random & 0x1f | 0x2000 << 32,
            2 => (random & 1) << 63 | (HOST.base.0 + (random & 0x1f_ff00)) | random >> 30 & 1,
            _ => 0,
        }
    }
}

struct Machine {
    world: Rc<World>,
    lpis: Lpis<Frame, Ram, Nothing>,
}

impl Machine {
    fn new() -> Self {
        let world = Rc::new(World::default());
        let probed = Probed::new(Frame::Its(ItsFrame(world.clone())), &Nothing, 8).unwrap();
        let [devices, collections, queue] = probed.buffers();
        assert_eq!((devices.pages, collections.pages, queue.pages), (1, 1, 1));
        let mut targets = [None; 8];
        targets[0] = Some(0);
        let its: Its<_, _, _> = probed.init(Ram(world.clone()), Nothing, OURS, targets).unwrap();
        let frame = |base: u64, size: u64| Range { base: PhysAddr(base), size };
        let mut redistributors = [const { None }; 8];
        redistributors[0] = Some((
            frame(GICR, PAGE_SIZE),
            Redistributor::new(Frame::Gicr(GicrFrame(world.clone()))).unwrap(),
        ));
        let lpis = Lpis { its: Some((frame(FRAME, 0x1_0000), its)), redistributors };
        Self { world, lpis }
    }

    fn access(&mut self, address: u64, width: u64, write: Option<u64>) -> Outcome {
        let mut host = Host(self.world.clone());
        let outcome = self.lpis.access(&mut host, PhysAddr(address), width, write).expect("a frame is there");
        self.world.verify();
        outcome
    }

    fn write(&mut self, offset: u64, value: u64) -> Option<Refusal> {
        let width = if matches!(offset, CTLR | CWRITER) { 4 } else { 8 };
        self.access(FRAME + offset, width, Some(value)).refusal
    }

    fn read(&mut self, offset: u64) -> u64 {
        self.access(FRAME + offset, 8, None).value
    }

    fn gicr(&mut self, offset: u64, value: u64) -> Option<Refusal> {
        self.access(GICR + offset, if offset < 0x20 { 4 } else { 8 }, Some(value)).refusal
    }

    /// Puts `commands` into the queue from its start on.
    fn queue(&mut self, commands: &[[u64; 4]]) {
        let words = commands.iter().flatten();
        (QUEUE..).step_by(8).zip(words).for_each(|(at, word)| {
            self.world.commands.borrow_mut().insert(at, *word);
        });
    }

    fn enable(&mut self) {
        assert_eq!(self.write(CBASER, VALID | QUEUE), None);
        assert_eq!(self.write(CTLR, 1), None);
    }

    fn held(&self) -> usize {
        self.world.held.borrow().len()
    }
}

const fn mapd(device: u64, itt: u64) -> [u64; 4] {
    [8 | device << 32, 4, VALID | itt, 0]
}

#[test]
fn an_itt_is_held_from_mapd_to_mapd() {
    let mut machine = Machine::new();
    machine.queue(&[
        mapd(8, ITT),
        [9, 0, VALID, 0],
        [10 | 8 << 32, 8192 << 32, 0, 0],
        mapd(8, ITT + 0x1000),
        [8 | 8 << 32, 0, 0, 0],
    ]);
    machine.enable();
    assert_eq!(machine.held(), 1);
    for (commands, held) in [(3, 2), (4, 2), (5, 1)] {
        assert_eq!(machine.write(CWRITER, commands * 32), None);
        assert_eq!((machine.read(CREADR), machine.held()), (commands * 32, held));
    }
    assert_eq!(machine.write(CTLR, 0), None);
    assert_eq!(machine.held(), 0);
}

#[test]
fn a_refused_command_stalls_the_queue_until_it_is_retried() {
    for refused in
        [[0x20, 0, 0, 0], mapd(8, 0x9000_0000), mapd(8, ITT + 0x80), mapd(0x100, ITT), [3, 0, 0, 0]]
    {
        let mut machine = Machine::new();
        machine.queue(&[[13, 0, 0, 0], refused, [13, 0, 0, 0]]);
        machine.enable();
        assert_eq!(machine.write(CWRITER, 96), Some(Refusal::ItsCommand(refused)));
        assert_eq!(machine.read(CREADR), 32 | 1);
        assert_eq!(machine.write(CWRITER, 96), None, "it stays stalled");
        assert_eq!(machine.read(CREADR), 32 | 1);
        machine.queue(&[[13, 0, 0, 0], [13, 0, 0, 0]]);
        assert_eq!(machine.write(CWRITER, 96 | 1), None);
        assert_eq!(machine.read(CREADR), 96);
        machine.write(CTLR, 0);
        assert_eq!(machine.held(), 0);
    }
}

#[test]
fn what_the_hardware_refuses_changes_nothing() {
    let mut machine = Machine::new();
    machine.queue(&[mapd(8, ITT)]);
    machine.enable();
    machine.world.refuses.set(true);
    assert_eq!(machine.write(CWRITER, 32), Some(Refusal::ItsCommand(mapd(8, ITT))));
    assert_eq!(machine.held(), 1);
    machine.world.refuses.set(false);
    assert_eq!(machine.write(CWRITER, 32 | 1), None);
    assert_eq!(machine.held(), 2);
}

#[test]
fn what_a_dead_its_may_use_is_never_given_back() {
    let mut machine = Machine::new();
    machine.queue(&[mapd(8, ITT), [8 | 8 << 32, 0, 0, 0]]);
    machine.enable();
    assert_eq!(machine.write(CWRITER, 32), None);
    machine.world.is_dead.set(true);
    assert_eq!(machine.write(CWRITER, 64), Some(Refusal::Stuck));
    assert_eq!(machine.held(), 2);
    machine.write(CTLR, 0);
    machine.write(BASER0, 0);
    assert_eq!(machine.held(), 1, "the ITT");
}

#[test]
fn tables_are_frozen_while_the_its_is_enabled_and_new_ones_are_empty() {
    let mut machine = Machine::new();
    machine.queue(&[mapd(8, ITT)]);
    let table = VALID | 1 << 62 | 0x4040_0000 | 0x207;
    assert_eq!(machine.write(BASER0, table), None);
    let shown = table & !(1 << 62) | 1 << 56 | 7 << 48;
    assert_eq!(machine.read(BASER0), shown);
    machine.enable();
    machine.write(CWRITER, 32);
    for register in [BASER0, BASER1, CBASER] {
        assert!(matches!(machine.write(register, VALID), Some(Refusal::Write(..))));
    }
    assert_eq!(machine.read(BASER0), shown);
    machine.write(CTLR, 0);
    assert_eq!(machine.held(), 1, "the device is mapped still");
    machine.write(BASER0, table);
    assert_eq!(machine.held(), 0);
    assert!(machine.write(0x110, VALID).is_some(), "there is no third table");
    assert_eq!(machine.read(0x110), 0);
}

#[test]
fn one_access_works_off_no_more_than_its_budget() {
    let mut machine = Machine::new();
    machine.queue(&[[13, 0, 0, 0]; 100]);
    machine.enable();
    machine.write(CWRITER, 100 * 32);
    assert_eq!(machine.world.issued.borrow().len(), 64);
    assert_eq!(machine.read(CREADR), 100 * 32);
}

#[test]
fn a_queue_that_is_not_the_hosts_keeps_the_its_off() {
    let mut machine = Machine::new();
    machine.write(CBASER, VALID | 0x9000_0000);
    assert_eq!(machine.write(CTLR, 1), Some(Refusal::Memory));
    assert_eq!(machine.access(FRAME, 4, None).value, 1 << 31);
}

#[test]
fn features_that_are_not_offered_are_hidden() {
    let mut machine = Machine::new();
    let typer = machine.read(8);
    assert_eq!(typer, 1 | 11 << 4 | 10 << 8 | 7 << 13 | 8 << 32 | 1 << 36);
    assert_eq!(machine.access(GICR + 8, 8, None).value, 1 | 1 << 4, "no virtual and no direct LPIs");
}

#[test]
fn lpi_tables_are_held_while_lpis_are_on() {
    let mut machine = Machine::new();
    let (configuration, pending) = (HOST.base.0 + 0x2_0000, HOST.base.0 + 0x4_0000);
    machine.gicr(PROPBASER, configuration | 15);
    machine.gicr(PENDBASER, pending | 1 << 62);
    assert_eq!(machine.gicr(0, 1), None);
    assert_eq!(machine.held(), 2);
    assert!(machine.gicr(PENDBASER, 0x9000_0000).is_some(), "frozen");
    assert_eq!(machine.access(GICR + PENDBASER, 8, None).value, pending);
    assert_eq!(machine.gicr(0, 0), None);
    assert_eq!(machine.held(), 0);
    for (configuration, pending) in
        [(configuration | 15, 0x9000_0000), (0x9000_0000 | 15, pending), (configuration | 12, pending)]
    {
        machine.gicr(PROPBASER, configuration);
        machine.gicr(PENDBASER, pending);
        assert_eq!(machine.gicr(0, 1), Some(Refusal::Memory));
        assert_eq!((machine.held(), machine.access(GICR, 4, None).value), (0, 0));
    }
}

#[test]
fn tables_of_lpis_that_cannot_be_turned_off_stay_held() {
    let mut machine = Machine::new();
    machine.gicr(PROPBASER, (HOST.base.0 + 0x2_0000) | 15);
    machine.gicr(PENDBASER, HOST.base.0 + 0x4_0000);
    machine.gicr(0, 1);
    machine.world.is_dead.set(true);
    assert_eq!(machine.gicr(0, 0), Some(Refusal::Stuck));
    assert_eq!(machine.held(), 2);
}

proptest! {
    #[test]
    fn nothing_that_the_host_writes_leads_the_hardware_astray(
        seed: u64,
        writes in prop::collection::vec((0_usize..14, 0_u64..0x20_0000, any::<u64>()), 1..80),
    ) {
        let mut machine = Machine::new();
        machine.world.noise.set(seed);
        for (register, address, bits) in writes {
            let place = HOST.base.0 + (address & !0xfff);
            let (at, width, value) = match register {
                0..=1 => (FRAME + CTLR, 4, bits & 1),
                2 => (FRAME + CBASER, 8, VALID | place | bits & 3),
                3..=6 => (FRAME + CWRITER, 4, bits & 0x1fe1),
                7 => (FRAME + BASER0, 8, VALID | place | bits & 0xfff | bits & 1 << 62),
                8 => (FRAME + BASER1 + (bits & 4), 4, bits),
                9 => (GICR, 4, bits & 1),
                10 => (GICR + PROPBASER, 8, place | (13 + bits % 4)),
                11 => (GICR + PENDBASER, 8, place),
                12 => (FRAME + (address & 0xffff), 1 << (bits % 4), bits),
                _ => (GICR + (address & 0xfff), 1 << (bits % 4), bits),
            };
            machine.access(at, width, Some(value));
            machine.access(FRAME + CREADR, 4, None);
        }
    }
}
