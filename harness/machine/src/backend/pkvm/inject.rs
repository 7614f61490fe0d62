//! An operation in the place of a CPU that waits in the kernel's idle loop.
//!
//! The CPU holds nothing there and is in the middle of nothing. Its registers were saved when it came there; they are put back after
//! each operation. It alone runs, its interrupts masked, from an instruction of the kernel's to the one behind.
//!
//! A hypercall goes the kernel's own way. A load or store is made with the CPU's stage 1 off (SCTLR_EL1.M = 0): then the address is the
//! IPA itself, whatever the kernel maps, and an abort of stage 2 that the hypervisor hands back arrives at VBAR_EL1 + 0x200.

use std::time::Duration;

use super::code::Code;
use crate::backend::hyp::little_endian_hex;
use crate::rsp::{Client, Register, RspError, StopReply, TargetDescription};

/// How long the hypervisor may take, in wall time.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// PSTATE: DAIF, masked, and BTYPE, which a branch left.
const DAIF: u64 = 0xf << 6;
const BTYPE: u64 = 0b11 << 10;
/// SCTLR_EL1.M.
const MMU: u64 = 1;
/// The vector of a synchronous exception that EL1 takes from itself.
const VECTOR: u64 = 0x200;
/// General registers: x0 to x30. SP is behind them.
const GENERAL: usize = 31;
/// x0 and x1 are what a call gives back, or what a load gives and the address that it takes.
const RESULTS: usize = 2;

/// The registers that are set and read.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// x0 to x30, SP, PC, PSTATE.
    all: Vec<Register>,
    sctlr: Register,
    vbar: Register,
    esr: Register,
    far: Register,
    /// TPIDR_EL2, where the gdbstub has it.
    tpidr_el2: Option<Register>,
}

impl Set {
    /// Looks them up in `target`; gives the name of the first that is not there otherwise.
    pub(super) fn find(target: &TargetDescription) -> Result<Self, String> {
        let find = |name: &str| target.register(name).ok_or_else(|| name.to_owned());
        let either = |one: &str, other: &str| find(one).or_else(|_| find(other));
        let general: Result<Vec<_>, _> = (0..GENERAL).map(|number| find(&format!("x{number}"))).collect();
        let mut all = general?;
        all.extend([find("sp")?, find("pc")?, find("cpsr")?]);
        Ok(Self {
            all,
            sctlr: either("SCTLR_EL1", "SCTLR")?,
            vbar: either("VBAR_EL1", "VBAR")?,
            esr: find("ESR_EL1")?,
            far: find("FAR_EL1")?,
            tpidr_el2: find("TPIDR_EL2").ok(),
        })
    }

    pub(super) fn pc(&self) -> Register {
        self.all[GENERAL + 1]
    }
}

/// A CPU that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// What the gdbstub calls it.
    pub(super) thread: String,
    /// Its registers, in the order of [`Set::all`].
    saved: Vec<u64>,
    sctlr: u64,
    /// Where it takes an abort, with stage 1 off too.
    pub(super) vector: u64,
    /// TPIDR_EL2: what EL2's addresses of this CPU's own variables have more than those that the symbols name.
    pub(super) per_cpu: Option<u64>,
}

impl Waiting {
    /// CPU `thread`, as it stands.
    pub(super) async fn of(client: &mut Client, set: &Set, thread: &str) -> Result<Self, RspError> {
        client.command(&format!("Hg{thread}")).await?;
        let saved = client.read_registers(&set.all).await?;
        let system = client.read_registers(&[set.sctlr, set.vbar]).await?;
        let (sctlr, vector) = (system[0], system[1].wrapping_add(VECTOR));
        let per_cpu = match set.tpidr_el2 {
            Some(register) => client.read_registers(&[register]).await?.first().copied(),
            None => None,
        };
        Ok(Self { thread: thread.to_owned(), saved, sctlr, vector, per_cpu })
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Behind the instruction.
    Behind {
        /// x0 to x3.
        x: [u64; 4],
        /// Which of x2 to x30 and SP are not as they were, a bit each; SP is bit 31.
        disturbed: u32,
    },
    /// At the vector: ESR_EL1, FAR_EL1.
    Abort(u64, u64),
    /// Elsewhere.
    At(u64),
}

/// Makes operations on CPU `cpu`.
pub(super) struct Injector<'a> {
    pub(super) client: &'a mut Client,
    pub(super) set: &'a Set,
    pub(super) code: &'a Code,
    pub(super) cpu: &'a Waiting,
}

impl Injector<'_> {
    /// `hvc #0` with `arguments` in x0 and behind.
    pub(super) async fn call(&mut self, arguments: &[u64]) -> Result<Ended, RspError> {
        let (from, to) = (self.code.hvc.va, self.code.hvc.next().va);
        let ended = self.run(arguments, from, to).await?;
        if !matches!(ended, Ended::At(_)) {
            self.restore().await?;
        }
        Ok(ended)
    }

    /// The load or store of `size` bytes at `ipa`, which stores `value`; nothing if the kernel has no such instruction.
    pub(super) async fn access(
        &mut self,
        ipa: u64,
        size: u64,
        value: Option<u64>,
    ) -> Result<Option<Ended>, RspError> {
        let Some(access) = self.code.access(size, value.is_some()) else { return Ok(None) };
        let msr = self.code.msr_sctlr;
        let off = self.run(&[self.cpu.sctlr & !MMU], msr.va, msr.next().va).await?;
        if !matches!(off, Ended::Behind { .. }) {
            return Ok(Some(off));
        }
        let ended = self.run(&[value.unwrap_or(0), ipa], access.pa, access.next().pa).await?;
        if matches!(ended, Ended::At(_)) {
            return Ok(Some(ended));
        }
        let on = self.run(&[self.cpu.sctlr], msr.pa, msr.next().pa).await?;
        if !matches!(on, Ended::Behind { .. }) {
            return Ok(Some(on));
        }
        self.restore().await?;
        Ok(Some(ended))
    }

    /// Has the CPU stand at a `b .` for `time` of wall time, and go back.
    pub(super) async fn stand(&mut self, time: Duration) -> Result<(), RspError> {
        let Some(spin) = self.code.spin else { return Ok(()) };
        let before = self.place(&self.values(&[], spin.va));
        let action = format!("vCont;c:{}", self.cpu.thread);
        let stop = match self.client.resume(&before, &action, time).await {
            Err(RspError::Timeout(_)) => self.client.interrupt().await?,
            stop => stop?,
        };
        if !matches!(stop, StopReply::Stopped { .. }) {
            return Err(RspError::Closed);
        }
        self.client.command(&format!("Hg{}", self.cpu.thread)).await?;
        self.restore().await
    }

    /// The registers of the CPU at `from`, its interrupts masked, with `first` in x0 and behind.
    fn values(&self, first: &[u64], from: u64) -> Vec<u64> {
        let mut values = self.cpu.saved.clone();
        values[..first.len()].copy_from_slice(first);
        values[GENERAL + 1] = from;
        values[GENERAL + 2] = values[GENERAL + 2] & !BTYPE | DAIF;
        values
    }

    /// What gives the CPU these registers.
    fn place(&self, values: &[u64]) -> Vec<String> {
        let mut before = vec![format!("Hg{}", self.cpu.thread)];
        before.extend(put(&self.set.all, values));
        before
    }

    /// Runs the CPU from `from` to `to`, with `first` in x0 and behind.
    async fn run(&mut self, first: &[u64], from: u64, to: u64) -> Result<Ended, RspError> {
        let placed = self.values(first, from);
        let before = self.place(&placed);
        let Self { client, set, cpu, .. } = self;
        let stop = client.resume(&before, &format!("vCont;c:{}", cpu.thread), LIMIT).await?;
        if !matches!(stop, StopReply::Stopped { .. }) {
            return Err(RspError::Closed);
        }
        client.command(&format!("Hg{}", cpu.thread)).await?;
        let mut read = vec![set.pc(), set.esr, set.far];
        read.extend(&set.all[..=GENERAL]);
        let values = client.read_registers(&read).await?;
        let [pc, esr, far, general @ ..] = &values[..] else { return Err(RspError::Closed) };
        let [x0, x1, x2, x3, ..] = *general else { return Err(RspError::Closed) };
        let others = general.iter().zip(&placed).enumerate().skip(RESULTS);
        let disturbed =
            others.filter(|(_, (is, was))| is != was).fold(0, |bits, (number, _)| bits | 1 << number);
        let (pc, esr, far) = (*pc, *esr, *far);
        Ok(match pc {
            _ if pc == to => Ended::Behind { x: [x0, x1, x2, x3], disturbed },
            _ if pc == cpu.vector => Ended::Abort(esr, far),
            _ => Ended::At(pc),
        })
    }

    /// Puts the CPU back to where it waits.
    async fn restore(&mut self) -> Result<(), RspError> {
        for reply in self.client.pipeline(&put(&self.set.all, &self.cpu.saved)).await? {
            if reply != b"OK" {
                return Err(RspError::Closed);
            }
        }
        Ok(())
    }
}

/// The requests that set registers, each in its own width.
fn put(set: &[Register], values: &[u64]) -> Vec<String> {
    let request = |(register, value): (&Register, &u64)| {
        let digits = little_endian_hex(*value);
        let len = digits.len().min(register.bits as usize / 4);
        format!("P{:x}={}", register.number, &digits[..len])
    };
    set.iter().zip(values).map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_put_in_its_own_width() {
        let set = [Register { number: 1, bits: 64 }, Register { number: 33, bits: 32 }];
        assert_eq!(put(&set, &[0x1122_3344, 0x3c5]), ["P1=4433221100000000", "P21=c5030000"]);
    }
}
