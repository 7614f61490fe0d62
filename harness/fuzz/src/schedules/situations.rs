//! What two CPUs do at once, and what came before.

use super::held;

/// What the machine has, as behind the word `machine` of a trace: its device is the one that a machine has anyway.
pub(super) const PLAIN: &str = "cpus=2";
/// With an SMMU of the host's own.
pub(super) const EMULATED: &str = "cpus=2 smmu.host=emulated";
/// Where the CPUs and the SMMU walk the same tables.
const SHARED: &str = "cpus=2 smmu=shared";

/// Two operations at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// The machine, as behind the word `machine`.
    pub machine: &'static str,
    /// Lines of a trace that come before.
    pub beginning: Vec<&'static str>,
    /// What CPU 0 and CPU 1 do.
    pub pair: [&'static str; 2],
    /// Lines of a trace that come behind: what the two left in the hypervisor alone shows in how they end.
    pub after: Vec<&'static str>,
    /// What is looked for in it.
    pub(super) kind: Kind,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each of the two operations succeeds alone: what one of them has judged, the other one may change.
    Contested,
    /// Any two.
    Any,
    /// A driver of the host's own SMMU takes part.
    Driver,
    /// Memory is lent to hardware, or comes back.
    Held,
    /// Both of the two operations lend memory to hardware, or have it come back.
    HeldTwice,
}

/// States of the page that the pairs begin in, the last one of a block of 2 MiB, and which of [`OPERATIONS`] succeed there, by number.
const BEGINNINGS: [(&[&str], &[usize]); 6] = [
    (&[], &[0, 4, 5, 6, 9]),
    (&["host_read ipa=ram+0x61ff000", "dma_read sid=8 ipa=ram+0x61ff000"], &[0, 4, 5]),
    (&["host_share_hyp pfn=ram+0x61ff"], &[1, 2]),
    (&["host_share_hyp pfn=ram+0x61ff", "hyp_pin_shared_mem pfn=ram+0x61ff"], &[2, 3]),
    (&["host_donate_hyp pfn=ram+0x61ff"], &[7, 10]),
    (&["host_donate_hyp pfn=ram+0x61fe nr=3"], &[7, 8]),
];

/// On this page, on it and a neighbour, on a neighbour in another block.
const OPERATIONS: [&str; 12] = [
    "host_share_hyp pfn=ram+0x61ff",
    "host_unshare_hyp pfn=ram+0x61ff",
    "hyp_pin_shared_mem pfn=ram+0x61ff",
    "hyp_unpin_shared_mem pfn=ram+0x61ff",
    "host_donate_hyp pfn=ram+0x61ff",
    "host_donate_hyp pfn=ram+0x61ff nr=2",
    "host_donate_hyp pfn=ram+0x6200",
    "hyp_donate_host pfn=ram+0x61ff",
    "hyp_donate_host pfn=ram+0x61fe nr=2",
    "host_read ipa=ram+0x61ff000",
    "host_read ipa=ram+0x6200000",
    "dma_read sid=8 ipa=ram+0x61ff000",
];

/// The host's SMMU is on, stream 8 has a bypass of its own, and a command waits.
const SMMU: [&str; 7] = [
    "smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6011000",
    "smmu_write STRTAB_BASE ADDR=ram+0x6014000",
    "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=8",
    "ste at=ram+0x6014200 bypass",
    "smmu_write CR0 SMMUEN CMDQEN",
    "smmu_command at=ram+0x6011000 CFGI_STE StreamID=8 Leaf=1",
    "smmu_command at=ram+0x6011010 SYNC",
];

/// What the SMMU's driver does meanwhile.
const DRIVER: [&str; 5] = [
    "smmu_write CMDQ_PROD 2",
    "smmu_write CR0 CMDQEN",
    "smmu_write CR0 0",
    "smmu_read CMDQ_CONS",
    "smmu_write EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x61ff000",
];

/// What else happens to a page that it uses, or that a device uses.
const BESIDE: [&str; 7] = [
    "host_donate_hyp pfn=ram+0x61ff",
    "host_donate_hyp pfn=ram+0x6011",
    "host_donate_hyp pfn=ram+0x6014",
    "host_unshare_hyp pfn=ram+0x6014",
    "host_share_hyp pfn=ram+0x6014",
    "host_read ipa=ram+0x61ff000",
    "dma_read sid=8 ipa=ram+0x61ff000",
];

/// All situations: on the page, with tables of their own and shared ones, those of the SMMU, and those of memory that hardware uses.
#[must_use]
pub fn situations() -> Vec<Situation> {
    let pairs = (0..OPERATIONS.len())
        .flat_map(|first| OPERATIONS[first..].iter().map(move |second| [OPERATIONS[first], *second]));
    let of = |machine, beginning: &[&'static str], pair, kind| Situation {
        machine,
        beginning: beginning.to_vec(),
        pair,
        after: Vec::new(),
        kind,
    };
    // A device performs one transfer at a time, whoever asks for it.
    let one_device = |pair: &[&str; 2]| pair.iter().all(|operation| operation.starts_with("dma_"));
    let pairs: Vec<[&str; 2]> = pairs.filter(|pair| !one_device(pair)).collect();
    let on_the_page = [PLAIN, SHARED].into_iter().flat_map(|machine| {
        let pairs = &pairs;
        BEGINNINGS.into_iter().flat_map(move |(beginning, succeed)| {
            let contested = move |pair: &[&str; 2]| {
                machine == PLAIN
                    && pair.iter().all(|one| succeed.iter().any(|number| OPERATIONS[*number] == *one))
            };
            let kind = move |pair| if contested(pair) { Kind::Contested } else { Kind::Any };
            pairs.iter().map(move |pair| of(machine, beginning, *pair, kind(pair)))
        })
    });
    let with_a_driver = DRIVER.into_iter().flat_map(|driver| {
        BESIDE.into_iter().map(move |beside| of(EMULATED, &SMMU, [driver, beside], Kind::Driver))
    });
    let on_two_cpus = [DRIVER[0], DRIVER[1], DRIVER[3]]
        .map(|second| of(EMULATED, &SMMU, [DRIVER[0], second], Kind::Driver));
    on_the_page.chain(with_a_driver).chain(on_two_cpus).chain(held::situations()).collect()
}

impl Situation {
    /// The trace in which it happens under `schedule`; `head` comes before the machine's line.
    pub(super) fn trace(&self, head: &str, schedule: &str) -> String {
        let lines = |all: &[&str]| all.iter().map(|line| format!("{line}\n")).collect::<String>();
        let (beginning, after) = (lines(&self.beginning), lines(&self.after));
        let [first, second] = self.pair;
        let space = if schedule.is_empty() { "" } else { " " };
        format!(
            "{head}machine {}\n{beginning}together{space}{schedule}\n{first}\ncpu=1 {second}\nend\n{after}",
            self.machine
        )
    }

    /// What it is, on a line.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} | {}", self.pair[0], self.pair[1])
    }
}

#[cfg(test)]
mod tests {
    use parallax_trace::Trace;

    use super::*;

    #[test]
    fn each_situation_is_a_trace() {
        let all = situations();
        assert_eq!(all.len(), 2 * 6 * 77 + 5 * 7 + 3 + 152);
        for situation in all {
            let text = situation.trace("", "0110");
            let trace = Trace::parse("t", &text).unwrap_or_else(|error| panic!("{error}"));
            let first = &trace.ops[situation.beginning.len()];
            assert_eq!(first.at_once.as_ref().map(|at_once| at_once.count), Some(2), "{text}");
        }
    }
}
