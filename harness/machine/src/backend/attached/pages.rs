//! Memory of the machine, page by page: from the file behind it where that is known, else by the gdbstub.
//!
//! A gdbstub that refuses an address says that no memory is there, and a walk may make something of that. A connection that ends, falls
//! silent or says something else is nothing that a table did: the first such failure is kept, nothing is read after it, and
//! [`Attached::complete`] gives it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::{MemError, PhysMem};

use super::{Attached, failed};
use crate::backend::beside::Ram;
use crate::error::MachineError;
use crate::rsp::RspError;

/// Bytes that are asked for at once.
const PART: usize = 2048;
/// Pages that are read, at most: tables that map 8 GiB page by page, and half a gigabyte here.
const MOST_PAGES: usize = 1 << 12;

/// What was read.
#[derive(Default)]
pub(super) struct Pages {
    /// By address; none where there is no memory. At most [`MOST_PAGES`].
    read: RefCell<BTreeMap<PhysAddr, Option<Box<[u8]>>>>,
    /// The first failure of the connection.
    broken: RefCell<Option<MachineError>>,
    /// The file behind memory, if that is known.
    pub(super) file: Option<File>,
}

/// The file behind memory.
pub(super) struct File {
    ram: Ram,
    /// Nobody named it: where it is another one, the gdbstub is asked.
    guessed: bool,
    /// Whether a page of it was the same by the gdbstub. One that holds zeros says nothing.
    same: Cell<Option<bool>>,
    /// Pages that were read from it.
    inside: Cell<usize>,
    /// Pages with memory that are not in it.
    outside: Cell<usize>,
}

impl File {
    pub(super) fn new(ram: Ram, guessed: bool) -> Self {
        Self { ram, guessed, same: Cell::new(None), inside: Cell::new(0), outside: Cell::new(0) }
    }
}

impl Pages {
    /// Forgets what was read: the machine may have run since.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn count(pages: &Cell<usize>) {
    pages.set(pages.get() + 1);
}

impl Attached {
    /// Whether all that was asked for was read.
    ///
    /// # Errors
    /// The user ended it, the connection failed, the file of memory holds other bytes, or there was more than is read.
    pub fn complete(&self) -> Result<(), MachineError> {
        if self.cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        if let Some(error) = self.pages.broken.take() {
            return Err(error);
        }
        if self.pages.file.as_ref().is_some_and(|file| !file.guessed && file.same.get() == Some(false)) {
            let text = "the file of --ram holds other bytes than the machine's memory: is it that of its memory-backend-file, with share=on, and where does it begin (FILE@ADDRESS)?";
            return Err(MachineError::Contract(text.to_owned()));
        }
        if self.pages.read.borrow().len() >= MOST_PAGES {
            let text = format!("its tables are more than {MOST_PAGES} pages, and no more are read");
            return Err(MachineError::Contract(text));
        }
        Ok(())
    }

    /// How many pages came from the file of [`Self::read_ram_from`], and how many with memory are not in it; nothing without one.
    #[must_use]
    pub fn from_file(&self) -> Option<(usize, usize)> {
        let file = self.pages.file.as_ref().filter(|file| !file.guessed)?;
        Some((file.inside.get(), file.outside.get()))
    }

    /// The page at `pa`; nothing if there is no memory.
    fn page(&self, pa: PhysAddr) -> Option<Box<[u8]>> {
        let usable = |file: &&File| !(file.guessed && file.same.get() == Some(false));
        let Some(file) = self.pages.file.as_ref().filter(usable) else { return self.page_by_gdb(pa) };
        let Some(page) = file.ram.page(pa) else {
            let page = self.page_by_gdb(pa);
            page.iter().for_each(|_| count(&file.outside));
            return page;
        };
        count(&file.inside);
        if file.same.get().is_none() {
            let by_gdb = self.page_by_gdb(pa);
            let same = by_gdb.as_ref() == Some(&page);
            if !same || page.iter().any(|byte| *byte != 0) {
                file.same.set(Some(same));
            }
            return if file.guessed { by_gdb } else { Some(page) };
        }
        Some(page)
    }

    /// The same by the gdbstub.
    fn page_by_gdb(&self, pa: PhysAddr) -> Option<Box<[u8]>> {
        let mut client = self.client.borrow_mut();
        let parts = (0..PAGE_SIZE as usize).step_by(PART);
        let read = async {
            let mut bytes = Vec::with_capacity(PAGE_SIZE as usize);
            for part in parts {
                bytes.extend(client.read_memory(pa.get() + part as u64, PART).await?);
            }
            Ok(bytes.into_boxed_slice())
        };
        match self.runtime.block_on(read) {
            Ok(page) => Some(page),
            Err(RspError::Refused { reply, .. }) if is_refusal(&reply) => None,
            Err(error) => {
                let error = failed(error, &format!("the page at {pa:#x} was read"));
                self.pages.broken.borrow_mut().get_or_insert(error);
                None
            }
        }
    }
}

/// Whether `reply` is a gdbstub's error: `E` and two digits.
fn is_refusal(reply: &str) -> bool {
    reply.strip_prefix('E').is_some_and(|code| code.len() == 2 && u8::from_str_radix(code, 16).is_ok())
}

impl PhysMem for Attached {
    fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), MemError> {
        let error = MemError { pa, len: buf.len() };
        let mut at = pa;
        let mut rest = buf;
        while !rest.is_empty() {
            let mut pages = self.pages.read.borrow_mut();
            let full = pages.len() >= MOST_PAGES && !pages.contains_key(&at.page());
            if full || self.cancel.is_cancelled() || self.pages.broken.borrow().is_some() {
                return Err(error);
            }
            let page = pages.entry(at.page()).or_insert_with(|| self.page(at.page()));
            let bytes = page.as_ref().and_then(|page| page.get(at.offset() as usize..)).ok_or(error)?;
            let len = bytes.len().min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&bytes[..len]);
            (at, rest) = (at.checked_add(len as u64).ok_or(error)?, later);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_gdbstub_is_told_from_a_short_answer() {
        assert!(is_refusal("E01") && is_refusal("E14"));
        for reply in ["", "E", "E1", "E0100", "e01", "OK", "00", "T05", "Ezz", "-"] {
            assert!(!is_refusal(reply), "{reply}");
        }
    }
}
