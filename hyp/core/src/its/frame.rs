//! The ITS's registers as the host has them (IHI 0069, 12.19).

use super::command::Limits;
use super::device::Device;
use super::regs::{
    BASER_BITS, BASERS, CBASER_ADDRESS, CBASER_BITS, ENABLED, GITS_BASER, GITS_BASER7, GITS_CBASER,
    GITS_CREADR, GITS_CTLR, GITS_CWRITER, GITS_IIDR, GITS_TYPER, IDREGS, IDREGS_LAST, OFFSET, PAGE_SIZE_64K,
    PAGE_SIZE_FIELD, QUIESCENT, RETRY, VALID,
};
use super::{Env, MAX_DEVICES, POLLS};
use crate::access::{Outcome, Part, Refusal};
use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::faulty;
use crate::hw::{Cpu, Memory, Mmio};
use crate::regions::{Range, pages_of};

/// A table of the hypervisor's that the hardware has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// GITS_BASER<n>: which.
    pub(super) index: usize,
    /// What stands there.
    pub(super) value: u64,
    /// Type and Entry_Size, which the host reads there.
    pub(super) fixed: u64,
    /// Its memory.
    pub(super) memory: Range,
}

/// What the host wrote.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) cbaser: u64,
    /// GITS_CWRITER.Offset.
    pub(super) cwriter: u64,
    /// GITS_CREADR.Offset.
    pub(super) creadr: u64,
    /// GITS_CREADR.Stalled.
    pub(super) is_stalled: bool,
    basers: [u64; BASERS],
}

/// An ITS whose tables and queue are the hypervisor's.
#[derive(Debug)]
pub struct Its<R, M, C> {
    pub(super) regs: R,
    pub(super) mem: M,
    pub(super) cpu: C,
    pub(super) limits: Limits,
    pub(super) tables: [Table; 2],
    /// The page of the hypervisor's own queue.
    pub(super) commands: PhysAddr,
    /// Offset of its next command.
    pub(super) next: u64,
    pub(super) host: Host,
    /// The host's queue, while Enabled = 1 and it is held.
    pub(super) queue: Option<Range>,
    pub(super) devices: [Option<Device>; MAX_DEVICES],
    /// The hardware did not answer: nothing that it may use is given back any more.
    pub(super) is_stuck: bool,
    /// What was refused first in this access.
    pub(super) refusal: Option<Refusal>,
}

impl<R: Mmio, M: Memory, C: Cpu> Its<R, M, C> {
    /// The host reads (`write` is `None`) or writes `width` bytes at `offset` of the register frame. What means nothing
    /// reads as zero, and writing to it does nothing.
    pub(super) fn access<E: Env>(
        &mut self,
        env: &mut E,
        offset: u64,
        width: u64,
        write: Option<u64>,
    ) -> Outcome {
        let is_wide = |register| {
            matches!(
                register,
                GITS_TYPER | GITS_CBASER | GITS_CWRITER | GITS_CREADR | GITS_BASER..=GITS_BASER7
            )
        };
        let part = Part::of(offset, width, is_wide);
        let value = match (part, write) {
            (Some(part), None) => self.read(env, part.register).map(|value| part.get(value)),
            (Some(part), Some(value)) => {
                let old = self.stored(part.register);
                self.write(env, part.register, part.put(old, value)).then_some(0)
            }
            (None, _) => None,
        };
        if value.is_none() {
            self.refuse(Refusal::of(offset, width, write));
        }
        Outcome { value: value.unwrap_or(0), refusal: self.refusal.take(), gerror: false }
    }

    /// Notes what is refused in this access, if it is the first.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    /// Whether the host's ITS, which is the hardware's, is enabled.
    fn is_enabled(&self) -> bool {
        self.regs.read32(GITS_CTLR) & ENABLED != 0
    }

    /// What a register holds of what was written to it.
    fn stored(&self, register: u64) -> u64 {
        match register {
            GITS_CBASER => self.host.cbaser,
            GITS_CWRITER => self.host.cwriter,
            GITS_BASER..=GITS_BASER7 => self.host.basers[baser(register)],
            _ => 0,
        }
    }

    fn read<E: Env>(&mut self, env: &mut E, register: u64) -> Option<u64> {
        Some(match register {
            GITS_CTLR => (self.regs.read32(GITS_CTLR) & (ENABLED | QUIESCENT)).into(),
            GITS_TYPER => self.limits.typer,
            GITS_IIDR | IDREGS..=IDREGS_LAST => self.regs.read32(register).into(),
            GITS_CREADR => {
                self.run_commands(env);
                self.host.creadr | u64::from(self.host.is_stalled)
            }
            GITS_BASER..=GITS_BASER7 => {
                self.stored(register) | self.table(register).map_or(0, |table| table.fixed)
            }
            GITS_CBASER | GITS_CWRITER => self.stored(register),
            _ => return None,
        })
    }

    /// Writes a register. What cannot be written now is not: `false`.
    fn write<E: Env>(&mut self, env: &mut E, register: u64, value: u64) -> bool {
        match register {
            GITS_CTLR => self.write_ctlr(env, value as u32 & ENABLED != 0),
            GITS_CBASER if !self.is_enabled() => {
                self.host.cbaser = value & CBASER_BITS;
                (self.host.creadr, self.host.is_stalled) = (0, false);
            }
            GITS_CWRITER if value & OFFSET < self.queue_size() => {
                self.host.cwriter = value & OFFSET;
                self.host.is_stalled &= value & RETRY == 0;
                self.run_commands(env);
            }
            GITS_BASER..=GITS_BASER7 if !self.is_enabled() => {
                let done = self.write_baser(env, register, value);
                faulty::after_baser(&self.regs, register, value);
                return done;
            }
            _ => return false,
        }
        true
    }

    /// The table of the hypervisor's that stands for GITS_BASER<n>.
    fn table(&self, register: u64) -> Option<Table> {
        self.tables.into_iter().find(|table| table.index == baser(register))
    }

    /// GITS_BASER<n>: the host's own table is not used, so all that becomes of it is that the hardware's is empty, as a new
    /// table is. The ITS is disabled and quiescent.
    fn write_baser<E: Env>(&mut self, env: &mut E, register: u64, value: u64) -> bool {
        let Some(table) = self.table(register) else { return value == 0 };
        if self.is_stuck {
            return false;
        }
        let reserved = value & PAGE_SIZE_FIELD == PAGE_SIZE_FIELD;
        let value = if reserved { value & !PAGE_SIZE_FIELD | PAGE_SIZE_64K } else { value };
        self.host.basers[baser(register)] = value & BASER_BITS;
        self.set_table(table);
        if table.index == self.tables[0].index {
            self.forget_devices(env);
        }
        true
    }

    /// Gives the hardware a table without an entry.
    pub(super) fn set_table(&self, table: Table) {
        let register = GITS_BASER + 8 * table.index as u64;
        self.regs.write64(register, 0);
        for page in (table.memory.base.0..table.memory.end()).step_by(PAGE_SIZE as usize) {
            self.mem.zero_page(PhysAddr(page));
        }
        self.cpu.dsb_sy();
        self.regs.write64(register, table.value);
    }

    /// GITS_CTLR.Enabled. It stays 0 if the queue is not the host's memory. Set to 0, it gives the queue back as soon as
    /// the hardware is quiescent.
    fn write_ctlr<E: Env>(&mut self, env: &mut E, enable: bool) {
        if enable == self.is_enabled() || enable && self.is_stuck {
            return;
        }
        if enable {
            if self.host.cbaser & VALID != 0 {
                let queue = pages_of(self.host.cbaser & CBASER_ADDRESS, self.queue_size());
                if env.hold(queue).is_err() {
                    return self.refuse(Refusal::Memory);
                }
                self.queue = Some(queue);
            }
            self.regs.write32(GITS_CTLR, ENABLED);
            self.run_commands(env);
            return;
        }
        if !quiesce(&self.regs, &self.cpu) {
            self.is_stuck = true;
            self.refuse(Refusal::Stuck);
        }
        if let Some(queue) = self.queue.take() {
            env.release(queue);
        }
    }
}

/// Disables an ITS; whether it becomes quiescent in time.
pub(super) fn quiesce(regs: &impl Mmio, cpu: &impl Cpu) -> bool {
    regs.write32(GITS_CTLR, 0);
    (0..POLLS).any(|_| {
        let ctlr = regs.read32(GITS_CTLR);
        cpu.relax();
        ctlr & (ENABLED | QUIESCENT) == QUIESCENT
    })
}

/// n of GITS_BASER<n>.
const fn baser(register: u64) -> usize {
    ((register - GITS_BASER) / 8) as usize
}
