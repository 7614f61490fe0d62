//! The ITS and the redistributors' LPI registers that the host sees: its accesses trap, and are performed here (IHI 0069).
//!
//! | module | what for |
//! | --- | --- |
//! | `regs` | registers, fields, and which accesses there are to them |
//! | `probe` | from a register frame at boot to an ITS whose tables are the hypervisor's |
//! | `frame` | the ITS's registers as the host has them |
//! | `queue`, `command` | the host's commands: copied, checked, issued anew |
//! | `device` | the devices that are mapped, and the memory of their ITTs |
//! | `redist` | LPI tables of a redistributor |
//!
//! An ITS and a redistributor read and write memory by physical address, past stage 2 and past the SMMU. So the
//! command queue, the device table and the collection table that the hardware has are the hypervisor's own. The
//! host's driver sets up others, and believes that they are used: of its tables nothing is read, of its queue each
//! command is read once, into a copy, checked ([`command::check`]) and put together anew from fields that were looked at.
//!
//! Safety argument: an ITS writes where its tables and an ITT are, a redistributor where its pending table is. The former
//! are the hypervisor's. An ITT and the LPI tables are memory that the host owns, lent and pinned ([`Env::hold`]) before
//! the hardware hears of it, and given back after the hardware has said that it is done with it. If it does not
//! say so in time, the memory stays pinned for good. Whatever one access asks for, at most [`queue::BUDGET`] commands are
//! worked off in it.

mod command;
mod device;
mod frame;
mod probe;
mod queue;
mod redist;
mod regs;

pub use frame::Its;
pub use probe::{ItsError, Probed};
pub use redist::Redistributor;

pub use crate::access::Env;
use crate::access::Outcome;
use crate::addr::PhysAddr;
use crate::hw::{Cpu, Memory, Mmio};
use crate::regions::Range;

/// Most redistributors that are served.
pub const MAX_REDISTRIBUTORS: usize = 8;
/// Most devices that can be mapped at a time.
pub const MAX_DEVICES: usize = 64;
/// How often a register is read before the hardware counts as stuck.
const POLLS: u32 = 1 << 20;

/// All that moves LPIs on this machine.
#[derive(Debug)]
pub struct Lpis<R, M, C> {
    /// The ITS, and its register frame.
    pub its: Option<(Range, Its<R, M, C>)>,
    /// The redistributors, and the page of each that has the LPI registers.
    pub redistributors: [Option<(Range, Redistributor<R>)>; MAX_REDISTRIBUTORS],
}

impl<R: Mmio, M: Memory, C: Cpu> Lpis<R, M, C> {
    /// The host reads (`write` is `None`) or writes `width` bytes at `address`; `None` when no such register is there.
    pub fn access<E: Env>(
        &mut self,
        env: &mut E,
        address: PhysAddr,
        width: u64,
        write: Option<u64>,
    ) -> Option<Outcome> {
        let within =
            |frame: &Range| address.0.checked_sub(frame.base.0).filter(|&offset| offset < frame.size);
        if let Some((frame, its)) = &mut self.its
            && let Some(offset) = within(frame)
        {
            return Some(its.access(env, offset, width, write));
        }
        let mut redistributors = self.redistributors.iter_mut().flatten();
        let (offset, found) = redistributors.find_map(|(frame, found)| Some((within(frame)?, found)))?;
        Some(found.access(env, offset, width, write))
    }
}
