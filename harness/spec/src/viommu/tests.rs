//! A host and its SMMU, without a machine.

use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr, Span, StreamId};
use parallax_ops::{CpuAccess, DmaAccess, Operation, Outcome};

use super::{Features, Viommu};
use crate::fakes::{Memory, OTHERS, Pages};
use crate::holding::At;
use crate::page::Page;
use crate::step::Next;
use crate::view::{After, Effect, View};

const FRAME: u64 = 0x905_0000;
const QUEUE: u64 = 0x4601_1000;
const TABLE: u64 = 0x4601_2000;

struct Host {
    smmu: Viommu,
    effects: Vec<Effect>,
}

impl Host {
    fn new() -> Self {
        let frame = Span::new(PhysAddr::new(FRAME), 0x2_0000);
        Self {
            smmu: Viommu::new(frame, 8, Features { stage1: true, output_bits: 44, ranges: true }),
            effects: Vec::new(),
        }
    }

    /// Performs `operations` in one step, each with its outcome: what is said of the last one.
    fn step(&mut self, operations: &[(Operation, Outcome)]) -> Option<Next> {
        self.smmu.begin(operations.iter().map(|(operation, _)| operation));
        let mut last = None;
        for (operation, outcome) in operations {
            let view = After { before: &Pages, effects: &self.effects };
            let next = self.smmu.perform(
                operation,
                outcome,
                At { view: &view, memory: &Memory::default(), after: None, unsure: false },
            );
            let effects = next.iter().flat_map(|next| next.effects.clone()).collect::<Vec<_>>();
            self.effects.extend(effects);
            last = next;
        }
        last
    }

    fn rule(&mut self, operations: &[(Operation, Outcome)]) -> Option<String> {
        self.step(operations).and_then(|next| next.wrong).map(|wrong| wrong.rule)
    }

    fn page(&self, at: u64) -> Page {
        After { before: &Pages, effects: &self.effects }.pages(Span::new(PhysAddr::new(at), PAGE_SIZE))[0].1
    }
}

const OK: Outcome = Outcome::Ok { value: None };

fn store(at: u64, size: u64, value: u64) -> (Operation, Outcome) {
    let ipa = Ipa::new(at);
    (Operation::Access(CpuAccess::Write { ipa, size, value, normal: 0 }), OK)
}

fn read(offset: u64, value: u64) -> (Operation, Outcome) {
    let ipa = Ipa::new(FRAME + offset);
    let access = CpuAccess::Read { ipa, size: 4, normal: 0 };
    (Operation::Access(access), Outcome::Ok { value: Some(value) })
}

fn dma(at: u64, outcome: Outcome) -> (Operation, Outcome) {
    let access = DmaAccess::Write { sid: StreamId::new(8), ipa: Ipa::new(at), len: 8, value: 1 };
    (Operation::Dma(access), outcome)
}

/// A queue of 256 commands and a linear table of 16 entries, of which stream 8 has `ste`.
fn set_up(ste: u64) -> Vec<(Operation, Outcome)> {
    vec![
        store(FRAME + 0x90, 8, QUEUE | 8),
        store(FRAME + 0xa0, 8, 0x4601_0007),
        store(FRAME + 0x80, 8, TABLE),
        store(FRAME + 0x88, 4, 4),
        store(TABLE + 8 * 64, 8, ste),
        store(FRAME + 0x20, 4, 0xd),
    ]
}

#[test]
fn a_stream_does_what_its_entry_said_when_it_was_announced() {
    let mut host = Host::new();
    assert_eq!(host.rule(&[dma(0x4500_0000, OK)]).as_deref(), Some("viommu/dma-refused"));
    host.step(&set_up(9));
    assert_eq!(host.rule(&[read(0x24, 0xd)]), None);
    assert_eq!(host.rule(&[dma(0x4500_0000, OK)]), None);
    assert_eq!(host.rule(&[dma(0x4500_0000, Outcome::Abort)]).as_deref(), Some("viommu/dma-reaches"));
    assert_eq!(host.rule(&[dma(OTHERS, OK)]).as_deref(), Some("viommu/dma-refused"));
    // Not announced, then announced: the entry is written and the command given in one step.
    let announced = [
        store(TABLE + 8 * 64, 8, 1),
        dma(0x4500_0000, OK),
        store(QUEUE, 8, 8 << 32 | 3),
        store(FRAME + 0x98, 4, 1),
        dma(0x4500_0000, Outcome::Abort),
    ];
    assert_eq!(host.rule(&announced), None);
    assert_eq!(host.rule(&[dma(0x4500_0000, OK)]).as_deref(), Some("viommu/dma-refused"));
}

#[test]
fn what_is_in_use_is_lent_and_returned() {
    let mut host = Host::new();
    host.step(&set_up(9));
    for at in [QUEUE, TABLE, 0x4601_0000] {
        assert_eq!(host.page(at), Page::Lent { pins: 0, held: 1 }, "{at:#x}");
    }
    host.step(&[store(FRAME + 0x20, 4, 0xc)]);
    assert_eq!((host.page(TABLE), host.page(QUEUE)), (Page::Host, Page::Lent { pins: 0, held: 1 }));
    host.step(&[store(FRAME + 0x20, 4, 0)]);
    assert_eq!(host.page(QUEUE), Page::Host);
}

#[test]
fn a_queue_of_others_memory_is_not_turned_on() {
    let mut host = Host::new();
    host.step(&[store(FRAME + 0x90, 8, OTHERS | 8), store(FRAME + 0x20, 4, 8)]);
    assert_eq!(host.rule(&[read(0x24, 8)]).as_deref(), Some("viommu/register"));
    assert_eq!(host.rule(&[read(0x24, 0)]), None);
}

#[test]
fn a_refused_command_stops_the_queue_until_it_is_acknowledged() {
    let mut host = Host::new();
    host.step(&set_up(9));
    // TLBI_S2_IPA, then a CMD_SYNC.
    host.step(&[store(QUEUE, 8, 0x2a), store(QUEUE + 16, 8, 0x46), store(FRAME + 0x98, 4, 2)]);
    assert_eq!(host.rule(&[read(0x9c, 2)]).as_deref(), Some("viommu/register"));
    assert_eq!(host.rule(&[read(0x9c, 0x100_0000)]), None);
    assert_eq!(host.rule(&[read(0x60, 0)]).as_deref(), Some("viommu/register"));
    host.step(&[store(QUEUE, 8, 0x46), store(QUEUE + 16, 8, 0x46), store(FRAME + 0x64, 4, 1)]);
    assert_eq!(host.rule(&[read(0x9c, 2)]), None);
}

#[test]
fn of_what_two_cpus_do_at_once_nothing_is_said_until_it_is_off() {
    let mut host = Host::new();
    host.step(&set_up(9));
    host.smmu.lose();
    assert_eq!(host.rule(&[dma(OTHERS, OK)]), None);
    assert!(host.step(&[store(FRAME + 0x20, 4, 0)]).is_some_and(|next| next.lends));
    host.step(&[read(0x24, 0)]);
    assert!(host.smmu.is_found_again() && !host.smmu.is_found_again());
    assert_eq!(host.rule(&[dma(0x4500_0000, OK)]).as_deref(), Some("viommu/dma-refused"));
}

/// Where a turn takes more than one access, CR0 may be written too early: whether that counts is open (IHI 0070, 6.3.9).
#[test]
fn of_a_change_that_came_too_early_nothing_is_said() {
    let mut host = Host::new();
    host.smmu.sid_bits = 16;
    host.step(&set_up(9));
    host.step(&[store(FRAME + 0x20, 4, 0)]);
    // CR0ACK still reads as zero: of the turn off that began before.
    host.step(&[store(FRAME + 0x20, 4, 0xd), read(0x24, 0)]);
    assert!(!host.smmu.is_found_again());
    assert!(host.step(&[dma(0x4500_0000, Outcome::Abort)]).is_some_and(|next| next.lends));
    host.step(&[store(FRAME + 0x20, 4, 0), read(0x24, 0)]);
    assert!(host.smmu.is_found_again());
}

#[test]
fn registers_that_are_not_there_read_as_zero() {
    let mut host = Host::new();
    assert_eq!(host.rule(&[read(0x1_fffc, 1)]).as_deref(), Some("viommu/reserved"));
    assert_eq!(host.rule(&[read(0x28, 0)]).as_deref(), Some("viommu/fixed"));
    assert_eq!(host.rule(&[read(0x28, 0xd75)]), None);
}

#[test]
fn an_access_of_all_memory_ends() {
    let mut host = Host::new();
    host.step(&set_up(9));
    for (at, len) in [(0, u64::MAX), (u64::MAX - 7, 8), (u64::MAX - 7, 16), (!0xfff, 0x1000), (!0xfff, 0xfff)]
    {
        let access = DmaAccess::Write { sid: StreamId::new(8), ipa: Ipa::new(at), len, value: 1 };
        host.step(&[(Operation::Dma(access), Outcome::Abort)]);
    }
}

#[test]
fn interrupts_are_on_as_the_host_asked_and_off_at_boot() {
    let mut host = Host::new();
    assert_eq!(host.rule(&[read(0x50, 0)]), None);
    let write = |value| store(FRAME + 0x50, 4, value);
    // Reserved bits and PRIQ_IRQEN are not kept.
    assert_eq!(host.rule(&[write(0xf), read(0x50, 5)]), None);
    assert_eq!(host.rule(&[write(1), read(0x50, 5)]).as_deref(), Some("viommu/register"));
    assert_eq!(Host::new().rule(&[read(0x50, 1)]).as_deref(), Some("viommu/register"));
}

#[test]
fn an_acknowledged_error_is_read_back_and_a_failure_is_told_once() {
    let mut host = Host::new();
    // EVENTQ_ABT_ERR is the hardware's.
    assert_eq!(host.rule(&[read(0x60, 4)]), None);
    let acknowledge = store(FRAME + 0x64, 4, 4);
    assert_eq!(host.rule(&[acknowledge.clone(), read(0x64, 4)]), None);
    assert_eq!(host.rule(&[acknowledge, read(0x64, 0)]).as_deref(), Some("viommu/register"));
    // The SMMU is on: it did not fail.
    assert_eq!(host.rule(&[read(0x60, 0x104)]).as_deref(), Some("viommu/register"));
    let mut host = Host::new();
    for (value, rule) in [(0, None), (0x100, None), (0x100, None), (0, Some("viommu/register"))] {
        host.smmu.lose();
        assert_eq!(host.rule(&[read(0x60, value)]).as_deref(), rule, "{value:#x}");
    }
}
