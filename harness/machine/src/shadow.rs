//! A machine's state as its journal tells it: a copy of the hypervisor's memory and of the registers, to which
//! the recorded stores and register accesses are applied one operation at a time.
//!
//! Every page has a version, so that who looks again reads only what changed. What stands outside of the copied
//! spans is read from the machine itself.

use std::cell::RefCell;
use std::sync::Arc;

use parallax_abi::journal::{Record, kind};
use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_gic::RawGic;
use parallax_trace::spec::Region;
use parallax_vmsa::{MemError, PhysMem};

use crate::target::{CpuRegisters, Registers};

/// Most writes that are remembered.
const LOG: usize = 1 << 16;
/// Registers of the SMMU that move by themselves: CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD and EVENTQ_CONS (IHI 0070, 6.3).
const INDEXES: [u32; 4] = [0x98, 0x9c, 0x1_00a8, 0x1_00ac];
/// CR0 and CR0ACK, which follows it.
const CR0: u32 = 0x20;
const CR0ACK: u32 = 0x24;
/// GBPA and its Update bit, which reads as 0 when the update is complete.
const GBPA: u32 = 0x44;
const GBPA_UPDATE: u32 = 1 << 31;

/// The copy.
#[derive(Clone, Debug)]
pub struct Shadow {
    spans: Vec<Span>,
    /// Pages in the order in which they were written. A page's version is the moment of its last write: the number of
    /// writes until then.
    log: Vec<PhysAddr>,
    /// Writes that are forgotten.
    forgotten: u64,
    smmu: (u64, u64),
    registers: Registers,
    /// Whether they may have changed since somebody asked.
    changed: bool,
}

#[derive(Clone, Debug)]
struct Span {
    base: u64,
    bytes: Vec<u8>,
    versions: Vec<u64>,
}

impl Shadow {
    /// Copies `spans`, of whole pages, from `memory`. `smmu` is where the SMMU's registers are.
    ///
    /// # Errors
    /// A span is not memory.
    pub fn new(
        memory: &dyn PhysMem,
        registers: Registers,
        spans: &[Region],
        smmu: Region,
    ) -> Result<Self, MemError> {
        let copy = |span: &Region| {
            let len = usize::try_from(span.size).map_err(|_| MemError { pa: span.base, len: usize::MAX })?;
            let mut bytes = vec![0; len];
            memory.read(span.base, &mut bytes)?;
            let versions = vec![0; len.div_ceil(PAGE_SIZE as usize)];
            Ok(Span { base: span.base.get(), bytes, versions })
        };
        let spans = spans.iter().map(copy).collect::<Result<_, MemError>>()?;
        Ok(Self {
            spans,
            log: Vec::new(),
            forgotten: 0,
            smmu: (smmu.base.get(), smmu.size),
            registers,
            changed: true,
        })
    }

    /// The registers after the last record.
    #[must_use]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The registers, if they may be others than when this was last asked.
    pub fn changed_registers(&mut self) -> Option<&Registers> {
        std::mem::take(&mut self.changed).then_some(&self.registers)
    }

    /// Does what `records` tell of.
    pub fn apply(&mut self, records: &[Record]) {
        let since = self.open_log();
        for record in records {
            match record.kind {
                kind::STORE => {
                    let bytes = record.value.to_le_bytes();
                    self.write(
                        PhysAddr::new(record.b),
                        &bytes[..usize::from(record.size).min(bytes.len())],
                        since,
                    );
                }
                kind::MMIO_WRITE => self.device(record, true),
                kind::MMIO_READ => self.device(record, false),
                kind::MSR => self.msr(record),
                kind::ERET | kind::VECTOR if record.cpu != 0 => self.passed(record),
                _ => continue,
            }
            self.changed |= record.kind != kind::STORE;
        }
    }

    /// Takes over `registers` and the pages at `pages` from `memory`, and gives the address of the first page that was
    /// different.
    ///
    /// # Errors
    /// A page is not memory.
    pub fn follow(
        &mut self,
        memory: &dyn PhysMem,
        registers: &Registers,
        pages: impl Iterator<Item = PhysAddr>,
    ) -> Result<Option<PhysAddr>, MemError> {
        let since = self.open_log();
        let mut first = None;
        let mut now = [0; PAGE_SIZE as usize];
        for pa in pages {
            let Some((span, offset)) = self.find(pa, now.len()) else { continue };
            if !memory.holds(pa, &self.spans[span].bytes[offset..offset + now.len()])? {
                memory.read(pa, &mut now)?;
                self.write(pa, &now, since);
                first = first.or(Some(pa));
            }
        }
        self.stand(registers);
        Ok(first)
    }

    /// Takes over `registers`.
    pub fn stand(&mut self, registers: &Registers) {
        self.registers.clone_from(registers);
        self.changed = true;
    }

    /// Whether `registers` are what the records told, the indexes of queues aside.
    #[must_use]
    pub fn agrees_with(&self, registers: &Registers) -> bool {
        let steady = |registers: &Registers| {
            registers.smmu.clone().map(|mut smmu| {
                INDEXES.iter().for_each(|index| _ = smmu.0.remove(index));
                smmu
            })
        };
        let of_gic = |registers: &Registers| registers.gic.as_ref().map(RawGic::steady);
        let same = |(told, read): (&CpuRegisters, &CpuRegisters)| {
            !told.below_el2 || !read.below_el2 || told.sys == read.sys
        };
        self.registers.sys == registers.sys
            && self.registers.others.iter().zip(&registers.others).all(same)
            && steady(&self.registers) == steady(registers)
            && of_gic(&self.registers) == of_gic(registers)
    }

    /// This copy, with `memory` around it.
    #[must_use]
    pub const fn over<'a>(&'a self, memory: &'a dyn PhysMem) -> Over<'a> {
        Over { shadow: self, memory, lately: RefCell::new(None) }
    }

    /// Number of the span that holds `len` bytes at `pa`, and the offset in it.
    fn find(&self, pa: PhysAddr, len: usize) -> Option<(usize, usize)> {
        self.spans.iter().enumerate().find_map(|(number, span)| {
            let offset = usize::try_from(pa.get().checked_sub(span.base)?).ok()?;
            (offset.checked_add(len)? <= span.bytes.len()).then_some((number, offset))
        })
    }

    const fn moment(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    /// Makes room in the log, and says what moment it is.
    fn open_log(&mut self) -> u64 {
        if self.log.len() >= LOG {
            self.forgotten = self.moment();
            self.log.clear();
        }
        self.moment()
    }

    /// Writes, in a series of writes that began at moment `since` and is seen as a whole.
    fn write(&mut self, pa: PhysAddr, bytes: &[u8], since: u64) {
        let Some((span, offset)) = self.find(pa, bytes.len()) else { return };
        let moment = self.moment() + 1;
        let span = &mut self.spans[span];
        span.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        let version = &mut span.versions[offset / PAGE_SIZE as usize];
        if *version <= since {
            *version = moment;
            self.log.push(pa.page());
        }
    }

    fn device(&mut self, record: &Record, written: bool) {
        if let Some(gic) = &mut self.registers.gic {
            gic.follow(record.b, record.size, record.value, written);
        }
        let (base, size) = self.smmu;
        let offset = record.b.checked_sub(base).filter(|offset| *offset < size);
        let Some(first) = offset.and_then(|offset| u32::try_from(offset).ok()) else { return };
        let Some(smmu) = &mut self.registers.smmu else { return };
        let mut set = |offset: u32, value| {
            if let Some(register) = smmu.0.get_mut(&offset) {
                *register = value;
            }
        };
        let words = [record.value as u32, (record.value >> 32) as u32];
        let count = usize::from(record.size).div_ceil(4);
        for (word, offset) in words.into_iter().take(count).zip((first..).step_by(4)) {
            set(offset, if offset == GBPA { word & !GBPA_UPDATE } else { word });
            if written && offset == CR0 {
                set(CR0ACK, word);
            }
        }
    }

    /// A write to a system register, by op1, CRn, CRm and op2 of its MSR.
    fn msr(&mut self, record: &Record) {
        let sys = match usize::from(record.cpu).checked_sub(1) {
            None => Some(&mut self.registers.sys),
            Some(other) => self.registers.others.get_mut(other).map(|cpu| &mut cpu.sys),
        };
        if let Some(sys) = sys {
            sys.write(record.a as u32 >> 5 & 0x3fff, record.value);
        }
    }

    /// A CPU has left EL2, or has come there.
    fn passed(&mut self, record: &Record) {
        let other = usize::from(record.cpu).checked_sub(1);
        if let Some(cpu) = other.and_then(|other| self.registers.others.get_mut(other)) {
            cpu.below_el2 = record.kind == kind::ERET;
        }
    }
}

/// A [`Shadow`] with a machine's memory around it.
pub struct Over<'a> {
    shadow: &'a Shadow,
    memory: &'a dyn PhysMem,
    /// A moment, and what was written after it: all that look ask since the same one.
    lately: RefCell<Option<(u64, Arc<[PhysAddr]>)>>,
}

impl PhysMem for Over<'_> {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        match self.shadow.find(pa, buf.len()) {
            Some((span, offset)) => {
                buf.copy_from_slice(&self.shadow.spans[span].bytes[offset..offset + buf.len()]);
                Ok(())
            }
            None => self.memory.read(pa, buf),
        }
    }

    fn version(&self, pa: PhysAddr) -> Option<u64> {
        let (span, offset) = self.shadow.find(pa, PAGE_SIZE as usize)?;
        Some(self.shadow.spans[span].versions[offset / PAGE_SIZE as usize])
    }

    fn moment(&self) -> Option<u64> {
        Some(self.shadow.moment())
    }

    fn written(&self, moment: u64) -> Option<Arc<[PhysAddr]>> {
        let mut lately = self.lately.borrow_mut();
        if let Some((known, pages)) = &*lately
            && *known == moment
        {
            return Some(Arc::clone(pages));
        }
        let known = usize::try_from(moment.checked_sub(self.shadow.forgotten)?).ok()?;
        let mut pages = self.shadow.log.get(known..)?.to_vec();
        pages.sort_unstable();
        pages.dedup();
        let pages: Arc<[PhysAddr]> = pages.into();
        *lately = Some((moment, Arc::clone(&pages)));
        Some(pages)
    }
}

#[cfg(test)]
mod tests {
    use parallax_smmu::RawRegs;
    use parallax_vmsa::SparseMem;

    use super::*;

    const BASE: u64 = 0x4000_0000;
    const SMMU: u64 = 0x0905_0000;

    fn memory() -> SparseMem {
        let mut memory = SparseMem::new();
        memory.write(PhysAddr::new(BASE), &[0; 0x3000]);
        memory
    }

    fn registers() -> Registers {
        let smmu = [(CR0, 0), (CR0ACK, 0), (GBPA, 0), (0x80, 0), (0x84, 0), (0x98, 0)];
        Registers {
            others: vec![CpuRegisters { below_el2: true, ..CpuRegisters::default() }; 2],
            smmu: Some(RawRegs(smmu.into())),
            ..Registers::default()
        }
    }

    fn shadow(memory: &SparseMem) -> Shadow {
        let spans = [Region::new("pool", PhysAddr::new(BASE), 0x2000)];
        Shadow::new(memory, registers(), &spans, Region::new("smmu", PhysAddr::new(SMMU), 0x2_0000)).unwrap()
    }

    fn record(kind: u8, b: u64, size: u8, value: u64) -> Record {
        Record { kind, b, size, value, ..Record::default() }
    }

    #[test]
    fn a_store_changes_its_bytes_and_the_version_of_its_page() {
        let memory = memory();
        let mut shadow = shadow(&memory);
        let before = [0, 1].map(|page| shadow.over(&memory).version(PhysAddr::new(BASE + page * PAGE_SIZE)));
        shadow.apply(&[record(kind::STORE, BASE + 0x1002, 2, 0xffff_2211)]);
        let after = [0, 1].map(|page| shadow.over(&memory).version(PhysAddr::new(BASE + page * PAGE_SIZE)));
        assert!(before[0] == after[0] && before[1] != after[1]);
        let mut bytes = [0; 6];
        shadow.over(&memory).read(PhysAddr::new(BASE + 0x1000), &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0x11, 0x22, 0, 0]);
    }

    #[test]
    fn memory_that_is_not_copied_is_read_as_it_is_and_has_no_version() {
        let mut memory = memory();
        let mut shadow = shadow(&memory);
        memory.write(PhysAddr::new(BASE + 0x2000), &[7]);
        shadow.apply(&[record(kind::STORE, BASE + 0x2000, 8, 1), record(kind::STORE, u64::MAX, 8, 1)]);
        let mut bytes = [0];
        shadow.over(&memory).read(PhysAddr::new(BASE + 0x2000), &mut bytes).unwrap();
        assert_eq!((bytes, shadow.over(&memory).version(PhysAddr::new(BASE + 0x2000))), ([7], None));
    }

    #[test]
    fn a_write_that_nobody_recorded_is_noticed_and_taken_over() {
        let mut memory = memory();
        let mut shadow = shadow(&memory);
        memory.write(PhysAddr::new(BASE + 0x1008), &[1]);
        let pages = || [BASE, BASE + 0x1000].map(PhysAddr::new).into_iter();
        assert_eq!(shadow.follow(&memory, &registers(), pages()), Ok(Some(PhysAddr::new(BASE + 0x1000))));
        assert_eq!(shadow.follow(&memory, &registers(), pages()), Ok(None));
    }

    #[test]
    fn registers_follow_what_is_written_to_them() {
        let memory = memory();
        let mut shadow = shadow(&memory);
        let vttbr = Record { kind: kind::MSR, a: 0xd51c_2100, value: 0x4040_0000, ..Record::default() };
        shadow.apply(&[
            record(kind::MMIO_WRITE, SMMU + u64::from(CR0), 4, 5),
            record(kind::MMIO_WRITE, SMMU + u64::from(GBPA), 4, 1 << 31 | 1 << 20),
            record(kind::MMIO_WRITE, SMMU + 0x80, 8, 0x1_0000_0002),
            record(kind::MMIO_READ, SMMU + 0x98, 4, 9),
            Record { cpu: 1, value: 1, ..vttbr },
            Record { cpu: 2, value: 2, ..vttbr },
            vttbr,
        ]);
        let smmu = &shadow.registers().smmu.as_ref().unwrap().0;
        let values = [CR0, CR0ACK, GBPA, 0x80, 0x84, 0x98].map(|offset| smmu[&offset]);
        assert_eq!(values, [5, 5, 1 << 20, 2, 1, 9]);
        assert_eq!(shadow.registers().sys.vttbr_el2, 0x4040_0000);
        let others: Vec<u64> = shadow.registers().others.iter().map(|cpu| cpu.sys.vttbr_el2).collect();
        assert_eq!(others, [1, 2]);
        let mut now = shadow.registers().clone();
        now.smmu.as_mut().unwrap().0.insert(0x98, 0);
        assert!(shadow.agrees_with(&now), "an index of a queue moves by itself");
        now.smmu.as_mut().unwrap().0.insert(CR0, 0);
        assert!(!shadow.agrees_with(&now));
        let mut now = shadow.registers().clone();
        now.others[0].sys.hcr_el2 = 1;
        assert!(!shadow.agrees_with(&now), "CPU 1 too counts");
        shadow.apply(&[Record { kind: kind::VECTOR, cpu: 1, ..Record::default() }]);
        assert!(shadow.agrees_with(&now), "at EL2 it may be anywhere");
    }
}
