//! Operations of the hypervisor while that Linux works: pages lent, given away and taken back, and a device's DMA to them.
//!
//! The pages are the last of RAM, which the kernel is told not to use (`mem=`). A round is a trace that takes one of them
//! through its states; after each change the device writes to the page, and the page must have, or must not have, what it
//! wrote.

use std::fmt;

use parallax_addr::PAGE_SIZE;
use parallax_engine::{Session, SessionError, Step};
use parallax_machine::{EDU_STREAM, KEPT};
use parallax_ops::Outcome;
use parallax_trace::spec::RAM_BASE;
use parallax_trace::{Op, Trace};

/// Pages that are gone through in turn.
const PAGES: u64 = 64;

/// A round, as a trace. The page is the host's before and after.
const ROUND: &str = "\
dma_write sid={sid} ipa={ipa} len=16 value={value}4
host_share_hyp pfn={pfn} => ok
dma_write sid={sid} ipa={ipa} len=16 value={value}1 => ok
host_share_hyp pfn={pfn} => EPERM
host_donate_hyp pfn={pfn} => EPERM
hyp_pin_shared_mem pfn={pfn} => ok
host_unshare_hyp pfn={pfn} => EBUSY
hyp_unpin_shared_mem pfn={pfn} => ok
host_unshare_hyp pfn={pfn} => ok
host_donate_hyp pfn={pfn} => ok
dma_write sid={sid} ipa={ipa} len=16 value={value}2 => abort
host_donate_hyp pfn={pfn} => EPERM
host_share_hyp pfn={pfn} => EPERM
hyp_donate_host pfn={pfn} => ok
dma_write sid={sid} ipa={ipa} len=16 value={value}3 => ok
";

/// What was done, and what of it went wrong.
#[derive(Debug, Default)]
pub struct Operations {
    /// Rounds still to do.
    pub left: u32,
    rounds: u32,
    calls: usize,
    landed: usize,
    failed: usize,
    events: u64,
    /// Operations after which something was found.
    wrong: usize,
}

impl Operations {
    /// `rounds` of them, to be done.
    #[must_use]
    pub fn new(rounds: u32) -> Self {
        Self { left: rounds, ..Self::default() }
    }

    /// All were done, and nothing went wrong.
    #[must_use]
    pub fn good(&self) -> bool {
        self.left == 0 && self.wrong == 0
    }

    /// Does a round, if the device is there yet. Calls `look` after each operation, with its name and what it did.
    pub(crate) fn round(
        &mut self,
        session: &mut Session<'_>,
        mut look: impl FnMut(&str, &Step),
    ) -> Result<(), SessionError> {
        let mem = session.machine().target().description.config.mem_bytes;
        let trace = round(self.rounds, RAM_BASE.get() + mem - KEPT);
        for op in &trace {
            let step = session.step(op)?;
            if step.outcome == Outcome::NoDevice {
                return Ok(());
            }
            self.count(op, &step);
            look(&format!("round {}, {op}", self.rounds), &step);
        }
        self.rounds += 1;
        self.left -= 1;
        Ok(())
    }

    fn count(&mut self, op: &Op, step: &Step) {
        if op.shape().is_device() && op.expect.is_none() {
            // Whether the device is there.
        } else if op.shape().is_device() {
            self.landed += usize::from(matches!(step.outcome, Outcome::Ok { .. }));
            self.failed += usize::from(step.outcome == Outcome::Abort);
            self.events += step.answer.events.map_or(0, |events| events.count);
        } else {
            self.calls += 1;
        }
        self.wrong += usize::from(!step.findings.is_empty());
    }
}

/// Round `number` in the pages from `kept` on. No byte that the device writes is 0.
fn round(number: u32, kept: u64) -> Vec<Op> {
    let page = kept + u64::from(number) % PAGES * PAGE_SIZE;
    let value = format!("0x{:03x}1111111111{:02x}", number % 0xeee + 0x111, number % 0xee + 0x11);
    let names = [
        ("{sid}", EDU_STREAM.to_string()),
        ("{ipa}", format!("{page:#x}")),
        ("{pfn}", format!("{:#x}", page / PAGE_SIZE)),
        ("{value}", value),
    ];
    let text = names.iter().fold(ROUND.to_owned(), |text, (name, value)| text.replace(name, value));
    Trace::parse("round", &text).expect("a round is a trace").ops
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rounds == 0 && self.left == 0 {
            return Ok(());
        }
        let Self { rounds, calls, landed, failed, events, .. } = self;
        writeln!(
            f,
            "  {rounds} rounds of operations: {calls} hypercalls; DMA to their pages arrived {landed} times, failed \
             {failed} times; {events} events read"
        )?;
        if self.left != 0 {
            writeln!(
                f,
                "  FAILED  the guest was done before {} more rounds; a larger --io keeps it longer",
                self.left
            )?;
        }
        match self.wrong {
            0 => Ok(()),
            wrong => writeln!(f, "  FAILED  {wrong} of them came out wrong: see the findings"),
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_ops::{DmaAccess, Operation};

    use super::*;

    #[test]
    fn a_round_is_a_trace_whose_values_change_with_the_round() {
        let values = |number| {
            let values: Vec<String> = round(number, 0x7fe0_0000)
                .iter()
                .filter_map(|op| op.arg("value"))
                .map(ToString::to_string)
                .collect();
            values
        };
        for number in [0, 1, 63, 64, 0xeed, 0xeee, u32::MAX] {
            let ops = round(number, 0x7fe0_0000);
            let calls = ops.iter().filter(|op| op.shape().call().is_some()).count();
            assert_eq!((ops.len(), calls), (15, 11), "{number}");
            let map = parallax_model::AddressMap::default();
            for op in &ops {
                if let Operation::Dma(DmaAccess::Write { value, .. }) = op.operation(&map).unwrap() {
                    assert!(value.to_le_bytes().iter().all(|byte| *byte != 0), "{value:#x}");
                }
            }
        }
        assert_ne!(values(0), values(1));
    }

    #[test]
    fn a_round_that_was_not_done_is_not_good() {
        assert!(Operations::new(0).good());
        assert!(!Operations::new(1).good());
        let wrong = Operations { wrong: 1, ..Operations::new(0) };
        assert!(!wrong.good());
    }
}
