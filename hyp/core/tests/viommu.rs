//! The SMMU that the host sees against a hostile host: memory that changes at every look, and registers written at random.

use hyp_core::addr::{PAGE_SIZE, PhysAddr};
use hyp_core::error::Error;
use hyp_core::its;
use hyp_core::regions::Range;
use hyp_core::smmu::regs::{
    CMDQ_BASE, CMDQ_CONS, CMDQ_PROD, CR0, CR0ACK, EVENTQ_BASE, GERROR, GERRORN, STRTAB_BASE, STRTAB_BASE_CFG,
};
use hyp_core::smmu::viommu::{Env, Physical, Viommu};
use hyp_core::smmu::{Features, Stage2, Ste, StreamId};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::DerefMut;

const FEATURES: Features = Features {
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
const SID_BITS: u32 = 9;
/// The host's memory; all else is somebody else's.
const HOST: Range = Range { base: PhysAddr(0x4000_0000), size: 0x100_0000 };
const CMDQ: u64 = HOST.base.0;
const STRTAB: u64 = HOST.base.0 + 0x1000;

/// The fake driver.
struct Driver {
    stage2: Stage2,
    streams: BTreeMap<u32, Ste>,
    issued: Vec<[u64; 2]>,
    incomplete: bool,
    events: Option<u64>,
    /// Registers that read as something else than 0, and what was written.
    registers: BTreeMap<u64, u32>,
    /// What the hardware refuses.
    refuses: Option<[u64; 2]>,
    has_failed: bool,
}

impl Physical for Driver {
    fn register(&self, offset: u64) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }
    fn set_register(&mut self, offset: u64, value: u32) {
        self.registers.insert(offset, value);
        assert!([0x50, 0x64, 0x1_00a8, 0x1_00ac].contains(&offset), "the host wrote {offset:#x}");
    }
    fn features(&self) -> &Features {
        &FEATURES
    }
    fn stage2(&self) -> &Stage2 {
        &self.stage2
    }
    fn sid_bits(&self) -> u32 {
        SID_BITS
    }
    fn confine(&mut self, stream: StreamId, ste: &Ste) -> bool {
        assert!(stream.0 < 1 << SID_BITS);
        let hypervisors = Ste::stage2_only(&self.stage2);
        let stage2 = ste.0[2..] == hypervisors.0[2..];
        match (ste.0[0] & 1, ste.0[0] >> 1 & 7) {
            (0, _) | (1, 0b000) => assert_eq!(ste.0[1..], [0; 7]),
            (1, 0b110 | 0b111) => assert!(stage2, "{ste:x?}"),
            other => panic!("entry {other:?} for the hardware"),
        }
        self.streams.insert(stream.0, *ste) != Some(*ste)
    }
    fn issue(&mut self, command: [u64; 2]) {
        let opcode = command[0] & 0xff;
        assert!([3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x30, 0x46].contains(&opcode), "{opcode:#x}");
        assert!(!(0x10..=0x13).contains(&opcode) || command[0] >> 32 & 0xffff == 0, "the host's VMID");
        assert!(opcode != 0x46 || command[1] == 0 && command[0] >> 32 == 0, "an MSI");
        self.issued.push(command);
        self.incomplete = true;
    }
    fn complete(&mut self) -> (Option<[u64; 2]>, bool) {
        self.incomplete = false;
        (self.refuses.filter(|one| self.issued.contains(one)), self.has_failed)
    }
    fn record_events(&mut self, base: Option<u64>) {
        assert!(base.is_some() || self.events.is_some());
        self.events = base;
    }
}

/// The fake hypervisor: memory reads as `fill` says, unless something was put there.
struct Fake {
    driver: RefCell<Driver>,
    shared: Vec<Range>,
    memory: BTreeMap<u64, u64>,
    fill: fn(u64, u64) -> u64,
    /// How often each u64 was read.
    reads: RefCell<BTreeMap<u64, u64>>,
    /// How often the driver was locked.
    locks: Cell<u32>,
}

impl Env for Fake {
    type Smmu = Driver;
    fn smmu(&self) -> impl DerefMut<Target = Driver> {
        self.locks.set(self.locks.get() + 1);
        self.driver.borrow_mut()
    }
}

impl its::Env for Fake {
    fn hold(&mut self, range: Range) -> Result<(), Error> {
        assert!(range.base.is_aligned(PAGE_SIZE) && range.size.is_multiple_of(PAGE_SIZE) && range.size != 0);
        if self.shared.len() == 4 || !HOST.contains(range) {
            return Err(Error::Perm);
        }
        self.shared.push(range);
        Ok(())
    }
    fn release(&mut self, range: Range) {
        let at = self.shared.iter().position(|shared| *shared == range).expect("what is unshared was shared");
        self.shared.swap_remove(at);
    }
    fn read(&self, pa: PhysAddr) -> u64 {
        let word = Range { base: pa, size: 8 };
        assert!(
            pa.is_aligned(8) && self.shared.iter().any(|shared| shared.contains(word)),
            "{pa} is not shared"
        );
        let mut reads = self.reads.borrow_mut();
        let nr = reads.entry(pa.0).or_default();
        *nr += 1;
        self.memory.get(&pa.0).copied().unwrap_or_else(|| (self.fill)(pa.0, *nr))
    }
}

fn fake(fill: fn(u64, u64) -> u64) -> Fake {
    let stage2 = Stage2::new(&FEATURES, PhysAddr(0x8000_0000), 40, 1, 40).unwrap();
    let driver = Driver {
        stage2,
        streams: BTreeMap::new(),
        issued: vec![],
        incomplete: false,
        events: None,
        registers: BTreeMap::new(),
        refuses: None,
        has_failed: false,
    };
    Fake {
        driver: RefCell::new(driver),
        shared: vec![],
        memory: BTreeMap::new(),
        fill,
        reads: RefCell::default(),
        locks: Cell::default(),
    }
}

fn write(smmu: &mut Viommu, fake: &mut Fake, offset: u64, value: u64) {
    let width = if [STRTAB_BASE, CMDQ_BASE, EVENTQ_BASE].contains(&offset) { 8 } else { 4 };
    assert_eq!(smmu.access(fake, offset, width, Some(value)).value, 0);
}

/// A queue of 4 commands and a linear table of 16 entries, both on.
fn enabled(fake: &mut Fake) -> Viommu {
    let mut smmu = Viommu::new();
    for (offset, value) in [(CMDQ_BASE, CMDQ | 2), (STRTAB_BASE, STRTAB), (STRTAB_BASE_CFG, 4), (CR0, 0b1001)]
    {
        write(&mut smmu, fake, offset, value);
    }
    assert_eq!(smmu.access(fake, CR0ACK, 4, None).value, 0b1001);
    fake.reads.borrow_mut().clear();
    smmu
}

#[test]
fn commands_and_entries_are_read_once() {
    // What is read a second time is a command of the hypervisor's, or an entry with a stage 2.
    let mut fake = fake(|pa, nr| if nr == 1 && pa < STRTAB { 0x0000_0008_0000_0003 } else { 0x9 });
    let mut smmu = enabled(&mut fake);
    write(&mut smmu, &mut fake, CMDQ_PROD, 1);
    assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, 1);
    assert_eq!(fake.driver.get_mut().issued, [[0x0000_0008_0000_0003, 1]]);
    let driver = fake.driver.get_mut();
    assert_eq!(driver.streams[&8], Ste::stage2_only(&driver.stage2));
    assert!(fake.reads.borrow().values().all(|&nr| nr == 1), "{:x?}", fake.reads);
}

#[test]
fn the_queue_wraps_and_everything_is_complete_when_cons_moves() {
    let mut fake = fake(|_, _| 0x46);
    let mut smmu = enabled(&mut fake);
    for (prod, issued) in [(4, 4), (5, 5), (1, 9)] {
        write(&mut smmu, &mut fake, CMDQ_PROD, prod);
        assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, prod);
        let driver = fake.driver.get_mut();
        assert_eq!((driver.issued.len(), driver.incomplete), (issued, false));
    }
}

#[test]
fn the_driver_is_locked_once_for_a_batch_of_commands() {
    let mut fake = fake(|_, _| 0x46);
    let mut smmu = Viommu::new();
    for (offset, value) in [(CMDQ_BASE, CMDQ | 7), (CR0, 0b1000)] {
        write(&mut smmu, &mut fake, offset, value);
    }
    for (prod, locks) in [(16, 1), (17, 1), (81, 4), (81, 0)] {
        fake.locks.set(0);
        write(&mut smmu, &mut fake, CMDQ_PROD, prod);
        assert_eq!(fake.driver.get_mut().issued.len(), prod as usize);
        assert_eq!(fake.locks.get(), locks, "up to {prod}");
    }
}

#[test]
fn a_refused_command_stops_the_queue_until_it_is_acknowledged() {
    let mut fake = fake(|_, _| 0x46);
    fake.memory.insert(CMDQ + 16, 0x28);
    let mut smmu = enabled(&mut fake);
    write(&mut smmu, &mut fake, CMDQ_PROD, 3);
    assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, 1 | 1 << 24);
    assert_eq!(smmu.access(&mut fake, GERROR, 4, None).value, 1);
    fake.memory.remove(&(CMDQ + 16));
    write(&mut smmu, &mut fake, CMDQ_PROD, 3);
    assert_eq!(fake.driver.get_mut().issued.len(), 1);
    write(&mut smmu, &mut fake, GERRORN, 1);
    assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, 3);
}

#[test]
fn what_the_host_does_not_get_is_told() {
    let mut fake = fake(|_, _| 0x46);
    fake.memory.insert(CMDQ, 0x28);
    fake.memory.insert(STRTAB + 8 * 64, 0xd);
    let mut smmu = Viommu::new();
    let mut told = |offset, width, write| {
        let outcome = smmu.access(&mut fake, offset, width, write);
        (outcome.refusal.map(|refusal| refusal.to_string()), outcome.gerror)
    };
    let mut tells = |offset, width, write, text: &str| {
        assert_eq!(told(offset, width, write).0.as_deref().unwrap_or(""), text, "{offset:#x}");
    };
    for (offset, value) in [(CMDQ_BASE, CMDQ | 2), (STRTAB_BASE, STRTAB)] {
        tells(offset, 8, Some(value), "");
    }
    tells(0x1_fff0, 4, None, "4 bytes at 0x1fff0 read as zero");
    tells(CR0, 8, Some(9), "8 bytes at 0x20 ignore 0x9");
    tells(0x68, 8, Some(0), "");
    tells(0x68, 8, Some(0x1000), "8 bytes at 0x68 ignore 0x1000");
    tells(CR0, 4, Some(1), "CR0 0x1 stays off");
    tells(STRTAB_BASE_CFG, 4, Some(4), "");
    tells(CR0, 4, Some(9), "stream 0x8: entry 0xd is refused");
    tells(CMDQ_PROD, 4, Some(1), "command 0x0000000000000028 0x0000000000000046 is refused");
    tells(CMDQ_BASE, 8, Some(0), "8 bytes at 0x90 ignore 0x0");
}

#[test]
fn what_was_shared_is_unshared() {
    let mut fake = fake(|_, _| 9);
    let mut smmu = enabled(&mut fake);
    assert_eq!(fake.shared.len(), 2);
    write(&mut smmu, &mut fake, CR0, 0);
    assert!(fake.shared.is_empty());
    assert!(fake.driver.get_mut().streams.values().all(|ste| *ste == Ste::abort()));
}

/// Reads CMDQ_CONS until it is `end`: what it was on the way.
fn conses(smmu: &mut Viommu, fake: &mut Fake, end: u64) -> Vec<u64> {
    let mut all = vec![];
    while all.last() != Some(&end) {
        assert!(all.len() < 1000, "{all:?}");
        all.push(smmu.access(fake, CMDQ_CONS, 4, None).value);
    }
    all
}

#[test]
fn one_access_does_a_bounded_amount_of_work() {
    // CFGI_ALL, 100 times, and 200 plain commands; each stream's entry is another each time it is read.
    let mut fake = fake(|pa, nr| match pa {
        CMDQ..STRTAB if pa < CMDQ + 100 * 16 => [4, 31][(pa / 8 % 2) as usize],
        CMDQ..STRTAB => 0x46 * ((pa / 8 + 1) % 2),
        _ => 0x1 + 8 * (nr % 2),
    });
    let mut smmu = Viommu::new();
    let setup =
        [(CMDQ_BASE, CMDQ | 8), (STRTAB_BASE, HOST.base.0 + 0x1_0000), (STRTAB_BASE_CFG, 9), (CR0, 9)];
    for (offset, value) in setup {
        write(&mut smmu, &mut fake, offset, value);
    }
    let work = |fake: &mut Fake| {
        let read = fake.reads.take();
        let entries = read.iter().filter(|read| *read.0 >= HOST.base.0 + 0x1_0000).map(|read| read.1);
        (entries.sum::<u64>() / 8, std::mem::take(&mut fake.driver.get_mut().issued).len())
    };
    assert_eq!(work(&mut fake), (512, 0));
    let mut last = 0;
    write(&mut smmu, &mut fake, CMDQ_PROD, 100);
    while last != 100 {
        let (entries, commands) = work(&mut fake);
        // 2 * 512 entries that do not change, or less where they do.
        assert!(entries <= 1024 && commands <= 4, "{entries} entries, {commands} commands");
        assert_eq!(smmu.access(&mut fake, GERROR, 4, None).value, 0);
        let cons = smmu.access(&mut fake, CMDQ_CONS, 4, None).value;
        assert!(cons >= last && cons - last <= 4, "{last} to {cons}");
        last = cons;
    }
    write(&mut smmu, &mut fake, CMDQ_PROD, 256);
    assert_eq!(conses(&mut smmu, &mut fake, 256), [228, 256]);
}

#[test]
fn a_command_that_takes_several_accesses_is_read_once() {
    // What stands in the queue when it is looked at again is another command; each entry is another at each look.
    let mut fake = fake(|pa, nr| match (pa, nr) {
        (CMDQ, 1) => 4,
        (CMDQ, _) => 0x28,
        (0..STRTAB, _) => 31,
        _ => 0x1 + 8 * (nr % 2),
    });
    let mut smmu = Viommu::new();
    let setup =
        [(CMDQ_BASE, CMDQ | 2), (STRTAB_BASE, HOST.base.0 + 0x1_0000), (STRTAB_BASE_CFG, 9), (CR0, 9)];
    for (offset, value) in setup {
        write(&mut smmu, &mut fake, offset, value);
    }
    write(&mut smmu, &mut fake, CMDQ_PROD, 1);
    assert_eq!(conses(&mut smmu, &mut fake, 1), [1]);
    assert_eq!(fake.reads.borrow()[&CMDQ], 1);
    assert_eq!(fake.driver.get_mut().issued, [[4, 31]]);
}

#[test]
fn what_the_hardware_refuses_is_the_hosts_error() {
    let mut fake = fake(|_, _| 0);
    for (slot, command) in [[0x11 | 7 << 48, 0], [0x11 | 8 << 48, 0], [0x46, 0]].into_iter().enumerate() {
        fake.memory.insert(CMDQ + slot as u64 * 16, command[0]);
        fake.memory.insert(CMDQ + slot as u64 * 16 + 8, command[1]);
    }
    fake.driver.get_mut().refuses = Some([0x11 | 8 << 48, 0]);
    let mut smmu = enabled(&mut fake);
    let outcome = smmu.access(&mut fake, CMDQ_PROD, 4, Some(3));
    assert_eq!(
        outcome.refusal.unwrap().to_string(),
        "command 0x0008000000000011 0x0000000000000000 is refused"
    );
    assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, 1 | 1 << 24);
    assert_eq!(smmu.access(&mut fake, GERROR, 4, None).value, 1);
    fake.memory.insert(CMDQ + 16, 0x46);
    fake.driver.get_mut().issued.clear();
    write(&mut smmu, &mut fake, GERRORN, 1);
    assert_eq!(smmu.access(&mut fake, CMDQ_CONS, 4, None).value, 3);
}

#[test]
fn an_smmu_that_failed_is_in_service_failure_mode() {
    let mut fake = fake(|_, _| 0x46);
    let mut smmu = enabled(&mut fake);
    fake.driver.get_mut().has_failed = true;
    fake.driver.get_mut().registers.insert(0x50, 1);
    assert!(smmu.access(&mut fake, CMDQ_PROD, 4, Some(1)).gerror);
    assert_eq!(smmu.access(&mut fake, GERROR, 4, None).value, 1 << 8);
    write(&mut smmu, &mut fake, GERRORN, 1 << 8);
    assert_eq!(smmu.access(&mut fake, GERRORN, 4, None).value, 1 << 8);
    assert_eq!(fake.driver.get_mut().registers[&GERRORN], 0, "the hardware's is not the host's");
    assert!(!smmu.access(&mut fake, CMDQ_PROD, 4, Some(2)).gerror, "told once");
}

#[test]
fn an_overflow_of_the_event_queue_is_the_hosts_to_see_and_to_acknowledge() {
    const EVENTQ_PROD: u64 = 0x1_00a8;
    const EVENTQ_CONS: u64 = 0x1_00ac;
    let mut fake = fake(|_, _| 0);
    let mut smmu = enabled(&mut fake);
    write(&mut smmu, &mut fake, EVENTQ_BASE, HOST.base.0 + 0x8000);
    write(&mut smmu, &mut fake, CR0, 0b1101);
    fake.driver.get_mut().registers.insert(EVENTQ_PROD, 1 << 31 | 1);
    assert_eq!(smmu.access(&mut fake, EVENTQ_PROD, 4, None).value, 1 << 31 | 1);
    write(&mut smmu, &mut fake, EVENTQ_CONS, 1 << 31 | 1);
    assert_eq!(fake.driver.get_mut().registers[&EVENTQ_CONS], 1 << 31 | 1);
}

#[test]
fn streams_beyond_the_table_are_recorded_if_the_host_wants_that() {
    for (cr2, expected) in [(2, Ste::invalid()), (0, Ste::abort())] {
        let mut fake = fake(|_, _| 9);
        let mut smmu = Viommu::new();
        let setup =
            [(CMDQ_BASE, CMDQ | 2), (STRTAB_BASE, STRTAB), (STRTAB_BASE_CFG, 4), (0x2c, cr2), (CR0, 9)];
        for (offset, value) in setup {
            write(&mut smmu, &mut fake, offset, value);
        }
        let streams = &fake.driver.get_mut().streams;
        assert_eq!([streams[&16], streams[&((1 << SID_BITS) - 1)]], [expected; 2]);
        write(&mut smmu, &mut fake, CR0, 0);
        // 512 streams that change are more than one access does.
        smmu.access(&mut fake, CR0, 4, None);
        assert!(fake.driver.get_mut().streams.values().all(|ste| *ste == Ste::abort()));
    }
}

#[test]
fn features_without_a_promise_behind_them_are_not_shown() {
    let mut fake = fake(|_, _| 0);
    fake.driver.get_mut().registers.insert(0x14, 0xffff_0000 | 0xdfe);
    let mut smmu = Viommu::new();
    assert_eq!(smmu.access(&mut fake, 0x14, 4, None).value, 0xc75, "48 bits, granules, VAX");
}

/// An access that is likely to mean something.
fn access() -> impl Strategy<Value = (u64, u64, Option<u64>)> {
    let offset = prop_oneof![
        6 => prop::sample::select(vec![
            CR0, CMDQ_BASE, CMDQ_CONS, GERRORN, STRTAB_BASE, STRTAB_BASE_CFG, EVENTQ_BASE,
        ]),
        6 => Just(CMDQ_PROD),
        1 => 0_u64..0x2_0000,
    ];
    let value = prop_oneof![
        1 => any::<u64>(),
        4 => 0_u64..16,
        3 => (0_u64..0x1000, 0_u64..32).prop_map(|(page, log2)| HOST.base.0 + page * 0x1000 + log2),
        1 => (0_u64..8, 0_u64..12).prop_map(|(split, log2)| 1 << 16 | (split + 5) << 6 | log2),
    ];
    (offset, prop::sample::select(vec![4, 4, 8, 8, 1, 2]), prop::option::weighted(0.9, value))
}

proptest! {
    /// The fakes judge every entry, command and address that comes out; nothing panics.
    #[test]
    fn no_access_leads_out_of_the_hosts_own(accesses in prop::collection::vec(access(), 1..200)) {
        let mut fake = fake(|pa, nr| {
            let noise = (pa ^ nr << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            const OPCODES: [u64; 12] = [3, 4, 5, 6, 0x10, 0x11, 0x12, 0x13, 0x30, 0x46, 0x2a, 1];
            match noise >> 61 {
                0 => HOST.base.0 | noise & 0xff_f01f,
                1 => HOST.base.0 | 0xb,
                2 => noise & !0xf | 0x9,
                3 => noise,
                _ => noise & !0xff | OPCODES[(noise >> 56) as usize % OPCODES.len()],
            }
        });
        let mut smmu = enabled(&mut fake);
        for (offset, width, write) in accesses {
            smmu.access(&mut fake, offset, width, write);
            prop_assert!(!fake.driver.get_mut().incomplete);
        }
        // What was begun goes on first, then CR0 changes, and that takes a while too.
        for _ in 0..64 {
            smmu.access(&mut fake, CR0ACK, 4, None);
            write(&mut smmu, &mut fake, CR0, 0);
        }
        prop_assert_eq!(smmu.access(&mut fake, CR0ACK, 4, None).value, 0);
        prop_assert!(fake.shared.is_empty());
        prop_assert!(fake.driver.get_mut().streams.values().all(|ste| *ste == Ste::abort()));
        if let Some(base) = fake.driver.get_mut().events {
            prop_assert_eq!(base, 0, "events are off");
        }
    }
}
