//! The host's command queue: its commands are copied, checked and issued one after the other.

use super::command::{self, Verdict};
use super::{Env, Physical, Viommu};
use crate::access::Refusal;
use crate::addr::PhysAddr;
use crate::faulty;
use crate::regions::{Range, pages_of};
use crate::smmu::StreamId;
use crate::smmu::driver::queue::Ring;
use crate::smmu::regs::{CERROR_ILL, Gerror};
use parallax_abi::smmu_host::{COMMANDS, HostCommand, HostSmmu, IGNORED, ISSUED, REFUSED};

/// LOG2SIZE of a queue's BASE register.
const LOG2SIZE: u64 = 0x1f;
/// Its address bits.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
/// How many commands are checked and issued before the driver is unlocked: whoever waits for it waits no longer.
const BATCH: u32 = 16;
/// What a command costs of [`super::BUDGET`]: 64 of them fit, all of which are remembered.
const COMMAND_COSTS: u64 = super::BUDGET / COMMANDS as u64;

/// Shares the queue that `base` describes: at most 2^`limit` entries of `entry` bytes. Address bits below the
/// queue's size count as zero (6.3.26). `None` when its pages cannot be shared.
pub(super) fn share<E: Env>(env: &mut E, base: u64, limit: u32, entry: u64) -> Option<(Ring, Range)> {
    let log2 = ((base & LOG2SIZE) as u32).min(limit);
    let size = entry << log2;
    let start = PhysAddr(base & ADDRESS).align_down(size);
    let range = pages_of(start.0, size);
    env.hold(range).ok()?;
    Some((Ring::aligned(start, log2, entry), range))
}

impl Viommu {
    /// Whether the queue stands at a refused command that the host has not acknowledged.
    const fn is_stopped(&self) -> bool {
        (self.host.gerror ^ self.host.gerrorn) & Gerror::CMDQ_ERR.bits() != 0
    }

    /// Works the queue off up to CMDQ_PROD, to the first command that is refused, or until the budget is spent. On return
    /// all of them are complete. Each command's two dwords are read once. The driver is locked once for up to [`BATCH`]
    /// commands, and given up for stream table entries, whose level-2 table may have to be shared.
    pub(super) fn run_commands<E: Env>(&mut self, env: &mut E) {
        let Some((ring, _)) = self.cmdq else { return };
        let (prod, start) = (ring.wrap(self.host.cmdq_prod), ring.wrap(self.host.cmdq_cons));
        if faulty::is_stopped(self.is_stopped()) || prod == start {
            return;
        }
        self.host.cmdq_error = 0;
        let mut cons = start;
        // The number of the command at `start`, which the last access may have begun with.
        let first = self.host.commands - u64::from(self.begun.is_some());
        let mut smmu = env.smmu();
        let mut room = BATCH;
        let mut refused = None;
        while cons != prod && self.budget != 0 {
            if room == 0 {
                drop(smmu);
                smmu = env.smmu();
                room = BATCH;
            }
            let slot = ring.slot(cons);
            let verdict = self.begun.take().unwrap_or_else(|| {
                let copy = [env.read(slot), env.read(slot.add(8))];
                let verdict = faulty::checked(command::check(copy, smmu.features()), copy);
                self.remember(copy, verdict);
                self.spend(COMMAND_COSTS);
                verdict
            });
            match faulty::issued(verdict, env, slot, cons == start) {
                Verdict::Issue(command) => smmu.issue(command),
                Verdict::Ignore => {}
                Verdict::Configure { first, count, command } => {
                    drop(smmu);
                    let done = self.shadow_streams(env, u64::from(first.0), count);
                    smmu = env.smmu();
                    room = BATCH;
                    if done != count {
                        let first = StreamId(first.0 + done as u32);
                        self.begun = Some(Verdict::Configure { first, count: count - done, command });
                        break;
                    }
                    smmu.issue(command);
                }
                Verdict::Refuse => {
                    refused = Some(self.host.commands - 1);
                    break;
                }
            }
            cons = faulty::next_command(ring.next(cons), &ring, prod);
            room -= 1;
        }
        let (by_hardware, has_failed) = smmu.complete();
        drop(smmu);
        if let Some(command) = by_hardware {
            let mut numbers = first..self.host.commands;
            refused = numbers.find(|number| self.remembered(*number).issued == command).or(Some(first));
        }
        if let Some(number) = refused {
            cons = ring.wrap(start + (number - first) as u32);
            self.begun = None;
            self.refuse(Refusal::Command(self.remembered(number).words));
            self.host.cmdq_error = CERROR_ILL;
            self.host.gerror ^= Gerror::CMDQ_ERR.bits();
        }
        if has_failed && !self.has_failed {
            self.has_failed = true;
            self.host.gerror ^= Gerror::SFM_ERR.bits();
        }
        self.host.cmdq_cons = cons;
    }

    /// What was noted of the command with this number, one of the last [`COMMANDS`].
    const fn remembered(&self, number: u64) -> &HostCommand {
        &self.host.last[(number % COMMANDS as u64) as usize]
    }

    /// Notes a command and what becomes of it where the harness finds it.
    fn remember(&mut self, words: [u64; 2], verdict: Verdict) {
        let (verdict, issued) = match verdict {
            Verdict::Issue(command) | Verdict::Configure { command, .. } => (ISSUED, command),
            Verdict::Ignore => (IGNORED, [0; 2]),
            Verdict::Refuse => (REFUSED, [0; 2]),
        };
        let at = (self.host.commands % COMMANDS as u64) as usize;
        self.host.last[at] = HostCommand { words, issued, verdict };
        self.host.commands += 1;
        if at == COMMANDS - 1 {
            smmu_host_commands_full(&self.host);
        }
    }
}

/// Entered whenever all remembered commands are new: a breakpoint here loses none.
#[inline(never)]
fn smmu_host_commands_full(host: &HostSmmu) {
    core::hint::black_box(host.commands);
}
