//! The SMMUv3 driver: the hardware's registers, queues and tables, which are the hypervisor's alone.
//!
//! | module | what for |
//! | --- | --- |
//! | [`regs`], `probe`, `hardware` | registers, what the SMMU can do, bounded waits |
//! | `layout`, `closed` | the memory that it needs; probing it and setting it up |
//! | `device`, `tlb` | the SMMU in use; its TLB maintenance |
//! | `strtab`, `ste`, `stage2` | stream table, its entries, the table behind them |
//! | `queue`, `cmdq`, `evtq` | rings, commands, events |
//! | `error` | what can be wrong |

mod closed;
pub(super) mod cmdq;
mod device;
mod error;
pub(super) mod evtq;
mod hardware;
mod layout;
mod probe;
pub(super) mod queue;
pub mod regs;
mod stage2;
pub(super) mod ste;
mod strtab;
mod tlb;

pub use closed::{Closed, HostView};
pub use cmdq::Command;
pub use device::Smmu;
pub use error::SmmuError;
pub use evtq::Event;
pub use layout::{Buffer, Buffers, Layout};
pub use probe::Features;
pub use stage2::Stage2;
pub use ste::{STE_SIZE, Ste};
