//! Register offsets and bits, with the names of IHI 0070 (chapter 6).
//!
//! Offsets are bytes from the start of the SMMU's register frame. Registers are 32 bits wide unless the text says
//! 64; a 32-bit register must be accessed with 32 bits.

use bitflags::bitflags;

/// Feature identification 0, see [`Idr0`].
pub const IDR0: u64 = 0x00;
/// Sizes of StreamIDs and queues.
pub const IDR1: u64 = 0x04;
/// Feature identification 3.
pub const IDR3: u64 = 0x0c;
/// Address sizes and granules.
pub const IDR5: u64 = 0x14;
/// Implementer and revision.
pub const IIDR: u64 = 0x18;
/// Global control, see [`Cr0`].
pub const CR0: u64 = 0x20;
/// What of [`CR0`] has taken effect.
pub const CR0ACK: u64 = 0x24;
/// Memory attributes of the SMMU's own accesses, see [`CR1_WB_ISH`].
pub const CR1: u64 = 0x28;
/// More control, see [`Cr2`].
pub const CR2: u64 = 0x2c;
/// What happens to traffic while translation is off, see [`Gbpa`].
pub const GBPA: u64 = 0x44;
/// Interrupt enables.
pub const IRQ_CTRL: u64 = 0x50;
/// What of [`IRQ_CTRL`] has taken effect.
pub const IRQ_CTRLACK: u64 = 0x54;
/// Global errors: a bit that differs from [`GERRORN`] is active, see [`Gerror`].
pub const GERROR: u64 = 0x60;
/// Acknowledged global errors.
pub const GERRORN: u64 = 0x64;
/// GERROR's MSI: address (64 bits), data, attributes. An address of 0 is no MSI.
pub const GERROR_IRQ_CFG0: u64 = 0x68;
/// The last of them.
pub const GERROR_IRQ_CFG2: u64 = 0x74;
/// Stream table base, 64 bits.
pub const STRTAB_BASE: u64 = 0x80;
/// Stream table format and size.
pub const STRTAB_BASE_CFG: u64 = 0x88;
/// Command queue base and size, 64 bits.
pub const CMDQ_BASE: u64 = 0x90;
/// Command queue write index.
pub const CMDQ_PROD: u64 = 0x98;
/// Command queue read index (19:0) and error (30:24).
pub const CMDQ_CONS: u64 = 0x9c;
/// CMDQ_CONS.ERR, and its value for a command that is not legal.
pub const CMDQ_CONS_ERR: Field = Field(30, 24);
/// See [`CMDQ_CONS_ERR`].
pub const CERROR_ILL: u32 = 1;
/// Event queue base and size, 64 bits.
pub const EVENTQ_BASE: u64 = 0xa0;
/// The event queue's MSI: address (64 bits), data, attributes.
pub const EVENTQ_IRQ_CFG0: u64 = 0xb0;
/// The last of them.
pub const EVENTQ_IRQ_CFG2: u64 = 0xbc;
/// The PRI queue's MSI address, 64 bits.
pub const PRIQ_IRQ_CFG0: u64 = 0xd0;
/// Event queue write index and overflow flag, in register page 1.
pub const EVENTQ_PROD: u64 = 0x1_00a8;
/// Event queue read index and overflow acknowledgement, in register page 1.
pub const EVENTQ_CONS: u64 = 0x1_00ac;

/// IRQ_CTRL: global errors raise an interrupt.
pub const GERROR_IRQEN: u32 = 1 << 0;
/// IRQ_CTRL: events raise an interrupt.
pub const EVENTQ_IRQEN: u32 = 1 << 2;
/// CR1: tables and queues are inner shareable, write-back, inner and outer.
pub const CR1_WB_ISH: u32 = 0b11 << 10 | 0b01 << 8 | 0b01 << 6 | 0b11 << 4 | 0b01 << 2 | 0b01;
/// STRTAB_BASE.RA, CMDQ_BASE.RA, EVENTQ_BASE.WA: the allocation hint in bit 62.
pub const BASE_ALLOCATE: u64 = 1 << 62;
/// STRTAB_BASE_CFG.FMT = two-level.
pub const STRTAB_FMT_2LVL: u32 = 0b01 << 16;
/// Position of STRTAB_BASE_CFG.SPLIT.
pub const STRTAB_SPLIT_SHIFT: u32 = 6;
/// EVENTQ_PROD.OVFLG and EVENTQ_CONS.OVACKFLG.
pub const OVERFLOW: u32 = 1 << 31;

/// A field of a 32-bit register, by its highest and lowest bit.
#[derive(Clone, Copy, Debug)]
pub struct Field(u32, u32);

impl Field {
    /// The field's value in register value `value`.
    #[must_use]
    pub const fn of(self, value: u32) -> u32 {
        (value >> self.1) & ((1 << (self.0 - self.1 + 1)) - 1)
    }
}

/// STRTAB_BASE_CFG.LOG2SIZE: bits of the StreamIDs in the table.
pub const STRTAB_CFG_LOG2SIZE: Field = Field(5, 0);
/// STRTAB_BASE_CFG.SPLIT: StreamID bits that index a level-2 table.
pub const STRTAB_CFG_SPLIT: Field = Field(10, 6);
/// STRTAB_BASE_CFG.FMT: 0 linear, 1 two-level.
pub const STRTAB_CFG_FMT: Field = Field(17, 16);
/// IDR0.TTF: bit 0 AArch32, bit 1 AArch64 tables.
pub const IDR0_TTF: Field = Field(3, 2);
/// IDR0.STALL_MODEL: 0 faults may stall, 1 they do not, 2 they always do.
pub const IDR0_STALL_MODEL: Field = Field(25, 24);
/// IDR0.ST_LEVEL: 1 when two-level stream tables are there.
pub const IDR0_ST_LEVEL: Field = Field(28, 27);
/// IDR1.SIDSIZE: bits of a StreamID.
pub const IDR1_SIDSIZE: Field = Field(5, 0);
/// IDR1.EVENTQS: log2 of the most entries that the event queue can have.
pub const IDR1_EVENTQS: Field = Field(20, 16);
/// IDR1.CMDQS: log2 of the most entries that the command queue can have.
pub const IDR1_CMDQS: Field = Field(25, 21);
/// IDR3.BBML: the level of break-before-make that changes of block size need, 2 for none.
pub const IDR3_BBML: Field = Field(12, 11);
/// IDR1.QUEUES_PRESET and TABLES_PRESET: the bases of queues or stream table are fixed.
pub const IDR1_PRESET: Field = Field(30, 29);
/// IDR3.RIL: range invalidation commands are there.
pub const IDR3_RIL: Field = Field(10, 10);
/// IDR5.GRAN4K: the 4 KiB granule is there.
pub const IDR5_GRAN4K: Field = Field(4, 4);
/// IDR5.OAS: output address size, an index of [`ADDRESS_BITS`].
pub const IDR5_OAS: Field = Field(2, 0);
/// IIDR: ProductID and Implementer.
pub const IIDR_PRODUCT: Field = Field(31, 20);
/// See [`IIDR_PRODUCT`].
pub const IIDR_IMPLEMENTER: Field = Field(11, 0);
/// IIDR.Variant: the r of a release r1p0.
pub const IIDR_VARIANT: Field = Field(19, 16);
/// Address sizes in bits by their encoding (IDR5.OAS, STE.S2PS).
pub const ADDRESS_BITS: [u32; 7] = [32, 36, 40, 42, 44, 48, 52];

bitflags! {
    /// SMMU_IDR0, 6.3.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Idr0: u32 {
        /// Stage 2 is there.
        const S2P = 1 << 0;
        /// Stage 1 is there.
        const S1P = 1 << 1;
        /// Tables and queues are accessed coherently.
        const COHACC = 1 << 4;
        /// EL2 StreamWorlds are there.
        const HYP = 1 << 9;
        /// Devices may ask for translations and keep them.
        const ATS = 1 << 10;
        const _ = !0;
    }

    /// SMMU_CR0, 6.3.9.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Cr0: u32 {
        /// Translation is on.
        const SMMUEN = 1 << 0;
        /// Events are recorded.
        const EVENTQEN = 1 << 2;
        /// Commands are consumed.
        const CMDQEN = 1 << 3;
        /// What a device says that it has translated is looked at all the same. Only where IDR0.ATS is.
        const ATSCHK = 1 << 4;
    }

    /// SMMU_CR2, 6.3.12.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Cr2: u32 {
        /// StreamIDs outside of the stream table are recorded.
        const RECINVSID = 1 << 1;
        /// Broadcast TLB maintenance of the CPUs is ignored.
        const PTM = 1 << 2;
    }

    /// SMMU_GBPA, 6.3.14.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Gbpa: u32 {
        /// Traffic is aborted.
        const ABORT = 1 << 20;
        /// Written as 1 to change the register; reads as 1 until the change is done.
        const UPDATE = 1 << 31;
        const _ = !0;
    }

    /// SMMU_GERROR and SMMU_GERRORN, 6.3.17.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Gerror: u32 {
        /// The command queue stopped; the reason is in CMDQ_CONS.ERR.
        const CMDQ_ERR = 1 << 0;
        /// An event record could not be written.
        const EVENTQ_ABT_ERR = 1 << 2;
        /// Nothing gets through the SMMU any more.
        const SFM_ERR = 1 << 8;
        const _ = !0;
    }
}
