//! The machines of a run: options that are there on purpose, and how many operations each machine performs.

use parallax_abi::fault::Fault;
use parallax_trace::Trace;
use parallax_trace::spec::MachineSpec;

use crate::random::Random;

/// Operations of a machine, as long as each kind of machine was not there once.
pub const MACHINE_OPS: u64 = 4096;
/// Operations of a machine after that: booting takes as long as some 8,000 of them.
const LATER_OPS: u64 = 16 * MACHINE_OPS;
/// The same of a machine that stops at every few of them: most of the time would be its own.
const SLOW_OPS: u64 = MACHINE_OPS / 4;
/// Operations of a machine that pins a page as often as can be counted: more than 65,535.
const PINS_OPS: u64 = 18 * MACHINE_OPS;

/// What a machine does more of than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Nothing,
    /// Pins in a row, of pages that the host's own SMMU holds.
    Pins,
    /// What no driver would do.
    Hostile,
    /// The ITS and the redistributors.
    Interrupts,
    /// What a driver in order does, with the result that it must have; nobody else touches its memory.
    Scenes,
    /// The same, as far as it needs no stream, with all StreamIDs that there are.
    Wide,
    /// The same, of queues and tables in memory that is no-map.
    NoMap,
    /// The same, with as much held at once as there can be.
    Full,
    /// The same, of queues and tables for which EL2 has no table of its own left.
    NoTable,
    /// The same, of what one access leaves to the next.
    Left,
    /// The same, above an SMMU that refuses commands.
    Failed,
    /// What a driver in order does with the ITS and a redistributor, and little else.
    Its,
}

impl Special {
    /// Whether a driver in order has the host's own SMMU to itself.
    pub(super) const fn has_scenes(self) -> bool {
        !matches!(self, Self::Nothing | Self::Pins | Self::Hostile | Self::Interrupts)
    }

    /// Whether it does little but scenes, which are short.
    pub(super) const fn is_short(self) -> bool {
        self.has_scenes() && !matches!(self, Self::Scenes)
    }
}

/// How many there are in turn.
pub(super) const COUNT: u64 = MACHINES.len() as u64;

/// The machines, in turn: what follows the word `machine` in a trace. CPUs and StreamIDs come on top.
const MACHINES: [(&str, Special); 29] = [
    ("devices=edu@1,edu@2", Special::Nothing),
    ("smmu.host=emulated devices=edu@1,edu@2", Special::Nothing),
    ("smmu=shared devices=edu@1,edu@2", Special::Nothing),
    ("smmu.host=emulated devices=edu@1,edu@2", Special::Hostile),
    ("el2_free_pages=3 devices=edu@1,edu@2", Special::Nothing),
    ("host_s2_pages=16 donate_mmio=mmio:rtc,0xbdff000,0xbe00000 devices=edu@1,edu@2", Special::Nothing),
    ("smmu.host=emulated smmu.sid_bits=9 devices=edu@1,edu@2,edu@bus1", Special::Scenes),
    ("smmu.sid_bits=12 devices=edu@1,edu@2", Special::Interrupts),
    ("mem=5G donate_mmio=mmio:rtc devices=edu@1,edu@2", Special::Nothing),
    ("firmware=dirty devices=edu@1,edu@2", Special::Nothing),
    ("firmware=dirty devices=edu@1,edu@2", Special::Hostile),
    ("smmu.map=pages smmu.mmio=prot donate_mmio=mmio:rtc,0x9070000 devices=edu@1,edu@2", Special::Nothing),
    ("dtb=traces/trees/reserved.dts", Special::Nothing),
    ("smmu=shared host_s2_pages=51 donate_mmio=mmio:rtc devices=edu@1,edu@2", Special::Nothing),
    ("cpu=cortex-a53 devices=edu@1,edu@2", Special::Nothing),
    ("smmu.fails=refuses devices=edu@1,edu@2", Special::Nothing),
    ("dtb=traces/trees/soc.dts", Special::Nothing),
    ("dtb=traces/trees/initrd.dts", Special::Nothing),
    ("smmu=shared smmu.host=emulated devices=edu@1,edu@2", Special::Nothing),
    ("smmu=off mem=2G devices=edu@1,edu@2", Special::Nothing),
    ("mem=5G el2_free_pages=7 smmu.mmio=cacheable devices=edu@1,edu@2", Special::Nothing),
    ("dtb=traces/trees/reserved.dts smmu.host=emulated", Special::NoMap),
    ("cpus=8 smmu.host=emulated smmu.sid_bits=8 devices=edu@1,edu@2", Special::Full),
    ("smmu.host=emulated smmu.sid_bits=16 devices=edu@1,edu@2", Special::Wide),
    ("smmu.host=emulated el2_free_pages=1 devices=edu@1,edu@2", Special::NoTable),
    ("firmware=dirty smmu.host=emulated smmu.sid_bits=12 devices=edu@1,edu@2", Special::Left),
    ("smmu.fails=refuses smmu.host=emulated devices=edu@1,edu@2", Special::Failed),
    ("smmu.sid_bits=8 devices=edu@1,edu@2", Special::Its),
    ("smmu.host=emulated devices=edu@1,edu@2", Special::Pins),
];

const DOUBLE_FETCH: &str = "protocol/double-fetch";
const WRITTEN: &str = "access/data-written";
const READ: &str = "access/data-read";
const STALE: &str = "access/stale";
const KEPT: &str = "access/data-refused";

/// Device trees that machines have, by the name that their lines have.
pub(super) const TREES: [(&str, &str); 3] = [
    (RESERVED, include_str!("../../../../traces/trees/reserved.dts")),
    ("traces/trees/soc.dts", include_str!("../../../../traces/trees/soc.dts")),
    ("traces/trees/initrd.dts", include_str!("../../../../traces/trees/initrd.dts")),
];
/// The one with memory that is no-map.
const RESERVED: &str = "traces/trees/reserved.dts";
/// The first frame, from memory's, of what that tree calls no-map.
const NO_MAP: u64 = 0x6000;

/// The frame of a border of 2 MiB between devices: in some machines the hypervisor took the page in front of it and the one behind it.
pub(super) const HOLE: u64 = 0xbe00;

/// A machine of a run.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) spec: MachineSpec,
    pub(super) special: Special,
}

impl Drawn {
    /// Machine number `index` of all, on a hypervisor with `fault`; `random` decides what the table does not.
    pub(super) fn of(index: u64, fault: Option<Fault>, random: &mut Random) -> Self {
        let (keys, special) = MACHINES[place(index)];
        let cpus = match special {
            _ if keys.contains("dtb=") => 1,
            // There are commands that lead from one redistributor to another.
            Special::Interrupts => random.weighted(&[(3, 2), (1, 3), (1, 4)]),
            _ => random.weighted(&[(3, 1), (3, 2), (1, 3), (1, 4)]),
        };
        let bits = random.weighted(&[(6, 8), (2, 4), (1, 3), (1, 16)]);
        // With 16 bits each change of CR0.SMMUEN takes some hundred accesses, which one machine has on purpose.
        let bits = if keys.contains("smmu.host=emulated") { bits.min(9) } else { bits };
        let bits = if keys.contains("sid_bits=") { String::new() } else { format!(" smmu.sid_bits={bits}") };
        let cpus = if keys.contains("cpus=") { String::new() } else { format!(" cpus={cpus}") };
        let line = format!("machine {keys}{cpus}{bits}\nnop\n");
        let mut machine =
            Trace::parse("fuzz", &line).expect("the machines of this module are well formed").machine;
        if let Some(tree) = &mut machine.tree {
            let known = TREES.iter().find(|(name, _)| *name == tree.name);
            let (_, source) = known.expect("the trees of this module are there");
            (*source).clone_into(&mut tree.source);
        }
        Self::on(machine, fault, special)
    }

    /// The machine `spec`, with its device tree, on a hypervisor with `fault`.
    pub(super) const fn on(mut spec: MachineSpec, fault: Option<Fault>, special: Special) -> Self {
        spec.hyp.fault = fault;
        spec.faults_build = fault.is_some();
        Self { spec, special }
    }

    /// How many operations it performs as machine number `index`: fewer where each takes long, on many CPUs or with much memory.
    pub(super) fn operations(&self, index: u64) -> u64 {
        let all = operations(index, self.special);
        let slow = self.spec.cpus > 4 || self.spec.mem_bytes > 4 << 30;
        if slow { all.min(4 * MACHINE_OPS) } else { all }
    }

    /// Rules that say nothing of this machine. A hostile host may lay its structures over each other, so that one memory is read
    /// for two reasons, or an entry where records are written, and may send a device's access elsewhere by a stage 1 of its own; with an SMMU of its own it may also have no
    /// place for the records of refused accesses, or one that a device is refused just then.
    pub(super) fn quiet(&self) -> &'static [&'static str] {
        let own = self.spec.hyp.smmu_host == parallax_trace::spec::HostView::Emulated;
        match self.special {
            Special::Hostile if own => &[DOUBLE_FETCH, WRITTEN, READ, STALE, KEPT],
            Special::Hostile | Special::Interrupts => &[DOUBLE_FETCH, WRITTEN, READ],
            _ => &[],
        }
    }

    /// Whether the hypervisor took MMIO on both sides of [`HOLE`].
    pub(super) fn has_hole(&self) -> bool {
        self.spec.hyp.donate_mmio.contains(&(HOLE << 12))
    }

    /// Where memory begins that its device tree calls no-map.
    pub(super) fn no_map(&self) -> Option<u64> {
        self.spec.tree.as_ref().filter(|tree| tree.name == RESERVED).map(|_| NO_MAP)
    }
}

/// The place in [`MACHINES`] of machine number `index`.
const fn place(index: u64) -> usize {
    (index % COUNT) as usize
}

/// Whether machine number `index` is one that does a single thing, for long.
pub(super) const fn is_long(index: u64) -> bool {
    matches!(MACHINES[place(index)].1, Special::Pins)
}

/// Operations of machine number `index`, which does more of something `special`.
pub(super) const fn operations(index: u64, special: Special) -> u64 {
    match special {
        Special::Pins => PINS_OPS,
        _ if index < COUNT && !special.is_short() => MACHINE_OPS,
        Special::Nothing => LATER_OPS,
        _ => SLOW_OPS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::trees;

    #[test]
    fn machines_are_longer_when_each_kind_was_there() {
        let indices = [0, 3, COUNT - 2, COUNT - 1, COUNT, COUNT + 3, 2 * COUNT - 1];
        let sizes = indices.map(|index| operations(index, MACHINES[place(index)].1));
        let first = [MACHINE_OPS, MACHINE_OPS, SLOW_OPS, PINS_OPS];
        assert_eq!(sizes, [&first[..], &[LATER_OPS, SLOW_OPS, PINS_OPS]].concat()[..]);
    }

    #[test]
    fn every_machine_is_one_that_can_be_made() {
        for index in 0..100 {
            let drawn = Drawn::of(index, None, &mut Random::new(index, 1));
            drawn.spec.check().unwrap();
            let text = format!("machine {}\nnop\n", drawn.spec.text());
            let mut again = Trace::parse("t", &text).unwrap().machine;
            again.tree = again.tree.map(|tree| trees::named(&tree.name).unwrap());
            assert_eq!(Drawn::on(again, None, drawn.special).spec, drawn.spec, "{text}");
        }
    }
}
