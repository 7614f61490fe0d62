//! Decoder and walker for VMSAv8-64 stage 1 and stage 2 with the 4 KiB granule, written from the Arm ARM (DDI 0487).
//!
//! It takes the values of registers and the bytes of memory and says what the hardware would make of them. It
//! knows nothing of how the hypervisor builds its tables, on purpose: it is the judge.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mem`] | [`PhysMem`], the narrow view of physical memory that everything reads through |
//! | [`regs`], [`tcr`], [`ControlRegs`] | system registers and their fields |
//! | [`regime`] | [`Regime`]: root, levels and sizes of one translation, made from registers |
//! | [`desc`] | one descriptor: invalid, table, block, page, reserved |
//! | [`stage2`], [`stage1`], [`annotation`] | the fields of a leaf; entries that are invalid and not zero |
//! | [`memtype`], [`attrs`] | memory types, and how stage 1 and stage 2 combine |
//! | [`table`], [`mod@walk`], [`visit`] | one table as runs; a whole walk with a cache; what it hands out |
//! | [`mod@translate`] | one address, with the reason when it fails |
//!
//! `ia` is an input address (VA for stage 1, IPA for stage 2), `oa` an output address, `pa` the physical address of
//! what is read. Sizes are in bytes. Nothing here panics on any input.
#![forbid(unsafe_code)]

pub mod annotation;
pub mod attrs;
mod cached;
mod control;
pub mod desc;
pub mod mem;
mod mem_attr;
pub mod memtype;
pub mod regime;
pub mod regs;
pub mod stage1;
pub mod stage2;
pub mod table;
pub mod tcr;
pub mod translate;
pub mod visit;
pub mod walk;

pub use annotation::{Annotation, AnnotationType};
pub use attrs::{Cacheability, DeviceType, MemAttrs, MemType, Shareability};
pub use cached::changed_part;
pub use control::ControlRegs;
pub use desc::{Form, Level};
pub use mem::{MemError, PhysMem, SparseMem};
pub use mem_attr::MemAttr;
pub use regime::{Regime, RegimeError, Stage, Stage1Controls, Stage2Controls, Stage2Fields};
pub use regs::SysRegs;
pub use stage1::{Stage1Attrs, TableAttrs};
pub use stage2::{S2Xn, Stage2Attrs};
pub use translate::{Fault, FaultKind, Translation, translate};
pub use walk::{Malformed, Run, TableCache, Visit, walk};
