//! A host and its GIC, without a machine.

use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr, Span, StreamId};
use parallax_ops::{CpuAccess, DmaAccess, Operation, Outcome};

use super::Vgic;
use crate::fakes::{Memory, OTHERS, Pages};
use crate::holding::At;
use crate::page::Page;
use crate::step::Next;
use crate::view::{After, Effect, View};

const ITS: u64 = 0x808_0000;
const GICR: u64 = 0x80a_0000;
const QUEUE: u64 = 0x4601_0000;
const ITT: u64 = 0x4602_0000;
const CONFIGURATION: u64 = 0x4603_0000;
const PENDING: u64 = 0x4604_0000;
const VALID: u64 = 1 << 63;
const OK: Outcome = Outcome::Ok { value: None };

struct Host {
    gic: Vgic,
    effects: Vec<Effect>,
    memory: Memory,
    /// Bytes of commands that were written.
    end: u64,
}

impl Host {
    fn new() -> Self {
        let redistributors = [GICR, GICR + 0x2_0000].map(PhysAddr::new);
        let gic = Vgic::new(PhysAddr::new(ITS), &redistributors, 8, false);
        Self { gic, effects: Vec::new(), memory: Memory::default(), end: 0 }
    }

    /// Performs `operation` in a step of its own.
    fn perform(&mut self, (operation, outcome): &(Operation, Outcome)) -> Option<Next> {
        self.gic.begin(std::iter::once(operation));
        let here = operation.footprint().pages.is_some_and(|pages| pages.base.get() < 0x4000_0000);
        let view = After { before: &Pages, effects: &self.effects };
        let at = At { view: &view, memory: &self.memory, after: None, unsure: false };
        let next = self.gic.perform(operation, outcome, here, at);
        self.effects.extend(next.iter().flat_map(|next| next.effects.clone()));
        next
    }

    fn writes(&mut self, writes: &[(u64, u64, u64)]) {
        for (at, size, value) in writes {
            self.perform(&store(*at, *size, *value));
        }
    }

    /// The rule that says that a register of 64 bits cannot read as `value`.
    fn rule(&mut self, at: u64, value: u64) -> Option<String> {
        self.perform(&read(at, 8, value)).and_then(|next| next.wrong).map(|wrong| wrong.rule)
    }

    /// Whether a register of 64 bits reads as `value`, and not as anything else.
    fn reads(&mut self, at: u64, value: u64) -> bool {
        self.rule(at, value).is_none() && self.rule(at, value ^ 0x40).as_deref() == Some("vgic/register")
    }

    /// Whether GITS_CTLR.Enabled or GICR_CTLR.EnableLPIs is set, and cannot read as clear.
    fn is_on(&mut self, at: u64) -> bool {
        let on = if at == ITS { 1 << 31 | 1 } else { 3 };
        let rule =
            |host: &mut Self, value| host.perform(&read(at, 4, value)).unwrap().wrong.map(|wrong| wrong.rule);
        let (set, clear) = (rule(self, on), rule(self, on & !1));
        assert_ne!(set.is_none(), clear.is_none());
        set.is_none()
    }

    /// Gives the ITS a queue of 4 KiB, and turns it on.
    fn set_up(&mut self) {
        self.writes(&[(ITS + 0x80, 8, VALID | QUEUE), (ITS, 4, 1)]);
    }

    /// Gives `command`, and says whether it was performed.
    fn command(&mut self, command: [u64; 4]) -> bool {
        let at = QUEUE + self.end;
        self.memory.0.borrow_mut().extend((at..).step_by(8).zip(command));
        let next = (self.end + 32) % PAGE_SIZE;
        self.writes(&[(ITS + 0x88, 8, next | 1)]);
        let done = self.reads(ITS + 0x90, next);
        assert!(done || self.reads(ITS + 0x90, self.end | 1), "{command:x?}");
        if done {
            self.end = next;
        }
        done
    }

    fn page(&self, at: u64) -> Page {
        After { before: &Pages, effects: &self.effects }.pages(Span::new(PhysAddr::new(at), PAGE_SIZE))[0].1
    }
}

fn store(at: u64, size: u64, value: u64) -> (Operation, Outcome) {
    (Operation::Access(CpuAccess::Write { ipa: Ipa::new(at), size, value, normal: 0 }), OK)
}

fn read(at: u64, size: u64, value: u64) -> (Operation, Outcome) {
    let access = CpuAccess::Read { ipa: Ipa::new(at), size, normal: 0 };
    (Operation::Access(access), Outcome::Ok { value: Some(value) })
}

const fn held(pins: u16) -> Page {
    Page::Lent { pins: 0, held: pins }
}

const fn mapd(device: u64, size: u64, itt: u64) -> [u64; 4] {
    [8 | device << 32, size, itt, 0]
}

#[test]
fn the_queue_is_held_while_the_its_is_on() {
    let mut host = Host::new();
    host.set_up();
    assert!(host.is_on(ITS));
    assert_eq!((host.page(QUEUE), host.page(QUEUE + PAGE_SIZE)), (held(1), Page::Host));
    host.writes(&[(ITS + 0x80, 8, 0)]);
    assert!(host.reads(ITS + 0x80, VALID | QUEUE));
    host.writes(&[(ITS, 4, 0)]);
    assert_eq!(host.page(QUEUE), Page::Host);
    for queue in [VALID | OTHERS, VALID | (OTHERS - PAGE_SIZE) | 1, VALID | ITS] {
        host.writes(&[(ITS + 0x80, 8, queue), (ITS, 4, 1)]);
        assert!(!host.is_on(ITS), "{queue:#x}");
    }
    // Without a queue it is on, and its registers stay as they are.
    for queue in [0, QUEUE] {
        host.writes(&[
            (ITS + 0x80, 8, queue),
            (ITS, 4, 1),
            (ITS + 0x80, 8, VALID | QUEUE),
            (ITS + 0x100, 8, VALID),
        ]);
        assert!(host.is_on(ITS) && host.reads(ITS + 0x80, queue) && host.reads(ITS + 0x100, 0), "{queue:#x}");
        host.writes(&[(ITS, 4, 0)]);
    }
    assert_eq!(host.page(OTHERS - PAGE_SIZE), Page::Host);
}

#[test]
fn an_itt_is_held_while_its_device_is_mapped() {
    let mut host = Host::new();
    host.set_up();
    assert!(host.command(mapd(8, 4, VALID | ITT)) && host.command(mapd(9, 4, VALID | ITT | 0x800)));
    assert_eq!(host.page(ITT), held(2));
    assert!(host.command(mapd(8, 10, VALID | (ITT + 0x1000))));
    assert_eq!(
        (host.page(ITT), host.page(ITT + 0x6000), host.page(ITT + 0x7000)),
        (held(1), held(1), Page::Host)
    );
    assert!(host.command(mapd(9, 0, 0)) && host.command(mapd(9, 0, 0)));
    assert_eq!((host.page(ITT), host.page(ITT + 0x1000)), (Page::Host, held(1)));
    // A new table of collections, then one of devices while it is on.
    host.writes(&[(ITS + 0x100, 8, VALID), (ITS, 4, 0), (ITS + 0x108, 8, VALID)]);
    assert_eq!(host.page(ITT + 0x1000), held(1));
    assert!(host.rule(ITS + 0x100, 1 << 56 | 7 << 48).is_none());
    host.writes(&[(ITS + 0x104, 4, 1 << 31)]);
    assert_eq!(host.page(ITT + 0x1000), Page::Host);
    assert!(host.rule(ITS + 0x100, VALID | 1 << 56 | 7 << 48).is_none());
    assert!(host.rule(ITS + 0x100, VALID | 1 << 62).is_some());
}

#[test]
fn what_names_what_is_not_there_is_refused() {
    let mut host = Host::new();
    host.set_up();
    assert!(host.command(mapd(8, 4, VALID | ITT)) && host.command([9, 0, VALID | 1 << 16 | 511, 0]));
    for command in [
        mapd(256, 4, VALID | ITT),
        mapd(256, 0, 0),
        mapd(9, 11, VALID | ITT),
        mapd(9, 4, VALID | ITT | 0x80),
        mapd(9, 4, VALID | OTHERS),
        mapd(9, 4, VALID | (OTHERS - 0x100)),
        mapd(9, 4, VALID | GICR),
        [9, 0, VALID | 512, 0],
        [9, 0, VALID | 2 << 16, 0],
        [0xa | 8 << 32, 8192 << 32 | 32, 0, 0],
        [0xa | 8 << 32, 8191 << 32, 0, 0],
        [0xa | 8 << 32, 1 << 56, 0, 0],
        [0xa | 8 << 32, 8192 << 32, 512, 0],
        [0xa | 9 << 32, 8192 << 32, 0, 0],
        [0xb | 8 << 32, 3, 0, 0],
        [1 | 8 << 32, 32, 0, 0],
        [1 | 8 << 32, 0, 512, 0],
        [3 | 9 << 32, 0, 0, 0],
        [4 | 8 << 32, 32, 0, 0],
        [0xc | 9 << 32, 0, 0, 0],
        [0xf | 8 << 32, 32, 0, 0],
        [0xd, 0, 512, 0],
        [0xe, 0, 0, 2 << 16],
        [5, 0, 2 << 16, 0],
        [0x29 | 8 << 32, 0, VALID, ITT],
        [0, 0, 0, 0],
    ] {
        assert!(!host.command(command), "{command:x?}");
    }
    for command in [
        [0xa | 8 << 32, 8192 << 32 | 31, 511, 0],
        [1 | 8 << 32, 31, 0, 0],
        [0xf | 8 << 32, 0, 0, 0],
        [0xd, 0, 511, 0],
        [0xe, 0, 1 << 16, 0],
        [5, 0, 1 << 16, 0],
    ] {
        assert!(host.command(command), "{command:x?}");
    }
    assert_eq!((host.page(ITT), host.page(OTHERS - PAGE_SIZE)), (held(1), Page::Host));
}

#[test]
fn there_are_64_devices() {
    let mut host = Host::new();
    host.set_up();
    for device in 0..64 {
        assert!(host.command(mapd(device, 4, VALID | ITT)));
    }
    assert!(!host.command(mapd(64, 4, VALID | ITT)) && host.command(mapd(1, 0, 0)));
    assert!(host.command(mapd(64, 4, VALID | ITT)));
    assert_eq!(host.page(ITT), held(64));
}

#[test]
fn a_queue_that_stands_still_goes_on_with_retry() {
    let mut host = Host::new();
    host.set_up();
    assert!(!host.command([0; 4]));
    host.memory.0.borrow_mut().insert(QUEUE, 5);
    host.writes(&[(ITS + 0x88, 8, 32), (ITS + 0x8c, 4, 1)]);
    assert!(host.reads(ITS + 0x90, 1));
    // Beyond the queue.
    host.writes(&[(ITS + 0x88, 8, 0x1000)]);
    assert!(host.reads(ITS + 0x88, 32));
    host.writes(&[(ITS + 0x88, 4, 33)]);
    assert!(host.reads(ITS + 0x90, 32));
    // A new queue begins anew.
    host.writes(&[(ITS, 4, 0), (ITS + 0x84, 4, 0)]);
    assert!(host.reads(ITS + 0x90, 0) && host.reads(ITS + 0x80, QUEUE));
}

#[test]
fn what_is_not_known_is_not_judged_until_the_its_is_off_and_empty() {
    let enabled_again: Vec<(u64, u64, u64)> = vec![(ITS, 4, 0), (ITS, 4, 1)];
    let held_elsewhere = vec![(ITS, 4, 0), (ITS + 0x80, 8, VALID | ITT), (ITS, 4, 1)];
    for (command, writes) in [([0; 4], enabled_again), ([5, 0, 0, 0], held_elsewhere)] {
        let mut host = Host::new();
        host.set_up();
        assert!(host.command(mapd(8, 4, VALID | ITT)));
        let _ = host.command(command);
        host.writes(&writes);
        assert_eq!(host.rule(ITS + 0x90, 0x123), None);
        assert!(host.perform(&store(ITS + 0x88, 8, 0)).unwrap().lends);
        assert!(host.perform(&store(ITS + 0x100, 8, 0)).unwrap().lends, "it may be on");
        host.writes(&[(ITS, 4, 0)]);
        assert!(host.perform(&store(ITS + 0x100, 8, 0)).unwrap().lends);
        assert!(!host.is_on(ITS));
        assert_eq!((host.page(ITT), host.page(QUEUE)), (Page::Host, Page::Host));
        assert_eq!(host.rule(ITS + 0x80, 0x123), None);
        assert!(!host.perform(&store(ITS + 0x108, 8, 0)).unwrap().lends);
        host.writes(&[(ITS + 0x88, 8, 0), (ITS + 0x80, 8, VALID | QUEUE), (ITS + 0x88, 8, 0), (ITS, 4, 1)]);
        assert!(host.is_on(ITS));
    }
}

#[test]
fn an_access_performs_some_commands_and_the_next_one_goes_on() {
    let mut host = Host::new();
    host.set_up();
    let syncs = (QUEUE..QUEUE + PAGE_SIZE).step_by(32).map(|at| (at, 5));
    host.memory.0.borrow_mut().extend(syncs);
    host.writes(&[(ITS + 0x88, 8, 100 * 32)]);
    assert!(host.reads(ITS + 0x90, 100 * 32));
    // Six, of which four are as much as 64 others.
    for index in 0..6 {
        let slots = (QUEUE + (100 + index) * 32..).step_by(8);
        host.memory.0.borrow_mut().extend(slots.zip(mapd(index, 4, VALID | ITT)));
    }
    host.writes(&[(ITS + 0x88, 8, 106 * 32)]);
    assert_eq!(host.page(ITT), held(4));
    assert!(host.reads(ITS + 0x90, 106 * 32));
    assert_eq!(host.page(ITT), held(6));
}

#[test]
fn tables_of_lpis_are_held_while_they_are_on() {
    let mut host = Host::new();
    let other = GICR + 0x2_0000;
    host.writes(&[(GICR + 0x70, 8, CONFIGURATION | 0x1f), (GICR + 0x78, 8, PENDING), (GICR, 4, 1)]);
    assert!(host.is_on(GICR) && host.reads(GICR + 0x70, CONFIGURATION | 15));
    assert_eq!((host.page(CONFIGURATION + 0xd000), host.page(CONFIGURATION + 0xe000)), (held(1), Page::Host));
    assert_eq!((host.page(PENDING + 0x1000), host.page(PENDING + 0x2000)), (held(1), Page::Host));
    host.writes(&[(GICR + 0x70, 8, 0), (GICR, 4, 1)]);
    assert!(host.reads(GICR + 0x70, CONFIGURATION | 15) && host.reads(GICR + 0x78, PENDING));
    // The other one has the same configuration, but no pending table; then it has one.
    host.writes(&[(other + 0x70, 8, CONFIGURATION | 15), (other + 0x78, 8, OTHERS), (other, 4, 1)]);
    assert!(!host.is_on(other) && host.page(CONFIGURATION) == held(1));
    host.writes(&[(other + 0x78, 8, PENDING + 0x1_0000), (other, 4, 1)]);
    assert!(host.is_on(other) && host.page(CONFIGURATION) == held(2));
    host.writes(&[(GICR, 4, 0)]);
    assert_eq!((host.page(CONFIGURATION), host.page(PENDING)), (held(1), Page::Host));
    // 13 bits.
    host.writes(&[(GICR + 0x70, 8, CONFIGURATION | 12), (GICR, 4, 1)]);
    assert!(!host.is_on(GICR));
}

#[test]
fn of_tables_that_others_hold_nothing_is_said() {
    let mut host = Host::new();
    host.set_up();
    host.writes(&[(GICR + 0x70, 8, QUEUE | 15), (GICR + 0x78, 8, PENDING), (GICR, 4, 1)]);
    assert!(host.perform(&read(GICR, 4, 3)).unwrap().lends && host.perform(&read(ITS, 4, 0)).unwrap().lends);
    host.writes(&[(GICR, 4, 0)]);
    assert!(!host.is_on(GICR));
    assert_eq!(host.rule(GICR + 0x78, 0x123), None);
}

#[test]
fn hardware_that_has_not_answered_may_keep_what_it_had() {
    let mut host = Host::new();
    assert!(host.perform(&read(GICR, 4, 0xa)).unwrap().lends);
    assert!(host.perform(&read(ITS, 4, 0)).unwrap().lends);
}

#[test]
fn other_accesses_are_none_of_registers() {
    let mut host = Host::new();
    for at in [ITS + 0x40, ITS + 0x82, ITS + 0x110, ITS + 0x9000] {
        assert_eq!(host.perform(&read(at, 2, 1)).unwrap().wrong.unwrap().rule, "vgic/reserved");
        assert_eq!(host.perform(&read(at, 2, 0)).unwrap(), Next::SAME);
    }
    for at in [ITS + 8, ITS + 0xffe8, ITS + 0x1_0040, GICR + 8, GICR + 0x1000] {
        assert_eq!(host.perform(&read(at, 8, 0x123)).unwrap(), Next::SAME, "{at:#x}");
    }
    let abort = |(operation, _)| (operation, Outcome::Abort);
    assert_eq!(host.perform(&abort(read(ITS, 4, 0))).unwrap().wrong.unwrap().rule, "vgic/access");
    assert_eq!(host.perform(&abort(read(ITS + 1, 4, 0))).unwrap(), Next::SAME);
    let pair = Operation::Access(CpuAccess::ReadPair { ipa: Ipa::new(ITS) });
    assert_eq!(host.perform(&(pair, Outcome::Abort)).unwrap(), Next::SAME);
    let probe = CpuAccess::Probe { ipa: Ipa::new(GICR), form: 0, el: 1, value: 0 };
    assert!(host.perform(&(Operation::Access(probe), OK)).unwrap().lends);
    assert!(host.perform(&read(ITS, 4, 0)).unwrap().lends);
}

#[test]
fn a_command_that_a_device_may_have_changed_is_not_known() {
    let mut host = Host::new();
    host.set_up();
    let access = DmaAccess::Write { sid: StreamId::new(8), ipa: Ipa::new(QUEUE), len: 8, value: 5 };
    let operations = [(Operation::Dma(access), OK), store(ITS + 0x88, 8, 32), (Operation::Dma(access), OK)];
    host.gic.elsewhere = true;
    host.gic.begin(operations.iter().map(|(operation, _)| operation));
    let view = After { before: &Pages, effects: &host.effects };
    let at = At { view: &view, memory: &host.memory, after: None, unsure: false };
    assert_eq!(host.gic.perform(&operations[0].0, &OK, false, at), None);
    assert!(host.gic.perform(&operations[1].0, &OK, true, at).unwrap().lends);
}
