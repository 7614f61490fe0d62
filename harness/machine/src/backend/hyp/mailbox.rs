//! The test host's mailbox, written and read in guest RAM while the machine stands still.

use std::mem::{offset_of, size_of};

use parallax_abi::mailbox::{MAGIC, Mailbox, Request, Response, SLOTS, Slot, VERSION};
use parallax_addr::PhysAddr;
use parallax_vmsa::PhysMem;
use zerocopy::IntoBytes;

use crate::error::MachineError;
use crate::ram::MappedRam;

/// Where the mailbox is.
#[derive(Clone, Copy, Debug)]
pub(super) struct MailboxAt(pub(super) PhysAddr);

impl MailboxAt {
    /// Whether the test host has made it ready.
    pub(super) fn check(self, ram: &MappedRam) -> Result<(), MachineError> {
        let magic = self.field(ram, offset_of!(Mailbox, magic))?;
        let version = self.field(ram, offset_of!(Mailbox, version))?;
        if magic != MAGIC {
            let text = format!("the test host's mailbox has magic {magic:#x}, not {MAGIC:#x}");
            return Err(MachineError::Contract(text));
        }
        if version != VERSION {
            let text = format!("the test host's mailbox has version {version}, not {VERSION}");
            return Err(MachineError::Unfit(text));
        }
        Ok(())
    }

    /// How many CPUs take requests.
    pub(super) fn cpus(self, ram: &MappedRam) -> Result<u64, MachineError> {
        self.field(ram, offset_of!(Mailbox, cpus))
    }

    /// Puts `batch` in, at most [`SLOTS`] requests.
    pub(super) fn put(self, ram: &MappedRam, batch: &[Request]) -> Result<(), MachineError> {
        debug_assert!(batch.len() <= SLOTS);
        let slots: Vec<Slot> =
            batch.iter().map(|request| Slot { request: *request, response: Response::default() }).collect();
        ram.write(self.at(offset_of!(Mailbox, slots)), slots.as_bytes())?;
        ram.write(self.at(offset_of!(Mailbox, count)), &(batch.len() as u64).to_le_bytes())?;
        Ok(())
    }

    /// How many requests there still are to answer: all or none, as the test host sees them as a whole.
    pub(super) fn unanswered(self, ram: &MappedRam) -> Result<u64, MachineError> {
        self.field(ram, offset_of!(Mailbox, count))
    }

    /// Makes sure that none is left.
    pub(super) fn all_answered(self, ram: &MappedRam) -> Result<(), MachineError> {
        match self.unanswered(ram)? {
            0 => Ok(()),
            left => {
                Err(MachineError::Contract(format!("the test host waits with {left} requests unanswered")))
            }
        }
    }

    /// Takes the responses to the last `count` requests.
    pub(super) fn responses(self, ram: &MappedRam, count: usize) -> Result<Vec<Response>, MachineError> {
        self.all_answered(ram)?;
        (0..count).map(|slot| self.response(ram, slot)).collect()
    }

    /// The response in `slot`.
    pub(super) fn response(self, ram: &MappedRam, slot: usize) -> Result<Response, MachineError> {
        let mut bytes = [0; size_of::<Response>()];
        let place = offset_of!(Mailbox, slots) + slot.min(SLOTS - 1) * size_of::<Slot>();
        ram.read(self.at(place + offset_of!(Slot, response)), &mut bytes)?;
        Ok(zerocopy::transmute!(bytes))
    }

    /// The address `offset` bytes from its beginning.
    const fn at(self, offset: usize) -> PhysAddr {
        PhysAddr::new(self.0.get() + offset as u64)
    }

    fn field(self, ram: &MappedRam, offset: usize) -> Result<u64, MachineError> {
        let mut bytes = [0; 8];
        ram.read(self.at(offset), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromBytes;

    use parallax_trace::spec::RAM_BASE;

    use super::*;

    fn ram() -> MappedRam {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        MappedRam::new(&file, 1 << 20).unwrap()
    }

    #[test]
    fn what_is_put_in_is_what_the_test_host_reads() {
        let (ram, mailbox) = (ram(), MailboxAt(RAM_BASE.wrapping_add(0x1000)));
        let request = Request { cpu: 1, op: 2, args: [3; 7] };
        mailbox.put(&ram, &[Request::default(), request]).unwrap();
        let mut bytes = vec![0; size_of::<Mailbox>()];
        ram.read(RAM_BASE.wrapping_add(0x1000), &mut bytes).unwrap();
        let seen = Mailbox::read_from_bytes(&bytes).unwrap();
        assert_eq!((seen.count, seen.slots[1].request), (2, request));
    }

    #[test]
    fn unanswered_requests_are_no_responses() {
        let (ram, mailbox) = (ram(), MailboxAt(RAM_BASE));
        mailbox.put(&ram, &[Request::default()]).unwrap();
        assert!(matches!(mailbox.responses(&ram, 1), Err(MachineError::Contract(_))));
        ram.write(mailbox.at(offset_of!(Mailbox, count)), &[0; 8]).unwrap();
        assert_eq!(mailbox.responses(&ram, 1).unwrap(), [Response::default()]);
    }

    #[test]
    fn a_mailbox_of_another_version_is_refused() {
        let (ram, mailbox) = (ram(), MailboxAt(RAM_BASE));
        assert!(mailbox.check(&ram).is_err());
        ram.write(RAM_BASE, &MAGIC.to_le_bytes()).unwrap();
        ram.write(RAM_BASE.wrapping_add(8), &VERSION.to_le_bytes()).unwrap();
        assert!(mailbox.check(&ram).is_ok());
        ram.write(RAM_BASE.wrapping_add(8), &(VERSION + 1).to_le_bytes()).unwrap();
        assert!(mailbox.check(&ram).unwrap_err().to_string().contains("version"));
    }
}
