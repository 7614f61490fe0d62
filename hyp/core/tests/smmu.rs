//! The SMMU driver against a fake SMMU, which sees memory as it was at the last barrier.

use hyp_core::{
    addr::{HypVa, Ipa, PhysAddr},
    hw::{Cpu, Memory, Mmio},
    smmu::viommu::Physical,
    smmu::{
        Buffers, Closed, Features, HostView, Layout, Smmu, SmmuError, SmmuTlb, Stage2, Ste, StreamId, regs,
    },
};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

const STRTAB: u64 = 0x10_0000;
const CMDQ: u64 = 0x20_0000;
const EVTQ: u64 = 0x30_0000;
const ROOT: u64 = 0x40_0000;
const BUFFERS: Buffers = Buffers { strtab: PhysAddr(STRTAB), cmdq: PhysAddr(CMDQ), evtq: PhysAddr(EVTQ) };

const CFGI_ALL: Step = Step::Command(0x04, 31);
const NSNH_ALL: Step = Step::Command(0x30, 0);
const SYNC: Step = Step::Command(0x46, 0);

/// What the fake saw, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write32(u64, u32),
    Write64(u64, u64),
    Store(u64, u64),
    Command(u64, u64),
}

#[derive(Debug, Default)]
struct State {
    regs: BTreeMap<u64, u32>,
    bases: BTreeMap<u64, u64>,
    mem: BTreeMap<u64, u64>,
    /// Memory as the SMMU sees it.
    seen: BTreeMap<u64, u64>,
    log: Vec<Step>,
    /// A command is consumed only when CONS is read.
    lazy: bool,
    /// The command queue does not react.
    stuck: bool,
    /// CR0 and the command queue do not react.
    dead: bool,
    /// What the hypervisor said.
    told: Vec<String>,
    /// The opcode that is answered with CERROR_ILL.
    refuse: Option<u64>,
}

impl State {
    fn reg(&self, offset: u64) -> u32 {
        self.regs.get(&offset).copied().unwrap_or(0)
    }

    fn consume(&mut self) -> bool {
        let (prod, cons) = (self.reg(regs::CMDQ_PROD), self.reg(regs::CMDQ_CONS));
        let stopped = (self.reg(regs::GERROR) ^ self.reg(regs::GERRORN)) & 1 != 0;
        if self.dead || self.stuck || stopped || self.reg(regs::CR0) & 8 == 0 || prod == cons {
            return false;
        }
        let base = self.bases[&regs::CMDQ_BASE];
        let size = 1 << (base & 0x1f);
        assert!(prod.wrapping_sub(cons) & (2 * size - 1) <= size, "unconsumed commands were overwritten");
        let slot = (base & 0x000f_ffff_ffff_ffe0) + u64::from(cons & (size - 1)) * 16;
        let command = [slot, slot + 8].map(|pa| self.seen.get(&pa).copied().unwrap_or(0));
        if self.refuse == Some(command[0] & 0xff) {
            self.regs.insert(regs::CMDQ_CONS, cons | 1 << 24);
            *self.regs.entry(regs::GERROR).or_default() ^= 1;
            return false;
        }
        self.log.push(Step::Command(command[0], command[1]));
        self.regs.insert(regs::CMDQ_CONS, (cons + 1) & (2 * size - 1));
        true
    }
}

#[derive(Clone, Debug)]
struct Fake(Rc<RefCell<State>>);

impl Fake {
    /// An SMMU as QEMU models it, but with queues of 4 commands and 2 events.
    fn new() -> Self {
        let mut state = State::default();
        state.regs.insert(regs::IDR0, 0x0d44_101b);
        state.regs.insert(regs::IDR1, 2 << 21 | 1 << 16 | 16);
        state.regs.insert(regs::IDR3, 0x1414);
        state.regs.insert(regs::IDR5, 0x74);
        Self(Rc::new(RefCell::new(state)))
    }

    fn with(register: u64, value: u32) -> Self {
        let fake = Self::new();
        fake.set(register, value);
        fake
    }

    fn set(&self, register: u64, value: u32) {
        self.0.borrow_mut().regs.insert(register, value);
    }

    fn take(&self) -> Result<Closed<Self, Self, Self>, SmmuError> {
        Smmu::probe(self.clone(), self.clone(), self.clone())
    }

    fn init(&self, sid_bits: u32) -> Smmu<Self, Self, Self> {
        let closed = self.take().unwrap();
        let layout = Layout::new(closed.features(), sid_bits).unwrap();
        let stage2 = Stage2::new(closed.features(), PhysAddr(ROOT), 40, 1, 40).unwrap();
        closed.init(&layout, &BUFFERS, &stage2, HostView::Hidden).unwrap()
    }

    fn enabled(&self) -> Smmu<Self, Self, Self> {
        let mut smmu = self.init(8);
        smmu.enable().unwrap();
        self.log();
        smmu
    }

    /// What happened since this was last asked.
    fn log(&self) -> Vec<Step> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    fn commands(&self) -> Vec<Step> {
        self.log().into_iter().filter(|step| matches!(step, Step::Command(..))).collect()
    }
}

impl Mmio for Fake {
    fn read32(&self, offset: u64) -> u32 {
        let mut state = self.0.borrow_mut();
        if offset == regs::CMDQ_CONS && state.lazy {
            state.consume();
        }
        state.reg(offset)
    }

    fn write32(&self, offset: u64, value: u32) {
        let mut state = self.0.borrow_mut();
        state.log.push(Step::Write32(offset, value));
        match offset {
            regs::GBPA if value >> 31 == 0 => return,
            regs::GBPA => _ = state.regs.insert(offset, value & !(1 << 31)),
            _ => _ = state.regs.insert(offset, value),
        }
        match offset {
            regs::CR0 if !state.dead => _ = state.regs.insert(regs::CR0ACK, value),
            regs::IRQ_CTRL => _ = state.regs.insert(regs::IRQ_CTRLACK, value),
            regs::CMDQ_PROD | regs::GERRORN if !state.lazy => while state.consume() {},
            _ => {}
        }
    }

    fn write64(&self, offset: u64, value: u64) {
        let mut state = self.0.borrow_mut();
        state.log.push(Step::Write64(offset, value));
        state.bases.insert(offset, value);
    }
}

impl Memory for Fake {
    fn read(&self, pa: PhysAddr) -> u64 {
        self.0.borrow().mem.get(&pa.0).copied().unwrap_or(0)
    }
    fn write(&self, pa: PhysAddr, value: u64) {
        let mut state = self.0.borrow_mut();
        state.log.push(Step::Store(pa.0, value));
        state.mem.insert(pa.0, value);
    }
    fn write_release(&self, pa: PhysAddr, value: u64) {
        self.write(pa, value);
    }
    fn zero_page(&self, pa: PhysAddr) {
        self.0.borrow_mut().mem.retain(|&at, _| at & !0xfff != pa.0);
    }
}

impl Cpu for Fake {
    fn dsb_sy(&self) {
        let mut state = self.0.borrow_mut();
        state.seen = state.mem.clone();
    }
    fn dsb_ishst(&self) {}
    fn dsb_ish(&self) {}
    fn isb(&self) {}
    fn tlbi_ipas2e1is(&self, _: Ipa) {}
    fn tlbi_vmalle1is(&self) {}
    fn tlbi_vmalls12e1is(&self) {}
    fn tlbi_vae2is(&self, _: HypVa) {}
    fn tlbi_alle2is(&self) {}
    fn relax(&self) {}
    fn tell(&self, what: &dyn std::fmt::Display) {
        self.0.borrow_mut().told.push(what.to_string());
    }
}

fn s2_ipa(address: u64) -> Step {
    Step::Command(0x2a, address)
}

#[test]
fn traffic_is_aborted_first_and_translation_comes_last() {
    let fake = Fake::with(regs::GERROR, 4);
    fake.init(8).enable().unwrap();
    let mut log = fake.log();
    log.retain(|step| !matches!(step, Step::Store(..)));
    let (abort, off) = (Step::Write32(regs::GBPA, 1 << 31 | 1 << 20), Step::Write32(regs::CR0, 0));
    assert_eq!(log[..2], [abort, off]);
    let clean =
        [CFGI_ALL, NSNH_ALL, SYNC, Step::Write32(regs::CR0, 0b1100), Step::Write32(regs::CR0, 0b1101)];
    assert_eq!(log[log.len() - 5..], clean);
    for setup in [
        Step::Write32(regs::CR1, 0xd75),
        Step::Write64(regs::STRTAB_BASE, 1 << 62 | (STRTAB + 0x4000)),
        Step::Write32(regs::STRTAB_BASE_CFG, 0x1_0208),
        Step::Write64(regs::CMDQ_BASE, 1 << 62 | CMDQ | 2),
        Step::Write64(regs::EVENTQ_BASE, 1 << 62 | EVTQ | 1),
        Step::Write32(regs::GERRORN, 4),
    ] {
        assert!(log.contains(&setup), "{setup:x?} is missing");
    }
}

#[test]
fn features_are_read_from_the_identification_registers() {
    let features = *Fake::with(regs::IDR1, 0x0273_0010).take().unwrap().features();
    let expected = Features {
        two_level: true,
        stage1: true,
        ats: false,
        hyp: false,
        sid_bits: 16,
        cmdq_log2: 19,
        evtq_log2: 19,
        stalls: false,
        range_invalidation: true,
        bbml2: true,
        input_bits: 44,
        output_bits: 44,
    };
    assert_eq!(features, expected);
    let layout = Layout::new(&features, 8).unwrap();
    assert_eq!(
        [layout.strtab(), layout.cmdq(), layout.evtq()].map(|b| (b.pages, b.align)),
        [(5, 0x4000), (1, 0x1000), (16, 0x1_0000)]
    );
    assert_eq!(Layout::new(&features, 17), Err(SmmuError::Bits { what: "StreamID", asked: 17, max: 16 }));
}

#[test]
fn an_smmu_that_cannot_confine_devices_is_refused_and_stays_closed() {
    for (offset, value, register, what) in [
        (regs::IDR0, 0x0d44_101a, "IDR0", "stage 2"),
        (regs::IDR0, 0x0d44_1017, "IDR0", "AArch64 tables"),
        (regs::IDR0, 0x0d44_100b, "IDR0", "coherent table walks"),
        (regs::IDR0, 0x0e44_101b, "IDR0", "faults that do not stall"),
        (regs::IDR1, 1 << 30, "IDR1", "tables and queues of free choice"),
        (regs::IDR5, 0x64, "IDR5", "4 KiB granule"),
        (regs::IDR5, 0x17, "IDR5", "known output address size"),
    ] {
        let fake = Fake::with(offset, value);
        assert_eq!(fake.take().unwrap_err(), SmmuError::Unsupported { what, register, value });
        assert_eq!([fake.read32(regs::GBPA), fake.read32(regs::CR0)], [1 << 20, 0]);
    }
}

#[test]
fn stage_2_tables_that_the_smmu_cannot_walk_are_refused() {
    let features = *Fake::new().take().unwrap().features();
    let new = |root, input, level, output| Stage2::new(&features, PhysAddr(root), input, level, output).err();
    let bits = |what, asked| SmmuError::Bits { what, asked, max: 44 };
    assert_eq!(new(ROOT, 44, 0, 44), None);
    assert_eq!(new(ROOT, 48, 0, 44), Some(bits("input address", 48)));
    assert_eq!(new(ROOT, 40, 1, 48), Some(bits("output address", 48)));
    assert_eq!(new(ROOT, 40, 1, 41), Some(bits("output address", 41)));
    for (bits, level) in [(44, 1), (39, 0), (30, 1), (32, 3)] {
        assert_eq!(new(ROOT, bits, level, 40), Some(SmmuError::StartLevel { bits, level }));
    }
    let two_roots = SmmuError::Misaligned { what: "the stage-2 root", pa: PhysAddr(0x1000), align: 0x2000 };
    assert_eq!(new(0x1000, 40, 1, 40), Some(two_roots));
}

#[test]
fn every_stream_is_confined_to_stage_2_of_vmid_0() {
    let fake = Fake::new();
    fake.init(9);
    let body = [1 << 44, 0x044a_3558_0000_0000, ROOT, 0, 0, 0, 0];
    for stream in 0..512 {
        let entry = STRTAB + stream * 64;
        let dwords: Vec<u64> = (0..8).map(|index| fake.read(PhysAddr(entry + index * 8))).collect();
        assert_eq!((dwords[0], &dwords[1..]), (0b1101, &body[..]));
    }
    let level1 = [0, 8, 16].map(|offset| fake.read(PhysAddr(STRTAB + 0x8000 + offset)));
    assert_eq!(level1, [STRTAB | 9, (STRTAB + 0x4000) | 9, 0]);
}

#[test]
fn without_two_levels_the_stream_table_is_linear_and_aligned_to_its_size() {
    let fake = Fake::with(regs::IDR0, 0x0544_101b);
    fake.init(12);
    let log = fake.log();
    assert!(log.contains(&Step::Write64(regs::STRTAB_BASE, 1 << 62 | STRTAB)));
    assert!(log.contains(&Step::Write32(regs::STRTAB_BASE_CFG, 12)));

    let closed = fake.take().unwrap();
    let layout = Layout::new(closed.features(), 12).unwrap();
    assert_eq!((layout.strtab().pages, layout.strtab().align), (64, 0x4_0000));
    let stage2 = Stage2::new(closed.features(), PhysAddr(ROOT), 40, 1, 40).unwrap();
    let buffers = Buffers { strtab: PhysAddr(STRTAB + 0x1000), ..BUFFERS };
    assert!(matches!(
        closed.init(&layout, &buffers, &stage2, HostView::Hidden),
        Err(SmmuError::Misaligned { align: 0x4_0000, .. })
    ));
}

#[test]
fn an_entry_becomes_valid_after_the_rest_of_it_is_written() {
    let fake = Fake::new();
    fake.init(0);
    let stores: Vec<u64> = fake.log().iter().filter_map(store_offset).collect();
    assert_eq!(stores[..8], [8, 16, 24, 32, 40, 48, 56, 0]);
}

fn store_offset(step: &Step) -> Option<u64> {
    if let Step::Store(pa, _) = step { pa.checked_sub(STRTAB) } else { None }
}

#[test]
fn a_live_entry_is_replaced_in_steps_that_the_smmu_has_seen() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    smmu.replace_ste(StreamId(3), &Ste([0xf, 2, 3, 4, 5, 6, 7, 8])).unwrap();
    let at = STRTAB + 3 * 64;
    let in_table = |step: &Step| !matches!(step, Step::Write32(..) | Step::Store(CMDQ.., _));
    let log: Vec<Step> = fake.log().into_iter().filter(in_table).collect();
    let cfgi = Step::Command(3 << 32 | 0x03, 0);
    let mut expected = vec![Step::Store(at, 0), cfgi, SYNC];
    expected.extend((1..8).map(|index| Step::Store(at + index * 8, index + 1)));
    expected.extend([cfgi, SYNC, Step::Store(at, 0xf), cfgi, SYNC]);
    assert_eq!(log, expected, "as many fields differ as can: through an invalid entry");
    assert_eq!(smmu.replace_ste(StreamId(256), &Ste([0; 8])), Err(SmmuError::NoSuchStream(StreamId(256))));
}

#[test]
fn a_change_of_one_used_dword_is_hitless() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    let at = STRTAB + 3 * 64;
    let stage2 = Stage2::new(smmu.features(), PhysAddr(ROOT), 40, 1, 40).unwrap();
    let stage2_only = Ste::stage2_only(&stage2);
    let nested = |context, fetch| Ste::nested(&stage2, context, fetch);
    let mut change = |to: &Ste| -> Vec<Step> {
        fake.log();
        smmu.replace_ste(StreamId(3), to).unwrap();
        let stores = |step: &Step| matches!(step, Step::Store(pa, _) if !(CMDQ..EVTQ).contains(pa));
        let is_sync = |step: &Step| *step == SYNC;
        fake.log().into_iter().filter(|step| stores(step) || is_sync(step)).collect()
    };
    let write = |index: usize, of: &Ste| Step::Store(at + index as u64 * 8, of.0[index]);
    let first = nested(0x1000, 0x55);
    assert_eq!(
        change(&first),
        [write(1, &first), SYNC, write(0, &first), SYNC],
        "what is not used comes first"
    );
    let second = nested(0x2000, 0x55);
    assert_eq!(change(&second), [write(0, &second), SYNC]);
    assert_eq!(change(&stage2_only), [write(0, &stage2_only), SYNC, write(1, &stage2_only), SYNC]);
    assert_eq!(change(&Ste::abort())[..2], [write(0, &Ste::abort()), SYNC]);
    assert_eq!(change(&first)[3..], [SYNC, write(0, &first), SYNC]);
    let third = nested(0x3000, 0x66);
    assert_eq!(change(&third)[..2], [Step::Store(at, 0), SYNC], "two used dwords: through an invalid entry");
}

#[test]
fn invalidations_name_each_page_and_are_complete_after_sync() {
    for lazy in [false, true] {
        let fake = Fake::new();
        let mut smmu = fake.enabled();
        fake.0.borrow_mut().lazy = lazy;
        smmu.tlbi_s2_ipa(Ipa(0x8000_0000), 0x2000);
        smmu.sync();
        assert_eq!(fake.commands(), [s2_ipa(0x8000_0000), s2_ipa(0x8000_1000), SYNC]);
    }
}

#[test]
fn combined_entries_go_also_when_no_stream_is_nested_any_more() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    let features = *Fake::new().take().unwrap().features();
    let table = Stage2::new(&features, PhysAddr(ROOT), 40, 1, 40).unwrap();
    smmu.replace_ste(StreamId(3), &Ste::nested(&table, 0, 0)).unwrap();
    smmu.replace_ste(StreamId(3), &Ste::abort()).unwrap();
    fake.log();
    for nh_all in [&[Step::Command(0x10, 0), SYNC][..], &[]] {
        smmu.tlbi_s2_ipa(Ipa(0x8000_0000), 0x1000);
        smmu.sync();
        assert_eq!(fake.commands(), [&[s2_ipa(0x8000_0000), SYNC], nh_all].concat());
    }
}

#[test]
fn more_commands_than_the_queue_holds_all_arrive_in_order() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.0.borrow_mut().lazy = true;
    for round in 0..5 {
        let first = round << 20;
        smmu.tlbi_s2_ipa(Ipa(first), 16 * 0x1000);
        smmu.sync();
        let mut expected: Vec<Step> = (0..16).map(|page| s2_ipa(first + page * 0x1000)).collect();
        expected.push(SYNC);
        assert_eq!(fake.commands(), expected);
    }
    assert_eq!(smmu.failure(), None);
}

#[test]
fn a_large_range_is_invalidated_with_everything_else() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    smmu.tlbi_s2_ipa(Ipa(0x4000_0000), 17 * 0x1000);
    smmu.sync();
    assert_eq!(fake.commands(), [Step::Command(0x28, 0), SYNC]);
}

#[test]
fn a_disabled_smmu_gets_no_commands() {
    let fake = Fake::new();
    let mut smmu = fake.init(8);
    smmu.tlbi_s12_vmall();
    smmu.sync();
    smmu.enable().unwrap();
    assert_eq!(fake.commands(), [CFGI_ALL, NSNH_ALL, SYNC]);
}

#[test]
fn a_refused_command_turns_the_smmu_off_for_good() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.0.borrow_mut().refuse = Some(0x2a);
    smmu.tlbi_s2_ipa(Ipa(0x1000), 0x1000);
    smmu.sync();
    assert_eq!(smmu.failure(), Some(SmmuError::Command { reason: 1, opcode: 0x2a }));
    assert_eq!(fake.read32(regs::CR0) & 1, 0);
    let told = "the SMMU refused command 0x2a: CERROR 1; it is turned off, no device reaches memory any more";
    assert_eq!(fake.0.borrow().told, [told]);
    fake.log();
    smmu.tlbi_s12_vmall();
    smmu.sync();
    assert_eq!(fake.log(), []);
}

#[test]
fn an_smmu_that_does_not_answer_is_an_error_not_a_hang() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.0.borrow_mut().stuck = true;
    smmu.sync();
    assert_eq!(smmu.failure(), Some(SmmuError::Timeout("CMDQ_CONS")));
    assert!(smmu.complete().1);
    fake.0.borrow_mut().dead = true;
    assert_eq!(fake.take().unwrap_err(), SmmuError::Timeout("CR0ACK"));
}

#[test]
fn events_come_in_order_around_the_end_of_the_queue() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    assert_eq!(smmu.take_event(), None);
    for (index, consumed) in [1, 2, 3, 0, 1].into_iter().enumerate() {
        let slot = EVTQ + (index as u64 % 2) * 32;
        let record = [8 << 32 | 0x10, 0, 0x4000_0000 + index as u64, 0];
        for (offset, dword) in (0..).step_by(8).zip(record) {
            fake.write(PhysAddr(slot + offset), dword);
        }
        fake.set(regs::EVENTQ_PROD, consumed);
        let event = smmu.take_event().unwrap();
        assert_eq!(event, record);
        assert_eq!(fake.read32(regs::EVENTQ_CONS), consumed);
        assert_eq!(smmu.take_event(), None);
    }
    assert!(fake.0.borrow().told.is_empty());
}

#[test]
fn lost_events_are_told_and_acknowledged() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.set(regs::EVENTQ_PROD, 1 << 31 | 2);
    assert!(smmu.take_event().is_some());
    assert_eq!(fake.read32(regs::EVENTQ_CONS), 1 << 31 | 1);
    assert_eq!(fake.0.borrow().told, ["the SMMU's event queue was full: events are lost"]);
    assert!(smmu.take_event().is_some() && fake.0.borrow().told.len() == 1);

    fake.set(regs::GERROR, 1 << 2);
    assert_eq!(smmu.take_event(), None);
    assert_eq!(fake.read32(regs::GERRORN), 1 << 2);
    assert_eq!(fake.0.borrow().told[1..], ["the SMMU could not write an event: events are lost"]);
}

#[test]
#[should_panic = "it cannot be turned off"]
fn an_smmu_that_cannot_be_closed_ends_everything() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.0.borrow_mut().dead = true;
    smmu.sync();
}

#[test]
fn a_command_that_only_the_host_needs_makes_way_when_it_is_refused() {
    let fake = Fake::new();
    let mut smmu = fake.enabled();
    fake.0.borrow_mut().refuse = Some(0x12);
    for command in [[0x11, 0], [0x12, 0x1000], [0x12, 0x2000], [0x13, 0]] {
        smmu.issue(command);
    }
    let completed = smmu.complete();
    assert_eq!(completed, (Some([0x12, 0x1000]), false));
    let expected = [Step::Command(0x11, 0), SYNC, SYNC, Step::Command(0x13, 0), SYNC];
    assert_eq!(fake.commands(), expected);
    assert_eq!(smmu.complete().0, None);
}

#[test]
fn commands_that_the_hypervisor_gives_for_itself_do_not_make_way() {
    for opcode in 0..=0xff {
        let fake = Fake::new();
        let mut smmu = fake.enabled();
        fake.0.borrow_mut().refuse = Some(opcode);
        smmu.issue([opcode, 0]);
        let _ = smmu.complete();
        // CFGI_STE_RANGE, CFGI_CD, CFGI_CD_ALL, TLBI_NH_ASID, TLBI_NH_VA, TLBI_NH_VAA.
        let hosts = matches!(opcode, 0x04..=0x06 | 0x11..=0x13);
        assert_eq!(smmu.failure().is_none(), hosts, "{opcode:#x}");
    }
}

#[test]
fn translated_traffic_is_checked_from_the_start_where_there_is_any() {
    let cr0 = |idr0| {
        let fake = Fake::with(regs::IDR0, idr0);
        let mut smmu = fake.enabled();
        smmu.record_events(None);
        fake.0.borrow_mut().refuse = Some(0x2a);
        fake.set(regs::CR0ACK, fake.read32(regs::CR0));
        let on = fake.read32(regs::CR0);
        smmu.tlbi_s2_ipa(Ipa(0x1000), 0x1000);
        smmu.sync();
        (on, fake.read32(regs::CR0))
    };
    assert_eq!(cr0(0x0d44_101b), (0b1001, 0));
    assert_eq!(cr0(0x0d44_141b), (0b1_1001, 0b1_0000), "kept when it is turned off, too");
    let fake = Fake::with(regs::IDR0, 0x0d44_141b);
    fake.init(8).enable().unwrap();
    let written = fake.log().into_iter().filter_map(|step| match step {
        Step::Write32(regs::CR0, value) => Some(value),
        _ => None,
    });
    let on: Vec<_> = written.filter(|value| *value != 0).collect();
    assert!(on.iter().all(|value| value & 0x10 != 0), "before SMMUEN: {on:#x?}");
}

#[test]
fn stage_1_is_not_used_where_an_erratum_forbids_it() {
    let stage1 = |iidr| {
        let fake = Fake::with(regs::IIDR, iidr);
        fake.take().unwrap().features().stage1
    };
    for (iidr, there) in [(0, true), (0x4830_043b, false), (0x4831_143b, false), (0x4832_043b, true)] {
        assert_eq!(stage1(iidr), there, "MMU-600 {iidr:#x}");
    }
    assert!(!stage1(0x4871_143b), "MMU-700");
    assert!(stage1(0x4830_0123), "another's");
}
