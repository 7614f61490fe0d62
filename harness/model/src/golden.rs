//! The golden text of a run: per operation its result, what changed, and what was found.
//!
//! ```text
//! 4: host_donate_hyp pfn=ram+0x20 nr=4 -> ok
//!    cpu  ram+0x20000..+0x24000   - RWX normal 4K
//!    cpu  ram+0x20000..+0x24000   + annotated hyp
//!    ! sync/extra smmu ram+0x20000..+0x24000: … [cpu: annotated hyp; smmu: RW normal 4K]
//! ```
//! Operations that were performed at once have a line before them, `together` and their schedule.
//! Nothing else is in it: no dates, versions, paths or times.

use std::fmt::Write as _;

use crate::canonical::Line;
use crate::finding::Finding;
use crate::golden_line::{BOOT, FINDING, INDENT, TOGETHER};

/// Collects the text of one run.
#[derive(Clone, Debug, Default)]
pub struct Golden {
    text: String,
    findings: usize,
    /// The first operation with findings, and they, in lines.
    first: Option<String>,
}

impl Golden {
    /// What is found before the first operation, in the state after boot.
    pub fn boot(&mut self, findings: &[Finding]) {
        if !findings.is_empty() {
            let _infallible = writeln!(self.text, "{BOOT}");
            self.findings(BOOT, findings);
        }
    }

    /// The operations that follow were performed at once, as `schedule` says.
    pub fn together(&mut self, schedule: &str) {
        let _infallible = writeln!(self.text, "{}", format!("{TOGETHER} {schedule}").trim_end());
    }

    /// One operation: its line number in the trace, its canonical text and its result; the lines of its change (or
    /// of the state, for an operation that asks for it); and what the checks found after it.
    pub fn operation(
        &mut self,
        number: usize,
        operation: &str,
        result: &str,
        lines: &[Line],
        findings: &[Finding],
    ) {
        let _infallible = writeln!(self.text, "{number}: {operation} -> {result}");
        for line in lines {
            self.text.push_str(INDENT);
            let _infallible = line.put(&mut self.text);
            self.text.push('\n');
        }
        if !findings.is_empty() {
            self.findings(&format!("{number}: {operation} -> {result}"), findings);
        }
    }

    fn findings(&mut self, operation: &str, findings: &[Finding]) {
        let lines: String = findings.iter().map(|finding| format!("{FINDING}{finding}\n")).collect();
        self.text.push_str(&lines);
        if !findings.is_empty() && self.first.is_none() {
            self.first = Some(format!("{operation}\n{}", lines.trim_end()));
        }
        self.findings += findings.len();
    }

    /// How many findings the text holds.
    #[must_use]
    pub const fn finding_count(&self) -> usize {
        self.findings
    }

    /// The first operation with findings, and they, in lines.
    #[must_use]
    pub fn first_finding(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// The text so far; every line ends with a line feed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::check;
    use crate::delta::Delta;
    use crate::lane::View;
    use crate::leaf::S2Entry;
    use crate::testing::*;

    #[test]
    fn a_run_reads_as_in_the_design() {
        let (before, mut after) = (clean(), donated());
        set(smmu_entries(&mut after), PAGE, Some(S2Entry::Mapped(MEMORY)));
        let lines = Delta::between(&before, &after).lines(&context().symbols, View::Cpu);
        let mut golden = Golden::default();
        golden.boot(&check(&before, &context()));
        golden.operation(2, "host_share_hyp pfn=ram+0x10", "EPERM", &[], &[]);
        golden.operation(3, "host_donate_hyp pfn=ram+0x800", "ok", &lines, &check(&after, &context()));
        assert_eq!(golden.finding_count(), 1);
        let first = golden.first_finding().expect("one");
        assert!(first.starts_with("3: host_donate_hyp pfn=ram+0x800 -> ok\n   ! sync/extra "), "{first}");
        assert_eq!(Golden::default().first_finding(), None);
        assert_eq!(
            golden.text(),
            "2: host_share_hyp pfn=ram+0x10 -> EPERM\n\
             3: host_donate_hyp pfn=ram+0x800 -> ok\n   \
             cpu  ram+0x800000..+0x801000   - RWX normal 4K\n   \
             cpu  ram+0x800000..+0x801000   + annotated hyp\n   \
             ! sync/extra smmu ram+0x800000..+0x801000: devices reach what the host's table gives to another \
             [cpu: annotated hyp; smmu: RW normal 4K; page: host=NOPAGE hyp=OWNED]\n"
        );
    }

    #[test]
    fn what_was_performed_at_once_has_its_schedule_before_it() {
        let mut golden = Golden::default();
        golden.together("011");
        golden.operation(2, "nop", "ok", &[], &[]);
        golden.together("");
        assert_eq!(golden.text(), "together 011\n2: nop -> ok\ntogether\n");
    }

    #[test]
    fn what_boot_left_wrong_comes_first() {
        let mut state = clean();
        set(smmu_entries(&mut state), PAGE, None);
        let mut golden = Golden::default();
        golden.boot(&check(&state, &context()));
        assert!(golden.text().starts_with("boot\n   ! sync/missing smmu ram+0x800000..+0x801000: "));
    }
}
