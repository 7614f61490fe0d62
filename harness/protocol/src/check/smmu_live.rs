//! Memory that the SMMU uses, from when CR0 says so until CR0ACK tells that it does no more (IHI 0070, 6.3.9 and 6.3.10).

use parallax_addr::{PAGE_SIZE, PhysAddr};

use super::bases::overlaps;
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;

/// Bits of CR0 and CR0ACK.
const SMMUEN: u32 = 1;
const EVENTQEN: u32 = 1 << 2;
const CMDQEN: u32 = 1 << 3;
/// Bytes of a record of the event queue.
const RECORD: u64 = 32;
/// EVENTQ_BASE.ADDR, bits 51:5, and LOG2SIZE.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
const LOG2SIZE: u64 = 0x1f;

/// Which of its parts may be in use.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// CR0 as it was last written.
    asked: u32,
    /// Bits that are set there, or were and have not been seen clear in CR0ACK since.
    in_use: u32,
    /// EVENTQEN is clear in CR0, and was seen clear in CR0ACK since.
    left_events: bool,
}

impl Live {
    /// Whether it may write events.
    pub(super) const fn has_events(&self) -> bool {
        self.in_use & EVENTQEN != 0
    }

    /// Whether it writes no events, and what EVENTQ_BASE names is memory as any other.
    pub(super) const fn has_left_events(&self) -> bool {
        self.left_events
    }

    /// CR0 is written.
    pub(super) const fn asked(&mut self, cr0: u32) {
        self.asked = cr0;
        self.left_events &= cr0 & EVENTQEN == 0;
        self.in_use |= cr0;
    }

    /// CR0ACK is read.
    pub(super) const fn told(&mut self, cr0ack: u32) {
        self.in_use = self.asked | self.in_use & cr0ack;
        self.left_events |= (self.asked | cr0ack) & EVENTQEN == 0;
    }
}

impl Checker {
    /// A base of the SMMU is written: what uses it is off, and has been seen off.
    pub(super) fn base_written(&mut self, at: Site, offset: u32) {
        let (name, bit) = match offset & !7 {
            0x80 | 0x88 => ("STRTAB_BASE", SMMUEN),
            0x90 => ("CMDQ_BASE", CMDQEN),
            0xa0 => ("EVENTQ_BASE", EVENTQEN),
            _ => return,
        };
        if self.smmu.live.in_use & bit == 0 {
            return;
        }
        let what = "is written while the SMMU uses it".to_owned();
        let missing = "CR0ACK read with its enable bit 0, or the write before that is set in CR0".to_owned();
        self.report(Rule::SmmuLiveBase, Subject::Register(name), at, None, what, missing);
    }

    /// The page at physical address `memory` is given back to the host: the SMMU writes no events there.
    pub(super) fn event_page_returned(&mut self, at: Site, memory: u64) {
        let base = self.smmu.eventq_base;
        let queue = (base & ADDRESS, RECORD << (base & LOG2SIZE).min(19));
        if !self.smmu.live.has_events() || !overlaps(Some(queue), (memory, PAGE_SIZE)) {
            return;
        }
        let subject = Subject::Memory { pa: PhysAddr::new(memory) };
        let what = "given back to the host: it is of the SMMU's event queue".to_owned();
        let missing = "CR0ACK read with EVENTQEN = 0".to_owned();
        self.report(Rule::SmmuReturned, subject, at, None, what, missing);
    }
}
