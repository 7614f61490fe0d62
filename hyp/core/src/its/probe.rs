//! From a register frame at boot to an ITS whose tables are the hypervisor's.

use super::command::Limits;
use super::frame::{Host, Its, Table, quiesce};
use super::regs::{
    BASERS, GITS_BASER, GITS_CBASER, GITS_CWRITER, GITS_TYPER, PAGE_SIZE_FIELD, SHAREABILITY, VALID,
    WRITE_BACK,
};
use super::{MAX_DEVICES, MAX_REDISTRIBUTORS};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::hw::{Cpu, Memory, Mmio};
use crate::regions::Range;
use crate::smmu::Buffer;

/// Why an ITS cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItsError {
    /// It goes on working.
    #[error("it is disabled, but does not become quiescent")]
    Busy,
    /// It cannot move LPIs, or has no device table or no collection table.
    #[error("it has no table of type {0}")]
    NoTable(u64),
    /// More than GITS_BASER<n> can describe.
    #[error("a table of {0:#x} bytes is too large")]
    TooLarge(u64),
    /// It does not see what is in the caches.
    #[error("its accesses to memory are not coherent")]
    NotCoherent,
    /// EnableLPIs cannot be cleared: somebody's tables are in use.
    #[error("EnableLPIs stays set")]
    LpisInUse,
}

/// GITS_BASER<n>: its type, and the types that there are here.
const TYPE_SHIFT: u32 = 56;
const DEVICES: u64 = 1;
const COLLECTIONS: u64 = 4;
/// Entry_Size, less one.
const ENTRY_SIZE: u64 = 0x1f << 48;
/// Most pages of a table.
const MAX_PAGES: u64 = 256;
/// GITS_TYPER as the host gets it: Physical, ITT_entry_size, PTA, HCC. Not: Virtual, SEIS, VMOVP and all that is for
/// virtual LPIs or newer; ID_bits, Devbits and CIDbits are put together anew.
const TYPER_SHOWN: u64 = 1 | 0xf << 4 | PTA | 0xff << 24;
const ID_BITS_SHIFT: u32 = 8;
const DEVBITS_SHIFT: u32 = 13;
/// Most bits of EventIDs: MSI-X has 2,048 vectors at most, and with 16 bytes for each all ITTs together are 512 pages, which one access
/// may have to give back.
const MAX_EVENT_BITS: u32 = 11;
/// RDbase is an address, not a number.
const PTA: u64 = 1 << 19;
const CIDBITS_SHIFT: u32 = 32;
const CIL: u64 = 1 << 36;
/// Most bits of a collection's number.
const MAX_CIDBITS: u32 = 16;

/// A table that an ITS asks for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    index: usize,
    fixed: u64,
    /// Bytes of a page, and how the register says so.
    page: u64,
    page_field: u64,
    pages: u64,
}

/// An ITS that is disabled, has no tables, and what it will need.
#[derive(Debug)]
pub struct Probed<R> {
    regs: R,
    typer: u64,
    device_bits: u32,
    tables: [Wanted; 2],
}

impl<R: Mmio> Probed<R> {
    /// Disables the ITS. It will serve DeviceIDs of at most `device_bits` bits.
    ///
    /// # Errors
    /// [`ItsError`].
    pub fn new(regs: R, cpu: &impl Cpu, device_bits: u32) -> Result<Self, ItsError> {
        if !quiesce(&regs, cpu) {
            return Err(ItsError::Busy);
        }
        let typer = read64(&regs, GITS_TYPER);
        let device_bits = device_bits.clamp(1, (typer >> DEVBITS_SHIFT & 0x1f) as u32 + 1);
        regs.write64(GITS_CBASER, 0);
        let mut tables = [None; 2];
        for index in 0..BASERS {
            let register = GITS_BASER + 8 * index as u64;
            regs.write64(register, 0);
            let value = read64(&regs, register);
            let (kind, entry) = (value >> TYPE_SHIFT & 0b111, ((value & ENTRY_SIZE) >> 48) + 1);
            let page_field = value & PAGE_SIZE_FIELD;
            let page = PAGE_SIZE << (page_field >> 8 << 1).min(4);
            let fixed = value & (0b111 << TYPE_SHIFT | ENTRY_SIZE);
            let table =
                |bytes: u64| Wanted { index, fixed, page, page_field, pages: bytes.div_ceil(page).max(1) };
            match kind {
                DEVICES => tables[0] = Some(table(entry << device_bits)),
                COLLECTIONS => tables[1] = Some(table(1)),
                _ => {}
            }
        }
        let tables = match tables {
            [Some(devices), Some(collections)] => [devices, collections],
            [None, _] => return Err(ItsError::NoTable(DEVICES)),
            _ => return Err(ItsError::NoTable(COLLECTIONS)),
        };
        if let Some(large) = tables.iter().find(|table| table.pages > MAX_PAGES) {
            return Err(ItsError::TooLarge(large.pages * large.page));
        }
        Ok(Self { regs, typer, device_bits, tables })
    }

    /// Whether RDbase is a redistributor's address, not its number.
    pub const fn has_addresses(&self) -> bool {
        self.typer & PTA != 0
    }

    /// EventIDs have at most so many bits.
    fn event_bits(&self) -> u32 {
        ((self.typer >> ID_BITS_SHIFT & 0x1f) as u32 + 1).min(MAX_EVENT_BITS)
    }

    /// The memory for device table, collection table and command queue.
    pub fn buffers(&self) -> [Buffer; 3] {
        let [devices, collections] = self
            .tables
            .map(|table| Buffer { pages: table.pages * table.page / PAGE_SIZE, align: table.page });
        [devices, collections, Buffer { pages: 1, align: PAGE_SIZE }]
    }

    /// Gives it tables and a queue: zeroed memory of these sizes. `targets` has RDbase of each redistributor, an address or
    /// a number of a processor in bits 51:16. It stays disabled until the host enables it.
    ///
    /// # Errors
    /// [`ItsError::NotCoherent`].
    pub fn init<M: Memory, C: Cpu>(
        self,
        mem: M,
        cpu: C,
        memory: [PhysAddr; 3],
        targets: [Option<u64>; MAX_REDISTRIBUTORS],
    ) -> Result<Its<R, M, C>, ItsError> {
        let [devices, collections, commands] = memory;
        let table = |wanted: Wanted, base: PhysAddr| Table {
            index: wanted.index,
            fixed: wanted.fixed,
            value: VALID | WRITE_BACK | base.0 | wanted.page_field | (wanted.pages - 1),
            memory: Range { base, size: wanted.pages * wanted.page },
        };
        let tables = [table(self.tables[0], devices), table(self.tables[1], collections)];
        let entries = tables[1].memory.size / (((tables[1].fixed & ENTRY_SIZE) >> 48) + 1);
        let collection_bits = entries.ilog2().min(MAX_CIDBITS);
        let fields = u64::from(self.event_bits() - 1) << ID_BITS_SHIFT
            | u64::from(self.device_bits - 1) << DEVBITS_SHIFT
            | u64::from(collection_bits - 1) << CIDBITS_SHIFT
            | CIL;
        let limits = Limits {
            typer: self.typer & TYPER_SHOWN | fields,
            device_bits: self.device_bits,
            event_bits: self.event_bits(),
            collections: 1 << collection_bits,
            itt_entry: (self.typer >> 4 & 0xf) + 1,
            targets,
        };
        let its = Its {
            regs: self.regs,
            mem,
            cpu,
            limits,
            tables,
            commands,
            next: 0,
            host: Host::default(),
            queue: None,
            devices: [None; MAX_DEVICES],
            is_stuck: false,
            refusal: None,
        };
        tables.into_iter().for_each(|table| its.set_table(table));
        its.regs.write64(GITS_CBASER, VALID | WRITE_BACK | commands.0);
        its.regs.write32(GITS_CWRITER, 0);
        let registers =
            [GITS_CBASER].into_iter().chain(tables.map(|table| GITS_BASER + 8 * table.index as u64));
        let coherent = registers.into_iter().all(|register| its.regs.read32(register) & SHAREABILITY != 0);
        if coherent { Ok(its) } else { Err(ItsError::NotCoherent) }
    }
}

/// A 64-bit register that does not change.
pub(super) fn read64(regs: &impl Mmio, register: u64) -> u64 {
    u64::from(regs.read32(register)) | u64::from(regs.read32(register + 4)) << 32
}
