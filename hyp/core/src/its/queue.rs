//! The host's command queue, and the hypervisor's own.

use super::command::{Checked, check, sync};
use super::regs::{CBASER_SIZE, COMMAND, GITS_CREADR, GITS_CWRITER, OFFSET, RETRY, STALLED};
use super::{Env, Its, POLLS};
use crate::access::Refusal;
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::faulty;
use crate::hw::{Cpu, Memory, Mmio};

/// How many of the host's commands are worked off in one access: to go on, it looks at GITS_CREADR, as it must anyway.
pub(super) const BUDGET: u32 = 64;
/// For how many others a MAPD counts: it holds and releases up to 32 KiB.
const MAPD_COSTS: u32 = 16;

impl<R: Mmio, M: Memory, C: Cpu> Its<R, M, C> {
    /// Bytes of the host's queue.
    pub(super) const fn queue_size(&self) -> u64 {
        ((self.host.cbaser & CBASER_SIZE) + 1) * PAGE_SIZE
    }

    /// Works the host's queue off, up to GITS_CWRITER, to the first command that is refused, or for [`BUDGET`] commands. The
    /// four dwords of a command are read once.
    pub(super) fn run_commands<E: Env>(&mut self, env: &mut E) {
        let Some(queue) = self.queue else { return };
        let size = self.queue_size();
        let mut budget = BUDGET;
        while budget != 0 {
            if self.host.is_stalled || self.is_stuck || self.host.creadr == self.host.cwriter {
                return;
            }
            let slot = queue.base.add(self.host.creadr);
            let copy = [0, 8, 16, 24].map(|offset| env.read(slot.add(offset)));
            let checked = check(copy, &self.limits, |device| self.events_of(device));
            let costs = if matches!(checked, Some(Checked::Plain(_))) { 1 } else { MAPD_COSTS };
            budget = budget.saturating_sub(costs);
            let done = match checked {
                Some(Checked::Plain(command)) => self.issue(command),
                Some(Checked::Map { device, event_bits, itt, command }) => {
                    self.map(env, (device, event_bits), itt, command)
                }
                Some(Checked::Unmap { device, command }) => self.unmap(env, device, command),
                None => false,
            };
            if !done {
                self.refuse(Refusal::ItsCommand(copy));
                self.host.is_stalled = true;
                return;
            }
            self.host.creadr = (self.host.creadr + COMMAND) % size;
        }
    }

    /// Has the hardware perform `command`; on return it has. `false` if it refuses, or is stuck.
    pub(super) fn issue(&mut self, command: [u64; 4]) -> bool {
        if self.is_stuck {
            return false;
        }
        let slot = self.commands.add(self.next);
        self.write_command(slot, faulty::given(command));
        self.next = (self.next + COMMAND) % PAGE_SIZE;
        self.regs.write32(GITS_CWRITER, self.next as u32);
        let mut accepted = true;
        for _ in 0..POLLS {
            let creadr = u64::from(self.regs.read32(GITS_CREADR));
            if creadr & STALLED != 0 {
                // It waits at the command that it refuses, which makes way for one that it does not.
                accepted = false;
                self.write_command(slot, sync(self.limits.targets[0].unwrap_or(0)));
                self.regs.write32(GITS_CWRITER, (self.next | RETRY) as u32);
            } else if creadr & OFFSET == self.next {
                return accepted;
            }
            self.cpu.relax();
        }
        self.is_stuck = true;
        self.refuse(Refusal::Stuck);
        false
    }

    fn write_command(&self, slot: PhysAddr, command: [u64; 4]) {
        for (index, dword) in (0..).zip(command) {
            self.mem.write(slot.add(index * 8), dword);
        }
        faulty::command_visible(&self.cpu);
    }
}
