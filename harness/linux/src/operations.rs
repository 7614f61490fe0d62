//! Operations of the hypervisor while that Linux works: pages lent, given away and taken back, and a device's DMA to them.
//!
//! The pages are the last of RAM, which the kernel is told not to use (`mem=`). A round takes one of them through its
//! states; after each change the device writes to the page, and the page must have, or must not have, what it wrote.

use std::fmt;

use parallax_abi::errno::{EBUSY, ENOENT, EPERM};
use parallax_abi::hypercall::{
    FIRST_OWN, HOST_DONATE_HYP, HOST_SHARE_HYP, HOST_UNSHARE_HYP, HYP_DONATE_HOST, HYP_PIN_SHARED_MEM,
    HYP_UNPIN_SHARED_MEM, SMMU_READ_EVENT,
};
use parallax_machine::{Linux, MachineError};
use parallax_model::{Rule, Space, Span, Violation};
use parallax_trace::spec::{HostView, HypOptions, RAM_BASE, SmmuMode};

use crate::edu::{Edu, STREAM};

/// How much of RAM is kept from the kernel, in bytes.
pub const KEPT: u64 = 2 << 20;
const PAGE: u64 = 4096;
/// Pages that are gone through in turn. One more, behind them, is the device's source.
const PAGES: u64 = 64;
/// What a transfer moves, in bytes. Each four of them that are refused are an event.
const COUNT: u64 = 16;
/// More events than transfers of one round can make.
const EVENTS: usize = 100;

/// Who has the page: what becomes of DMA to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dma {
    /// It arrives.
    Lands,
    /// It does not.
    Fails,
    /// It is not tried.
    Untried,
}

/// One call on the page of a round: its name, its number, what it must answer, and what becomes of DMA after it.
type Step = (&'static str, u64, i64, Dma);

/// A round. The page is the host's before and after.
const ROUND: &[Step] = &[
    ("host_share_hyp", HOST_SHARE_HYP, 0, Dma::Lands),
    ("host_share_hyp", HOST_SHARE_HYP, EPERM, Dma::Untried),
    ("host_donate_hyp", HOST_DONATE_HYP, EPERM, Dma::Untried),
    ("hyp_pin_shared_mem", HYP_PIN_SHARED_MEM, 0, Dma::Untried),
    ("host_unshare_hyp", HOST_UNSHARE_HYP, EBUSY, Dma::Untried),
    ("hyp_unpin_shared_mem", HYP_UNPIN_SHARED_MEM, 0, Dma::Untried),
    ("host_unshare_hyp", HOST_UNSHARE_HYP, 0, Dma::Untried),
    ("host_donate_hyp", HOST_DONATE_HYP, 0, Dma::Fails),
    ("host_donate_hyp", HOST_DONATE_HYP, EPERM, Dma::Untried),
    ("host_share_hyp", HOST_SHARE_HYP, EPERM, Dma::Untried),
    ("hyp_donate_host", HYP_DONATE_HOST, 0, Dma::Lands),
];

/// What was done, and what of it went wrong.
#[derive(Debug, Default)]
pub struct Operations {
    /// Rounds still to do.
    pub left: u32,
    rounds: u32,
    calls: usize,
    landed: usize,
    failed: usize,
    events: usize,
    /// What was wrong; the looks have it all.
    wrong: usize,
    edu: Option<Edu>,
}

impl Operations {
    /// `rounds` of them, to be done.
    pub fn new(rounds: u32) -> Self {
        Self { left: rounds, ..Self::default() }
    }

    /// All were done, and nothing went wrong.
    pub fn good(&self) -> bool {
        self.left == 0 && self.wrong == 0
    }

    /// Does a round, if the device is there yet. Calls `look` after each operation, with its name and what was wrong with
    /// it. Nothing when the machine has ended.
    pub fn round(
        &mut self,
        linux: &mut Linux,
        mut look: impl FnMut(&mut Linux, &str, Option<Violation>) -> Result<(), MachineError>,
    ) -> Result<Option<()>, MachineError> {
        if self.edu.is_none() {
            self.edu = Edu::find(linux)?;
        }
        let Some(edu) = self.edu else { return Ok(Some(())) };
        let kept = RAM_BASE + linux.description().config.mem_bytes - KEPT;
        let (source, page) = (kept + PAGES * PAGE, kept + u64::from(self.rounds) % PAGES * PAGE);
        let pattern = pattern(self.rounds);
        ram(linux.write_memory(source, &pattern))?;
        if edu.fetch(linux, source, COUNT)?.is_none() {
            return Ok(None);
        }
        for (name, id, expected, dma) in ROUND {
            let nr: &[u64] = if *id >= FIRST_OWN { &[1] } else { &[] };
            let args = [&[page / PAGE], nr].concat();
            let Some(results) = linux.hypercall(*id, &args, self.calls)? else { return Ok(None) };
            self.calls += 1;
            // SMCCC: x0 tells whether the call is known, x1 what came of it.
            let result = if results[0] == 0 { results[1] as i64 } else { results[0] as i64 };
            let op = format!("round {}, {name} pfn={:#x}", self.rounds, page / PAGE);
            let wrong = (result != *expected).then(|| {
                violation(
                    (Rule::ResultExpected, Space::Cpu),
                    page,
                    format!("expected {expected}, got {result}"),
                )
            });
            self.wrong += usize::from(wrong.is_some());
            look(linux, &op, wrong)?;
            if *dma != Dma::Untried {
                ram(linux.write_memory(page, &[0; COUNT as usize]))?;
                if edu.store(linux, page, COUNT)?.is_none() {
                    return Ok(None);
                }
                if let Some(wrong) = self.judge(linux, page, &pattern, *dma)? {
                    self.wrong += 1;
                    look(linux, &format!("{op}, then DMA to it"), Some(wrong))?;
                }
            }
        }
        let Some(wrong) = self.events(linux, page)? else { return Ok(None) };
        if let Some(message) = wrong {
            self.wrong += 1;
            let op = format!("round {}, what the SMMU says of refused DMA", self.rounds);
            look(linux, &op, Some(violation((Rule::ResultEvents, Space::Smmu), page, message)))?;
        }
        self.rounds += 1;
        self.left -= 1;
        Ok(Some(()))
    }

    /// Takes what the SMMU has to say of the refused transfers. A kernel with an SMMU of its own gets that itself, and prints
    /// it. Gives what was wrong with it; nothing when the machine has ended.
    fn events(&mut self, linux: &mut Linux, page: u64) -> Result<Option<Option<String>>, MachineError> {
        let HypOptions { smmu, smmu_host, .. } = linux.description().config.hyp;
        if smmu == SmmuMode::Off || smmu_host == HostView::Emulated {
            return Ok(Some(None));
        }
        for _ in 0..EVENTS {
            match linux.hypercall(SMMU_READ_EVENT, &[], self.calls)? {
                None => return Ok(None),
                Some([0, 0, dword0, address]) if dword0 >> 32 == STREAM && address & !(PAGE - 1) == page => {
                    self.events += 1;
                }
                Some([0, result, ..]) if result as i64 == ENOENT => return Ok(Some(None)),
                Some(other) => return Ok(Some(Some(format!("not an event of the device: {other:#x?}")))),
            }
        }
        Ok(Some(Some("events without end".to_owned())))
    }

    /// Whether the DMA to `page` came to what it must.
    fn judge(
        &mut self,
        linux: &Linux,
        page: u64,
        pattern: &[u8],
        dma: Dma,
    ) -> Result<Option<Violation>, MachineError> {
        let mut found = vec![0; pattern.len()];
        ram(linux.memory().read(page, &mut found))?;
        let came_to = if found == pattern {
            self.landed += 1;
            Some(Dma::Lands)
        } else if found.iter().all(|byte| *byte == 0) {
            self.failed += 1;
            Some(Dma::Fails)
        } else {
            None
        };
        let (rule, message) = match came_to {
            Some(came_to) if came_to == dma => return Ok(None),
            Some(Dma::Lands) => {
                (Rule::AccessStale, "DMA to the page arrived, which the device must not reach")
            }
            Some(_) => (Rule::AccessRefused, "DMA to the page did not arrive, which the device must reach"),
            None => (Rule::AccessDataWritten, "DMA to the page wrote something else"),
        };
        Ok(Some(violation((rule, Space::Smmu), page, message.to_owned())))
    }
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

/// Something wrong with an operation on `page`.
fn violation((rule, space): (Rule, Space), page: u64, message: String) -> Violation {
    let span = Span::new(page, PAGE);
    let subject = format!("{:#x}..{:#x}", span.base, span.end());
    Violation { rule, space, span, subject, message, function: None }
}

/// What the device writes in round `number`: no byte of it is zero.
fn pattern(number: u32) -> Vec<u8> {
    (0..COUNT).map(|index| ((index + u64::from(number)) % 251) as u8 + 1).collect()
}

fn ram(result: Result<(), parallax_vmsa::MemError>) -> Result<(), MachineError> {
    result.map_err(|error| MachineError::Contract(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_no_zero_and_changes_with_the_round() {
        assert!(pattern(0).iter().all(|byte| *byte != 0));
        assert_ne!(pattern(0), pattern(1));
    }

    #[test]
    fn a_round_that_was_not_done_is_not_good() {
        assert!(Operations::new(0).good());
        assert!(!Operations::new(1).good());
        let wrong = Operations { wrong: 1, ..Operations::new(0) };
        assert!(!wrong.good());
    }
}
