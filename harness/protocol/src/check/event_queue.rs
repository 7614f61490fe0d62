//! The SMMU's event queue: a record is read after the index that tells of it (IHI 0070, 3.5.2; DDI 0487, B2.3).

use parallax_addr::PhysAddr;

use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;

/// EVENTQ_PROD, in register page 1, and where it stands in page 0 for an SMMU without one.
pub(super) const EVENTQ_PROD: [u32; 2] = [0x1_00a8, 0xa8];
/// EVENTQ_CONS, in the same places.
pub(super) const EVENTQ_CONS: [u32; 2] = [0x1_00ac, 0xac];
/// Base addresses: bits 51:5.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
/// Bytes of a record.
const RECORD: u64 = 32;

impl Checker {
    /// A load at `pa`, which may be of a record.
    pub(super) fn event_read(&mut self, at: Site, pa: u64) {
        let size = RECORD << (self.smmu.eventq_base as u32 & 0x1f).min(19);
        let base = self.smmu.eventq_base & ADDRESS & !(size - 1);
        if base == 0 || pa.wrapping_sub(base) >= size || self.smmu.live.has_left_events() {
            return;
        }
        // A queue of the host's is nothing to EL2: what it reads there is a command or an entry in the same place.
        if self.areas.events.is_some_and(|(own, size)| pa.wrapping_sub(own) >= size) {
            return;
        }
        let time = self.time;
        let cpu = self.cpus.of(at.cpu);
        cpu.event_read = Some((time, at));
        let (since, what) = match cpu.eventq_prod {
            Some((read, _)) if cpu.loads_ordered > read => return,
            Some((_, since)) => (Some(since), "a record is read, and nothing orders that behind EVENTQ_PROD"),
            None => (None, "a record is read, and EVENTQ_PROD was not"),
        };
        let missing = "a load of EVENTQ_PROD, then DMB LD (or a DSB for loads), then those of the record";
        let subject = Subject::Page { pa: PhysAddr::new(pa) };
        self.report(Rule::EventUnordered, subject, at, since, what.to_owned(), missing.to_owned());
    }
    /// EVENTQ_CONS is written: the SMMU may write records anew.
    pub(super) fn events_given_back(&mut self, at: Site) {
        let cpu = self.cpus.of(at.cpu);
        let Some((_, since)) = cpu.event_read.take_if(|(read, _)| *read > cpu.loads_ordered) else { return };
        let what = "EVENTQ_CONS is written, and nothing orders that behind the load of a record".to_owned();
        let missing = "DMB (or a DSB for loads) between the loads of the record and the store to EVENTQ_CONS"
            .to_owned();
        let subject = Subject::Register("SMMU_EVENTQ_CONS");
        self.report(Rule::EventUnordered, subject, at, Some(since), what, missing);
    }
}
