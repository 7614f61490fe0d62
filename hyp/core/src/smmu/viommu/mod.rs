//! The SMMUv3 that the host sees: its accesses trap, and are performed here.
//!
//! | module | what for |
//! | --- | --- |
//! | `regs`, `cr0` | the registers, and what is turned on and off |
//! | `queue`, `command` | the host's commands: copied, checked, issued anew |
//! | `strtab`, `shadow` | the host's stream table, and what the hardware gets for an entry of it |
//! | `physical` | what it needs of the driver and of the hypervisor |
//!
//! The host's own driver sets up a stream table and queues, and believes that the SMMU uses them. Each access to the
//! register frame comes here ([`Viommu::access`]). The hardware keeps the hypervisor's stream table and command
//! queue: an entry of the host is checked and rewritten ([`shadow`]) whenever the host says that it changed, and a
//! command is checked and issued anew ([`command::check`]). Only the event queue is the host's own.
//!
//! Safety argument: what the host names by address must be memory that it owns, and is shared and pinned
//! ([`access::Env::hold`]) for as long as it is used, so that it cannot become another's meanwhile. Everything in it is read
//! once, into a copy, and only the copy is looked at. What goes to the hardware is put together from fields that
//! were checked, never copied as a whole; every stage-2 field is the hypervisor's. The hardware's translation is
//! never turned off: while the host's SMMUEN is 0, every entry is "abort", as GBPA.ABORT would have it.

mod command;
mod cr0;
mod physical;
mod queue;
mod regs;
mod shadow;
mod strtab;

pub(crate) use command::Verdict;

pub(crate) use super::driver::queue::Ring;
use super::regs::{CMDQ_CONS, GERROR_IRQEN, IRQ_CTRL};
use super::{Features, Stage2, Ste, StreamId};
use crate::access::{self, Outcome, Part, Refusal};
use crate::faulty;
use crate::regions::Range;
use core::ops::DerefMut;
use parallax_abi::smmu_host::HostSmmu;
use strtab::HostTable;

/// What the host's SMMU needs of the driver of the physical one.
pub trait Physical {
    /// Reads a 32-bit register.
    fn register(&self, offset: u64) -> u32;
    /// Writes a 32-bit register.
    fn set_register(&mut self, offset: u64, value: u32);
    /// What the SMMU can do.
    fn features(&self) -> &Features;
    /// The table behind every stream that translates.
    fn stage2(&self) -> &Stage2;
    /// StreamIDs 0 to 2^n - 1 have an entry.
    fn sid_bits(&self) -> u32;
    /// Makes `ste` the entry of `stream`, if it is not already: whether it was another. Traffic is aborted meanwhile.
    fn confine(&mut self, stream: StreamId, ste: &Ste) -> bool;
    /// Adds a command, whose fields were all checked.
    fn issue(&mut self, command: [u64; 2]);
    /// Waits until all that was issued is complete. Returns the first command that the hardware refused, which did nothing
    /// while the others were performed, and whether the SMMU was turned off for good.
    fn complete(&mut self) -> (Option<[u64; 2]>, bool);
    /// Turns event recording on, into the queue that EVENTQ_BASE value `base` describes, or off.
    fn record_events(&mut self, base: Option<u64>);
}

/// What one access may cost, so that no CPU stays here for long: an entry that does not change costs 1. What is left is done
/// in the accesses that follow.
const BUDGET: u64 = 1024;

/// What the host's SMMU needs of the hypervisor: memory that is held as for the ITS, and the driver.
pub trait Env: access::Env {
    /// The driver.
    type Smmu: Physical;
    /// Locks the driver. Nothing can be held or released before it is unlocked: the host's lock and EL2's come first.
    fn smmu(&self) -> impl DerefMut<Target = Self::Smmu>;
}

/// The SMMU that the host sees: what the host wrote to it, and what of the host's memory it uses.
#[derive(Debug, Default)]
pub struct Viommu {
    /// The registers, and what the host commanded.
    host: HostSmmu,
    /// The command queue while CMDQEN = 1.
    cmdq: Option<(Ring, Range)>,
    /// The event queue's memory while EVENTQEN = 1.
    evtq: Option<Range>,
    /// The stream table while SMMUEN = 1.
    strtab: Option<HostTable>,
    /// SMMUEN changes: the first stream that has not heard of it.
    turning: Option<u64>,
    /// What is left of the command at CMDQ_CONS, once it was begun.
    begun: Option<Verdict>,
    /// What is left of [`BUDGET`] in this access.
    budget: u64,
    /// The hardware was turned off for good, and the host has been told.
    has_failed: bool,
    /// What was refused first in this access.
    refusal: Option<Refusal>,
}

impl Viommu {
    /// An SMMU after reset, with translation off and all traffic aborted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the harness may read of it, for as long as this lives where it is.
    #[must_use]
    pub const fn published(&self) -> &HostSmmu {
        &self.host
    }

    /// The host reads (`write` is `None`) or writes `width` bytes at `offset` of the register frame. Offsets and
    /// widths that mean nothing read as zero, and writing to them does nothing.
    pub fn access<E: Env>(&mut self, env: &mut E, offset: u64, width: u64, write: Option<u64>) -> Outcome {
        let errors = self.host.gerror;
        self.budget = faulty::budget(BUDGET);
        self.turn(env);
        if offset == CMDQ_CONS && write.is_none() {
            self.run_commands(env);
        }
        let value = match (Part::of(offset, width, regs::is_wide), write) {
            (Some(part), None) => self.read(env, part.register).map(|value| part.get(value)),
            (Some(part), Some(value)) => {
                let old = if width == 8 || !regs::is_wide(part.register) {
                    None
                } else {
                    self.read(env, part.register)
                };
                self.write(env, part.register, part.put(old.unwrap_or(0), value)).then_some(0)
            }
            (None, _) => None,
        };
        if value.is_none() {
            self.refuse(Refusal::of(offset, width, write));
        }
        let gerror = self.host.gerror != errors && env.smmu().register(IRQ_CTRL) & GERROR_IRQEN != 0;
        let gerror = faulty::gerror(gerror);
        Outcome { value: value.unwrap_or(0), refusal: self.refusal.take(), gerror }
    }

    /// Takes `cost` off the budget.
    const fn spend(&mut self, cost: u64) {
        self.budget = self.budget.saturating_sub(cost);
    }

    /// Notes what is refused in this access, if it is the first.
    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }
}
