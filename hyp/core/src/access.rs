//! The host's accesses to registers of the SMMU, the ITS and the redistributors that it sees.

use crate::addr::PhysAddr;
use crate::error::Error;
use crate::regions::Range;
use core::fmt;

/// What such a device needs of the hypervisor, whose locks it takes: its own comes before the host's.
pub trait Env {
    /// Lends the host's pages of `range` (page aligned) to the hypervisor and pins them.
    ///
    /// # Errors
    /// Not all of it is memory that the host owns and has not lent otherwise; nothing is changed.
    fn hold(&mut self, range: Range) -> Result<(), Error>;
    /// Undoes [`Env::hold`] of the same range.
    fn release(&mut self, range: Range);
    /// Reads the u64 at `pa` (8-byte aligned) of memory that is held.
    fn read(&self, pa: PhysAddr) -> u64;
}

/// An access that was performed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the host reads; 0 for a write.
    pub value: u64,
    /// The first thing in it that the host did not get.
    pub refusal: Option<Refusal>,
    /// A global error of the SMMU became active and the host has its interrupt enabled.
    pub gerror: bool,
}

/// What the host wanted and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A register that is not there, or not in this width: reads as zero.
    Read(u64, u64),
    /// A write, by offset, width and value, to what is not there, is read-only, or cannot be written now.
    Write(u64, u64, u64),
    /// Bits of the SMMU's CR0 that stay as they are: a queue or table that cannot be shared, SMMUEN without CMDQEN, or the
    /// last change is not acknowledged.
    Cr0(u32),
    /// A command of the SMMU: CERROR_ILL.
    Command([u64; 2]),
    /// A command of the ITS: the queue stalls.
    ItsCommand([u64; 4]),
    /// A stream whose entry, by its dword 0, is ILLEGAL on this SMMU: its traffic aborts.
    Entry(u32, u64),
    /// Enabled or EnableLPIs stays 0: what the host names is not its own memory.
    Memory,
    /// The hardware does not answer: what it uses stays lent.
    Stuck,
}

impl Refusal {
    /// Nothing came of the access to `offset`.
    pub(crate) const fn of(offset: u64, width: u64, write: Option<u64>) -> Self {
        match write {
            None => Self::Read(offset, width),
            Some(value) => Self::Write(offset, width, value),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(offset, width) => write!(f, "{width} bytes at {offset:#x} read as zero"),
            Self::Write(offset, width, value) => write!(f, "{width} bytes at {offset:#x} ignore {value:#x}"),
            Self::Cr0(bits) => write!(f, "CR0 {:#x} stays off", bits),
            Self::Command([low, high]) => write!(f, "command {low:#018x} {high:#018x} is refused"),
            Self::ItsCommand([head, one, two, three]) => {
                write!(f, "command {head:#018x} {one:#018x} {two:#018x} {three:#018x} is refused")
            }
            Self::Entry(stream, dword) => write!(f, "stream {:#x}: entry {dword:#x} is refused", stream),
            Self::Memory => write!(f, "stays off: its memory is not the host's"),
            Self::Stuck => write!(f, "does not answer: the memory that it uses stays lent"),
        }
    }
}

/// The part of a register that an access is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Offset of the register.
    pub(crate) register: u64,
    shift: u32,
    mask: u64,
}

impl Part {
    /// What `width` bytes at `offset` are a part of; `None` where no access of that width goes. `is_wide` says which
    /// registers have 64 bits: those take halves too.
    pub(crate) fn of(offset: u64, width: u64, is_wide: impl Fn(u64) -> bool) -> Option<Self> {
        let base = offset & !7;
        match width {
            8 if offset == base && is_wide(base) => Some(Self { register: base, shift: 0, mask: !0 }),
            4 if offset.is_multiple_of(4) && is_wide(base) => {
                Some(Self { register: base, shift: (offset - base) as u32 * 8, mask: 0xffff_ffff })
            }
            4 if offset.is_multiple_of(4) => Some(Self { register: offset, shift: 0, mask: 0xffff_ffff }),
            _ => None,
        }
    }

    /// This part of `value`.
    pub(crate) const fn get(self, value: u64) -> u64 {
        value >> self.shift & self.mask
    }

    /// `old` with this part replaced by `value`.
    pub(crate) const fn put(self, old: u64, value: u64) -> u64 {
        old & !(self.mask << self.shift) | (value & self.mask) << self.shift
    }
}
