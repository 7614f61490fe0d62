//! Operations beside a running Linux: hypercalls that the kernel does not know of, and physical memory.
//!
//! A hypercall is made in the kernel's place. At a stop where no CPU is inside the hypervisor, one is chosen that executes the
//! kernel: at EL1 and not waiting for an interrupt. The instruction that it would execute next becomes an `hvc`, its
//! interrupts are masked, its arguments put into x0 to x7. It alone runs, up to the instruction behind. Then the
//! instruction and all registers are as they were: to the kernel it is less than an interrupt.

use std::time::Duration;

use parallax_addr::PhysAddr;
use parallax_vmsa::MemError;

use super::Linux;
use super::look::Position;
use crate::backend::hyp::{SIGTRAP, little_endian_hex};
use crate::error::MachineError;
use crate::extensions::Pause;
use crate::rsp::{Client, Register, RspError, StopReply, hex};

/// `hvc #0`.
const HVC: u32 = 0xd400_0002;
/// PSTATE as the gdbstub shows it: DAIF, masked, and BTYPE, which a branch left and an `hvc` does not honour.
const DAIF: u64 = 0xf << 6;
const BTYPE: u64 = 0b11 << 10;
/// How long the hypervisor may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the machine runs on when no CPU executes the kernel, and how often that is tried.
const KERNEL: (Duration, usize) = (Duration::from_micros(500), 20_000);

/// What is saved: x0 to x7, PC, PSTATE.
const SAVED: usize = 10;

impl Linux {
    /// Makes hypercall `id` with `args` (six at most) on one of the CPUs, number `turn` if it executes the kernel. Gives x0 to
    /// x3, or nothing when the machine has ended before it came to that.
    ///
    /// # Errors
    /// The hypervisor does not return, or as [`Linux::run_for`].
    pub fn hypercall(
        &mut self,
        id: u64,
        args: &[u64],
        turn: usize,
    ) -> Result<Option<[u64; 4]>, MachineError> {
        let Some(thread) = self.in_the_kernel(turn)? else { return Ok(None) };
        let Some(below) = &self.below else { return Ok(None) };
        let mut values = [0; 8];
        values[0] = id;
        values[1..=args.len()].copy_from_slice(args);
        let set: Vec<Register> =
            below.arguments.iter().copied().chain([below.registers.pc, below.registers.cpsr]).collect();
        // The call is none of the kernel's: nobody asked to stop in it.
        self.set_stops('z')?;
        let made = self.runtime.block_on(inject(&mut self.client, &set, &thread, values));
        if made.is_ok() {
            self.set_stops('Z')?;
        }
        match made {
            Ok(Some(results)) => Ok(Some(results)),
            Ok(None) => Err(self.trapped()),
            Err(RspError::Timeout(_)) => Err(MachineError::Hang {
                waiting_for: "the end of a hypercall",
                limit: LIMIT,
                report: self.printed(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads `len` bytes at `pa`, registers of devices included.
    ///
    /// # Errors
    /// Nothing is there, or the connection failed.
    pub fn read_physical(&mut self, pa: PhysAddr, len: usize) -> Result<Vec<u8>, MachineError> {
        Ok(self.runtime.block_on(self.client.read_memory(pa.get(), len))?)
    }

    /// Writes `bytes` at `pa`, in one access if a device has it that wide.
    ///
    /// # Errors
    /// As [`Self::read_physical`].
    pub fn write_physical(&mut self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MachineError> {
        Ok(self.runtime.block_on(self.client.command(&write(pa.get(), bytes)))?)
    }

    /// Writes `bytes` to RAM, from `pa` on.
    ///
    /// # Errors
    /// They are not all in RAM.
    pub fn write_memory(&self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MemError> {
        self.ram.write(pa, bytes)
    }

    /// Sets (`Z`) or lifts (`z`) all stops that were asked for.
    fn set_stops(&mut self, request: char) -> Result<(), MachineError> {
        for address in &self.stops {
            self.runtime.block_on(self.client.command(&format!("{request}1,{address:x},4")))?;
        }
        Ok(())
    }

    /// The thread of a CPU that executes the kernel; the machine runs on until there is one.
    fn in_the_kernel(&mut self, turn: usize) -> Result<Option<String>, MachineError> {
        let (moment, tries) = KERNEL;
        for _ in 0..tries {
            let mut cpus = self.positions()?;
            if !cpus.iter().any(|cpu| self.is_inside(cpu)) {
                let count = cpus.len().max(1);
                cpus.rotate_left(turn % count);
                for cpu in cpus.iter().filter(|cpu| is_kernel(cpu)) {
                    if self.is_awake(&cpu.thread)? {
                        return Ok(Some(cpu.thread.clone()));
                    }
                }
            }
            if self.run_for(moment)? == Pause::Ended {
                return Ok(None);
            }
        }
        Err(MachineError::Hang {
            waiting_for: "a CPU that executes the kernel",
            limit: moment * tries as u32,
            report: self.printed(),
        })
    }

    /// Whether the CPU does not wait for an interrupt: QEMU says so in words only.
    fn is_awake(&mut self, thread: &str) -> Result<bool, MachineError> {
        let reply = self.runtime.block_on(self.client.request(&format!("qThreadExtraInfo,{thread}")))?;
        let words = hex::decode(&reply).unwrap_or_default();
        Ok(String::from_utf8_lossy(&words).contains("running"))
    }
}

/// At EL1, with its next two instructions in one page.
const fn is_kernel(cpu: &Position) -> bool {
    cpu.cpsr >> 2 & 3 == 1 && cpu.pc & 0xfff < 0xffc && cpu.pc >> 63 == 1
}

fn write(address: u64, bytes: &[u8]) -> String {
    format!("M{address:x},{:x}:{}", bytes.len(), hex::encode(bytes))
}

/// Nothing when the CPU stopped elsewhere.
async fn inject(
    client: &mut Client,
    set: &[Register],
    thread: &str,
    arguments: [u64; 8],
) -> Result<Option<[u64; 4]>, RspError> {
    client.command(&format!("Hg{thread}")).await?;
    let saved = client.read_registers(set).await?;
    let (pc, pstate) = (saved[8], saved[9]);
    let mut values: Vec<u64> = arguments.to_vec();
    values.extend([pc, pstate & !BTYPE | DAIF]);

    // The gdbstub writes the kernel's text through the kernel's own translation, and drops what QEMU made of it.
    client.command("Qqemu.PhyMemMode:0").await?;
    let instruction = client.read_memory(pc, 4).await?;
    let behind = format!("1,{:x},4", pc + 4);
    let mut before = vec![write(pc, &HVC.to_le_bytes()), format!("Z{behind}")];
    before.extend(put(set, &values));
    let stop = client.resume(&before, &format!("vCont;c:{thread}"), LIMIT).await?;
    client.command(&format!("z{behind}")).await?;
    client.command(&write(pc, &instruction)).await?;
    client.command("Qqemu.PhyMemMode:1").await?;
    let after = client.read_registers(set).await?;
    let arrived = after[8] == pc + 4 && after[9] >> 2 & 3 == 1;
    if !arrived || !matches!(stop, StopReply::Stopped { signal: SIGTRAP, .. }) {
        return Ok(None);
    }
    for request in put(set, &saved) {
        client.command(&request).await?;
    }
    Ok(after.first_chunk().copied())
}

/// The requests that set registers.
fn put(set: &[Register], values: &[u64]) -> Vec<String> {
    debug_assert!(set.len() == SAVED && values.len() == SAVED);
    let request = |(register, value): (&Register, &u64)| {
        let digits = little_endian_hex(*value);
        format!("P{:x}={}", register.number, &digits[..register.bits as usize / 4])
    };
    set.iter().zip(values).map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_written_in_its_own_width() {
        let mut set = vec![Register { number: 1, bits: 64 }; SAVED];
        set[9] = Register { number: 33, bits: 32 };
        let requests = put(&set, &[0x1122_3344; SAVED]);
        assert_eq!(requests[0], "P1=4433221100000000");
        assert_eq!(requests[9], "P21=44332211");
    }

    #[test]
    fn only_a_cpu_at_el1_in_the_kernels_half_is_in_the_kernel() {
        let cpu = |pc, cpsr| Position { thread: String::new(), pc, cpsr };
        assert!(is_kernel(&cpu(0xffff_8000_8000_1000, 0x3c5)));
        assert!(!is_kernel(&cpu(0xffff_8000_8000_1ffc, 0x3c5)));
        assert!(!is_kernel(&cpu(0x40_1000, 0)));
        assert!(!is_kernel(&cpu(0xffff_8000_8000_1000, 0x3c9)));
    }
}
