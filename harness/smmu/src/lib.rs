//! Decoder for SMMUv3 registers, stream tables, commands and events, written from the Arm SMMUv3 specification
//! (IHI 0070).
//!
//! It takes register values and the bytes of memory and says what an SMMU would make of them; the stage-2 tables
//! that it finds are walked by `parallax-vmsa`. It knows nothing of how the hypervisor programs its SMMU.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`regs`] | [`RawRegs`], which offsets to read, and all of them decoded: [`SmmuRegs`] |
//! | [`idr`], [`control`] | the fields of single registers |
//! | [`queue`] | command and event queue: where the records are |
//! | [`strtab`] | [`StreamTable`]: linear and two-level; one stream, or all of them as runs |
//! | [`ste`], [`illegal`], [`cd`] | stream table entry, what makes one ILLEGAL, context descriptor |
//! | [`command`], [`event`] | records of the queues |
//! | [`register`], [`form`] | what is written down in words: registers by name, structures by form and field |
//! | [`attrs`] | the memory attributes of a transaction |
//!
//! Nothing here panics on any input.
#![forbid(unsafe_code)]

pub mod attrs;
pub mod cd;
pub mod command;
pub mod control;
pub mod event;
pub mod fields;
pub mod form;
pub mod identity;
pub mod idr;
pub mod illegal;
pub mod queue;
pub mod record;
pub mod register;
pub mod regs;
pub mod ste;
pub mod strtab;

pub use cd::Cd;
pub use command::{Command, CommandKind};
pub use event::{Event, EventKind};
pub use form::{Form, Structure};
pub use illegal::Illegal;
pub use queue::Queue;
pub use register::{REGISTERS, Register};
pub use regs::{CONSTANT, OFFSETS, RawRegs, RegsError, SmmuRegs};
pub use ste::{Config, Ste};
pub use strtab::{StreamFault, StreamRun, StreamTable, TableMemory};
