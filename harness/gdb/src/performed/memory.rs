//! Memory and registers of a live machine, as the gdbstub gives them.

use parallax_addr::{InputAddr, PhysAddr};
use parallax_machine::rsp::hex;
use parallax_vmsa::{Regime, translate};

use crate::Lost;

use super::{Performed, done};

/// What the gdbstub reads or writes at once, in bytes.
const MOST: usize = 2048;

impl Performed<'_> {
    /// The physical address of what EL2 has at `address`.
    fn at_el2(&mut self, address: u64) -> Option<u64> {
        let regime = Regime::el2_stage1(&self.session.registers().sys).ok().flatten()?;
        let found = translate(self.session.machine().memory(), &regime, InputAddr::new(address));
        Some(found.ok()?.oa.get())
    }

    /// Reads physical memory, a device's too.
    pub(super) fn read_physical(&mut self, pa: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        if self.session.machine().memory().read(PhysAddr::new(pa), buf).is_ok() {
            return Ok(true);
        }
        let request = format!("m{pa:x},{:x}", buf.len());
        let replies = self.ask(0, &[request])?;
        Ok(take(&replies[0], buf))
    }

    fn read_piece(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        if self.physical {
            return self.read_physical(address, buf);
        }
        let request = format!("m{address:x},{:x}", buf.len());
        let replies = self.ask(cpu, &virtually(request))?;
        if take(&replies[1], buf) {
            return Ok(true);
        }
        match self.at_el2(address) {
            Some(pa) => self.read_physical(pa, buf),
            None => Ok(false),
        }
    }

    fn write_piece(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost> {
        let request = |at: u64| format!("M{at:x},{:x}:{}", bytes.len(), hex::encode(bytes));
        if !self.physical && done(&self.ask(cpu, &virtually(request(address)))?[1]) {
            return Ok(true);
        }
        let pa = if self.physical { Some(address) } else { self.at_el2(address) };
        match pa {
            Some(pa) => Ok(done(&self.ask(0, &[request(pa)])?[0])),
            None => Ok(false),
        }
    }

    /// Fills `buf` with memory as `cpu` sees it.
    pub(super) fn read_memory(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        let mut at = address;
        let mut rest = buf;
        while !rest.is_empty() {
            // One translation holds to the end of its page.
            let len = rest.len().min(MOST).min((4096 - at % 4096) as usize);
            let (now, later) = rest.split_at_mut(len);
            if !self.read_piece(cpu, at, now)? {
                return Ok(false);
            }
            (at, rest) = (at.wrapping_add(len as u64), later);
        }
        Ok(true)
    }

    /// Writes memory, as [`Self::read_memory`] reads it.
    pub(super) fn write_memory(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost> {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = rest.len().min(MOST / 2).min((4096 - at % 4096) as usize);
            let (now, later) = rest.split_at(len);
            if !self.write_piece(cpu, at, now)? {
                return Ok(false);
            }
            (at, rest) = (at.wrapping_add(len as u64), later);
        }
        Ok(true)
    }
}

/// `request`, answered as the CPU sees memory; the gdbstub reads physical memory before and after. The second reply counts.
fn virtually(request: String) -> [String; 3] {
    ["Qqemu.PhyMemMode:0".to_owned(), request, "Qqemu.PhyMemMode:1".to_owned()]
}

/// Takes the bytes of a reply, if they are those that were asked for.
fn take(reply: &[u8], buf: &mut [u8]) -> bool {
    match hex::decode(reply).filter(|bytes| bytes.len() == buf.len()) {
        Some(bytes) => {
            buf.copy_from_slice(&bytes);
            true
        }
        None => false,
    }
}
