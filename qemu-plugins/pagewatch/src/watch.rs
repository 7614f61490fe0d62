//! What is watched of an instruction, decided when QEMU translates it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parallax_abi::journal::word::{is_access, is_by_sp};
use parallax_abi::journal::{Record, error, kind};
use qemu_plugin::{CallbackFlags, Instruction, MemRW, MemValue, MemoryInfo, Result, TranslationBlock};

use crate::cpus::Cpus;
use crate::known::Known;
use crate::registers::{Registers, Value};
use crate::ring::{Owner, Ring};
use crate::word;

/// Bytes of the vector table, and of one vector.
const VECTORS: (u64, u64) = (0x800, 0x80);
/// Size of a page in bytes.
const PAGE: u64 = 0x1000;
/// Size of the smallest block of the tables that the hypervisor boots on, in bytes.
const BOOT_BLOCK: u64 = 0x20_0000;

/// Where the hypervisor is.
#[derive(Clone)]
pub(crate) struct Places {
    /// The hypervisor's image.
    pub(crate) image: Range<u64>,
    /// Physical address of the image's first page, which also runs there: it switches the MMU on and off.
    pub(crate) entry: u64,
    /// EL2's vectors.
    pub(crate) vectors: u64,
}

impl Places {
    /// Where in the image the instruction at `pc` is linked, if it is the hypervisor's.
    fn linked(&self, pc: u64) -> Option<u64> {
        match pc.checked_sub(self.entry).filter(|offset| *offset < PAGE) {
            Some(offset) => Some(self.image.start + offset),
            None => Some(pc).filter(|pc| self.image.contains(pc)),
        }
    }

    /// Whether a vector begins at `pc`.
    fn is_vector(&self, pc: u64) -> bool {
        let offset = self.linked(pc).map(|pc| pc.wrapping_sub(self.vectors));
        offset.is_some_and(|offset| offset < VECTORS.0 && offset.is_multiple_of(VECTORS.1))
    }
}

/// What the callbacks share. All of them run on QEMU's one CPU thread: plain loads and stores of an atomic do.
#[derive(Default)]
struct Shared {
    /// The CPU that runs.
    ///
    /// QEMU's own CPU number in a callback is of no use here: code that is translated for one thread
    /// (`thread=single`) carries a constant in its place, although all CPUs execute it.
    cpu: AtomicU8,
    /// Which CPU that is.
    cpus: Cpus,
    /// A CPU has returned to the host.
    booted: AtomicBool,
    /// Where loads are of no interest.
    memory: Known,
}

impl Shared {
    fn cpu(&self) -> u8 {
        self.cpu.load(Ordering::Relaxed)
    }
}

/// Decides what is recorded.
pub(crate) struct Watcher {
    ring: Arc<Ring>,
    /// What the arguments say; without it the harness says it in the journal, later.
    places: Option<Places>,
    /// Virtual address where the test host says that an operation is over.
    mark: u64,
    shared: Arc<Shared>,
    /// Known when the first CPU is.
    registers: Registers,
    /// Whether there is more than one CPU to tell apart.
    many: bool,
}

impl Watcher {
    /// For a machine of `cpus` CPUs.
    pub(crate) fn new(ring: Ring, places: Option<Places>, mark: u64, cpus: i64) -> Self {
        let (ring, shared) = (Arc::new(ring), Arc::default());
        Self { ring, places, mark, shared, registers: Registers::default(), many: cpus > 1 }
    }

    /// Looks registers up. To be called when a CPU is initialised; the handles are the same for every CPU.
    pub(crate) fn find_registers(&mut self) -> Result<()> {
        self.registers = Registers::find()?;
        Ok(())
    }

    /// Has QEMU call back for what is worth a record in `block`.
    pub(crate) fn watch(&self, block: &TranslationBlock<'_>) {
        let Some(places) = self.places.clone().or_else(|| self.ring.places()) else { return };
        let watched = places.linked(block.vaddr()).is_some();
        if self.many && (watched || self.holds_mark(block)) {
            let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
            let (mpidr, tpidr) = (self.registers.mpidr(), self.registers.tpidr());
            let of_host = places.is_vector(block.vaddr());
            let callback = move |_| {
                if ring.enabled() {
                    let number = || value_of(&mpidr, &ring) as u8;
                    let cpu = shared.cpus.which(tpidr.read().unwrap_or(0), of_host, number);
                    shared.cpu.store(cpu, Ordering::Relaxed);
                }
            };
            block.register_execute_callback_flags(callback, CallbackFlags::QEMU_PLUGIN_CB_R_REGS);
        }
        // Instructions are counted in groups, each by its first one. An access to a device can end a block early, after
        // which QEMU goes on behind it in another block: what may be one ends its group.
        let mut group = None;
        for (instruction, left) in block.instructions().zip((0..block.size()).rev()) {
            let ends = self.watch_instruction(&places, &instruction) || left == 0;
            let (first, size) = group.take().map_or((instruction, 1), |(first, size)| (first, size + 1));
            if watched && ends {
                self.count(&first, size);
            } else {
                group = Some((first, size));
            }
        }
    }

    fn holds_mark(&self, block: &TranslationBlock<'_>) -> bool {
        block.instructions().any(|instruction| instruction.vaddr() == self.mark)
    }

    /// Says whether the instruction may access a device.
    fn watch_instruction(&self, places: &Places, instruction: &Instruction<'_>) -> bool {
        let pc = instruction.vaddr();
        if pc == self.mark {
            self.mark(instruction, pc);
            return false;
        }
        let Some(pc) = places.linked(pc) else { return false };
        let mut bytes = [0; 4];
        if instruction.read_data(&mut bytes) != bytes.len() {
            self.ring.fail(error::REGISTER);
            return false;
        }
        let code = u32::from_le_bytes(bytes);
        let offset = pc.wrapping_sub(places.vectors);
        if offset < VECTORS.0 && offset.is_multiple_of(VECTORS.1) {
            self.plain(instruction, Record { kind: kind::VECTOR, pc, a: offset, ..Record::default() });
        }
        let with_word = |kind| Record { kind, pc, a: u64::from(code), ..Record::default() };
        if word::is_tlbi(code) {
            self.with_operand(instruction, with_word(kind::TLBI), word::rt(code));
        } else if word::is_barrier(code) {
            self.plain(instruction, with_word(kind::BARRIER));
        } else if word::is_msr(code) && concerns_translation(code) {
            self.with_operand(instruction, with_word(kind::MSR), word::rt(code));
        } else if let Some(which) = word::syndrome(code) {
            self.reads(instruction, with_word(kind::MRS), which);
        } else if word::is_dc(code) {
            self.with_operand(instruction, with_word(kind::DC), word::rt(code));
        } else if word::is_smc(code) {
            self.calls(instruction, Record { kind: kind::SMC, pc, ..Record::default() });
        } else if word::is_eret(code) {
            self.returns(instruction, Record { kind: kind::ERET, pc, ..Record::default() });
        } else if !is_by_sp(code) {
            self.accesses(instruction, pc);
            return is_access(code);
        }
        false
    }

    /// Has `first` count `size` instructions.
    fn count(&self, first: &Instruction<'_>, size: u64) {
        let ring = Arc::clone(&self.ring);
        first.register_execute_callback(move |_| {
            if ring.enabled() {
                ring.count(size);
            }
        });
    }

    fn plain(&self, instruction: &Instruction<'_>, record: Record) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        instruction.register_execute_callback(move |_| {
            if ring.enabled() {
                ring.push(Record { cpu: shared.cpu(), ..record });
            }
        });
    }

    /// The end of a stay at EL2: as [`Self::plain`], with the number of instructions so far.
    fn returns(&self, instruction: &Instruction<'_>, record: Record) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        instruction.register_execute_callback(move |_| {
            if ring.enabled() {
                let b = ring.instructions();
                shared.booted.store(true, Ordering::Relaxed);
                ring.push(Record { cpu: shared.cpu(), b, ..record });
            }
        });
    }

    fn with_operand(&self, instruction: &Instruction<'_>, record: Record, number: u8) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        let register = self.registers.general(number);
        let callback = move |_| {
            // Whatever is invalidated or switched may lead elsewhere from now on.
            shared.memory.forget();
            if ring.enabled() {
                ring.push(Record { cpu: shared.cpu(), value: value_of(&register, &ring), ..record });
            }
        };
        instruction.register_execute_callback_flags(callback, CallbackFlags::QEMU_PLUGIN_CB_R_REGS);
    }

    /// A read of a register that tells of an exception, number `which` of them.
    fn reads(&self, instruction: &Instruction<'_>, record: Record, which: usize) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        let register = self.registers.syndrome(which);
        let callback = move |_| {
            if ring.enabled() {
                ring.push(Record { cpu: shared.cpu(), value: value_of(&register, &ring), ..record });
            }
        };
        instruction.register_execute_callback_flags(callback, CallbackFlags::QEMU_PLUGIN_CB_R_REGS);
    }

    /// A call to the firmware.
    fn calls(&self, instruction: &Instruction<'_>, record: Record) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        let registers = [0, 2, 3].map(|number| self.registers.general(number));
        let callback = move |_| {
            if ring.enabled() {
                let [a, b, value] = registers.each_ref().map(|register| value_of(register, &ring));
                ring.push(Record { cpu: shared.cpu(), a, b, value, ..record });
            }
        };
        instruction.register_execute_callback_flags(callback, CallbackFlags::QEMU_PLUGIN_CB_R_REGS);
    }

    fn mark(&self, instruction: &Instruction<'_>, pc: u64) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        let register = self.registers.general(0);
        let callback = move |_| {
            if ring.enabled() {
                let (a, b) = (value_of(&register, &ring), ring.instructions());
                ring.push(Record { kind: kind::MARK, cpu: shared.cpu(), pc, a, b, ..Record::default() });
            }
        };
        instruction.register_execute_callback_flags(callback, CallbackFlags::QEMU_PLUGIN_CB_R_REGS);
    }

    fn accesses(&self, instruction: &Instruction<'_>, pc: u64) {
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        instruction.register_memory_access_callback(
            move |_, info, address| {
                if ring.enabled() {
                    let record = Record { kind: kind::STORE, pc, ..Record::default() };
                    access(&ring, &shared, record, &info, address);
                }
            },
            MemRW::QEMU_PLUGIN_MEM_W,
        );
        let (ring, shared) = (Arc::clone(&self.ring), Arc::clone(&self.shared));
        instruction.register_memory_access_callback(
            move |_, info, address| {
                if ring.enabled() && !shared.memory.contains(address) {
                    let record = Record { kind: kind::MMIO_READ, pc, ..Record::default() };
                    access(&ring, &shared, record, &info, address);
                }
            },
            MemRW::QEMU_PLUGIN_MEM_R,
        );
    }
}

/// Records an access to memory or to a device; `record` is what it is unless the address says otherwise.
fn access(ring: &Ring, shared: &Shared, record: Record, info: &MemoryInfo<'_>, address: u64) {
    let physical = info.hwaddr(address);
    let device = physical.as_ref().is_some_and(|physical| physical.is_io());
    let kind = match (record.kind, device, &physical) {
        (kind::STORE, true, _) => kind::MMIO_WRITE,
        (kind::MMIO_READ, false, Some(physical)) => match ring.owner(physical.hwaddr()) {
            Owner::Foreign => kind::LOAD,
            Owner::Own => return shared.memory.add(address),
            Owner::Unknown => return,
        },
        (kind, ..) => kind,
    };
    let (parts, size) = match info.value() {
        MemValue::U8(value) => ([u64::from(value), 0], 1),
        MemValue::U16(value) => ([u64::from(value), 0], 2),
        MemValue::U32(value) => ([u64::from(value), 0], 4),
        MemValue::U64(value) => ([value, 0], 8),
        MemValue::U128(value) => ([value as u64, (value >> 64) as u64], 16),
    };
    match physical {
        Some(physical) if address % PAGE + size <= PAGE => {
            let b = physical.hwaddr();
            let record = Record { kind, cpu: shared.cpu(), size: size.min(8) as u8, ..record };
            ring.push(Record { a: address, b, value: parts[0], ..record });
            if size == 16 {
                ring.push(Record { a: address + 8, b: b + 8, value: parts[1], ..record });
            }
        }
        // QEMU tells where the first byte is. The rest is behind it while the hypervisor boots, without an MMU or on
        // tables of larger blocks.
        Some(physical)
            if !shared.booted.load(Ordering::Relaxed) && address % BOOT_BLOCK + size <= BOOT_BLOCK =>
        {
            let record = Record { kind, cpu: shared.cpu(), size: 1, ..record };
            let bytes = parts.map(u64::to_le_bytes);
            for (n, byte) in (0..size).zip(bytes.as_flattened()) {
                ring.push(Record {
                    a: address + n,
                    b: physical.hwaddr() + n,
                    value: u64::from(*byte),
                    ..record
                });
            }
        }
        _ => ring.fail(error::ADDRESS),
    }
}

fn value_of(register: &Value, ring: &Ring) -> u64 {
    register.read().unwrap_or_else(|| {
        ring.fail(error::REGISTER);
        0
    })
}

/// System registers of EL2 that translation hangs on: op1 = 4 and CRn = 1 (SCTLR, HCR), 2 (TTBR, TCR, VTTBR, VTCR) or
/// 10 (MAIR).
fn concerns_translation(code: u32) -> bool {
    code >> 16 & 7 == 4 && matches!(code >> 12 & 15, 1 | 2 | 10)
}
