//! DMA by a device behind the SMMU, which is the host's here.
//!
//! The harness writes the device's registers; no CPU of the kernel's knows of it. A transfer takes time of the machine's, which passes
//! while a CPU stands at a `b .` of the kernel's code with its interrupts masked. The device's configuration, the page that its data come
//! from and go to, and the CPU are as before afterwards; what the SMMU recorded stays in the host's event queue.

use std::time::Duration;

use parallax_abi::mailbox::{Response, kind};
use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_ops::DmaAccess;
use parallax_smmu::RawRegs;
use parallax_smmu::SmmuRegs;
use parallax_trace::spec::DmaDevice;
use parallax_vmsa::PhysMem;
use parallax_vmsa::mem::read_u64;

use super::Live;
use super::inject::Injector;
use crate::backend::edu::{Bus, Edu};
use crate::error::MachineError;
use crate::ram::MappedRam;

/// A page of zeros of the kernel's, which nobody needs any more.
pub(super) const SCRATCH: &str = "empty_zero_page";
/// Bytes that a request may have.
const BYTES: std::ops::RangeInclusive<u64> = 8..=4096;
/// Bytes of a record of the event queue.
const RECORD: u64 = 32;

/// A record of the SMMU's event queue.
struct Event {
    number: u64,
    stream: u64,
    address: u64,
}

impl Live {
    /// Has the device that `access` names do it.
    pub(super) fn dma(&mut self, access: &DmaAccess) -> Result<Response, MachineError> {
        let (DmaAccess::Read { sid, len, .. } | DmaAccess::Write { sid, len, .. }) = *access;
        let stands = self.code.as_ref().is_some_and(|code| code.spin.is_some());
        if !stands || self.scratch.is_none() || !BYTES.contains(&len) {
            return Ok(Response::of(kind::BAD_REQUEST));
        }
        let stream = u64::from(sid.get());
        let Some(edu) = self.device(stream)? else { return Ok(Response::of(kind::NO_DEVICE)) };
        let (scratch, mut page) = (self.scratch(), [0; PAGE_SIZE as usize]);
        self.ram.read(scratch, &mut page)?;
        let before = edu.enable(self)?;
        let result = self.transfer(edu, stream, access);
        edu.put_back(self, &before)?;
        self.ram.write(scratch, &page)?;
        result
    }

    fn transfer(&mut self, edu: Edu, stream: u64, access: &DmaAccess) -> Result<Response, MachineError> {
        let from = self.smmu()?;
        let mut response = Response::of(kind::OK);
        let lost = match *access {
            DmaAccess::Write { ipa, len, value, .. } => {
                let bytes: Vec<u8> = value.to_le_bytes().into_iter().cycle().take(len as usize).collect();
                let before = self.bytes(ipa.get(), len);
                edu.write(self, ipa.get(), &bytes)?;
                let now = self.bytes(ipa.get(), len);
                now.is_some() && now == before && now.as_ref() != Some(&bytes)
            }
            DmaAccess::Read { ipa, len, .. } => {
                let there = self.bytes(ipa.get(), 8);
                let read = edu.read(self, ipa.get(), len)?;
                response.x[0] = crate::backend::edu::number(&read[..8]);
                there.is_some_and(|there| there != read[..8])
            }
        };
        let scratch = self.scratch().get();
        let events = self.events(&from)?.into_iter().filter(|event| event.stream == stream);
        let (own, at): (Vec<Event>, Vec<Event>) = events.partition(|event| event.address & !0xfff == scratch);
        let mut pages: Vec<u64> = at.iter().map(|event| event.address >> 12).collect();
        pages.dedup();
        if let Some(first) = at.first() {
            (response.event, response.event_sid) = (first.number, first.stream);
            (response.event_addr, response.events) = (first.address, pages.len() as u64);
        }
        response.kind = match (at.is_empty(), own.is_empty()) {
            (false, _) => kind::ABORT,
            (true, false) => kind::TIMEOUT,
            // An event queue that is full or off tells nothing.
            (true, true) if lost => kind::ABORT,
            (true, true) => kind::OK,
        };
        Ok(response)
    }

    /// The device of StreamID `stream`, if the machine has it and the kernel has given it addresses.
    fn device(&mut self, stream: u64) -> Result<Option<Edu>, MachineError> {
        for device in self.target.description.config.devices.clone() {
            match device {
                DmaDevice::Slot(slot) if u64::from(slot) << 3 == stream => return Edu::find(self, slot),
                DmaDevice::Slot(_) => {}
                DmaDevice::BehindPort(slot) => match Edu::find_behind(self, slot)? {
                    Some((edu, bus)) if u64::from(bus) << 8 == stream => return Ok(Some(edu)),
                    _ => {}
                },
            }
        }
        Ok(None)
    }

    /// The SMMU's registers.
    fn smmu(&mut self) -> Result<SmmuRegs, MachineError> {
        let raw: Option<RawRegs> = crate::machine::Machine::registers(self)?.smmu;
        let regs = raw.map(|raw| SmmuRegs::decode(&raw).map_err(|error| error.to_string()));
        regs.transpose()
            .and_then(|regs| regs.ok_or_else(|| "there is no SMMU".to_owned()))
            .map_err(MachineError::Foreign)
    }

    /// What the SMMU has recorded since its registers were `from`.
    fn events(&mut self, from: &SmmuRegs) -> Result<Vec<Event>, MachineError> {
        let queue = self.smmu()?.eventq;
        let entries = 1_u32.checked_shl(queue.log2size).unwrap_or(0);
        let around = (2 * entries).wrapping_sub(1);
        let count = queue.prod.wrapping_sub(from.eventq.prod) & around;
        let mut events = Vec::new();
        for number in 0..count.min(entries) {
            let index = from.eventq.prod.wrapping_add(number) & entries.wrapping_sub(1);
            let at = queue.base.wrapping_add(RECORD * u64::from(index));
            let (first, address) = (read_u64(&self.ram, at)?, read_u64(&self.ram, at.wrapping_add(16))?);
            events.push(Event { number: first & 0xff, stream: first >> 32, address });
        }
        Ok(events)
    }

    /// What memory holds; nothing where there is none.
    fn bytes(&self, pa: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.ram.read(PhysAddr::new(pa), &mut bytes).ok().map(|()| bytes)
    }
}

impl Bus for Live {
    fn read(&mut self, pa: PhysAddr, len: usize) -> Result<Vec<u8>, MachineError> {
        Ok(self.runtime.block_on(self.client.read_memory(pa.get(), len))?)
    }

    fn write(&mut self, pa: PhysAddr, bytes: &[u8]) -> Result<(), MachineError> {
        let request = format!("M{:x},{:x}:{}", pa.get(), bytes.len(), crate::rsp::hex::encode(bytes));
        Ok(self.runtime.block_on(self.client.command(&request))?)
    }

    fn ram(&self) -> &MappedRam {
        &self.ram
    }

    fn pass(&mut self, time: Duration) -> Result<(), MachineError> {
        let (Some(cpu), Some(code)) = (self.cpus.first(), &self.code) else { return Ok(()) };
        let mut injector = Injector { client: &mut self.client, set: &self.set, code, cpu };
        Ok(self.runtime.block_on(injector.stand(time))?)
    }

    fn scratch(&self) -> PhysAddr {
        self.scratch.unwrap_or_default()
    }

    fn printed(&self) -> String {
        self.qemu.uart_tail()
    }
}
