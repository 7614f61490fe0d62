//! Memory that hardware uses: it is lent and pinned when its driver turns something on, and comes back when that is turned off, while
//! another CPU does something with the same page or with other hardware.

use super::situations::{EMULATED, Kind, PLAIN, Situation};

/// Something that uses page `ram+0x6200` while it is on: the first page of a block of 2 MiB.
struct User {
    /// The machine that has it.
    machine: &'static str,
    /// What sets it up.
    set_up: &'static [&'static str],
    /// What turns it on.
    on: &'static str,
    /// What comes when it is on, before it is turned off.
    between: &'static [&'static str],
    /// What turns it off.
    off: &'static str,
    /// Whether devices reach memory then.
    has_devices: bool,
}

/// The command queue of the host's SMMU.
const COMMANDS: User = User {
    machine: EMULATED,
    set_up: &["smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6200000"],
    on: "smmu_write CR0 CMDQEN",
    between: &[],
    off: "smmu_write CR0 0",
    has_devices: false,
};

/// Its event queue.
const EVENTS: User = User {
    set_up: &["smmu_write EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x6200000"],
    on: "smmu_write CR0 EVENTQEN",
    ..COMMANDS
};

/// Its stream table, with a bypass for stream 8.
const STREAMS: User = User {
    set_up: &[
        "smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6011000",
        "smmu_write STRTAB_BASE ADDR=ram+0x6200000",
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=6",
        "ste at=ram+0x6200200 bypass",
    ],
    on: "smmu_write CR0 SMMUEN CMDQEN",
    off: "smmu_write CR0 CMDQEN",
    has_devices: true,
    ..COMMANDS
};

/// The command queue of the ITS: GITS_CBASER and GITS_CTLR.Enabled.
const ITS: User = User {
    machine: PLAIN,
    set_up: &["host_write ipa=mmio:its+0x80 value=0x8000000046200000"],
    on: "host_write ipa=mmio:its size=4 value=1",
    between: &[],
    off: "host_write ipa=mmio:its size=4 value=0",
    has_devices: true,
};

/// The ITT of device 8: GITS_CWRITER has a MAPD performed, with V = 1 and then with V = 0.
const ITT: User = User {
    set_up: &[
        "host_write ipa=mmio:its+0x80 value=0x8000000046010000",
        "host_write ipa=mmio:its size=4 value=1",
        "host_write_pair ipa=ram+0x6010000 value=0x800000008 second=4",
        "host_write_pair ipa=ram+0x6010010 value=0x8000000046200000 second=0",
        "host_write_pair ipa=ram+0x6010020 value=0x800000008 second=0",
        "host_write_pair ipa=ram+0x6010030 value=0 second=0",
    ],
    on: "host_write ipa=mmio:its+0x88 value=0x20",
    off: "host_write ipa=mmio:its+0x88 value=0x40",
    ..ITS
};

/// The same ITT; a new device table, GITS_BASER0, gives it back.
const NEW_TABLE: User = User {
    between: &["host_write ipa=mmio:its size=4 value=0"],
    off: "host_write ipa=mmio:its+0x100 value=0",
    ..ITT
};

/// A redistributor's configuration of LPIs, two pages: GICR_PROPBASER and GICR_CTLR.EnableLPIs. The second redistributor has the same.
const CONFIGURATION: User = User {
    set_up: &[
        "host_write ipa=mmio:gicr+0x70 value=0x4620000d",
        "host_write ipa=mmio:gicr+0x78 value=0x46040000",
        "host_write ipa=mmio:gicr+0x20070 value=0x4620000d",
        "host_write ipa=mmio:gicr+0x20078 value=0x46050000",
    ],
    on: "host_write ipa=mmio:gicr size=4 value=1",
    off: "host_write ipa=mmio:gicr size=4 value=0",
    ..ITS
};

/// Its table of pending LPIs: GICR_PENDBASER.
const PENDING: User = User {
    set_up: &[
        "host_write ipa=mmio:gicr+0x70 value=0x4603000d",
        "host_write ipa=mmio:gicr+0x78 value=0x46200000",
    ],
    ..CONFIGURATION
};

/// All of them that are turned on in ways of their own.
const USERS: [User; 7] = [COMMANDS, EVENTS, STREAMS, ITS, ITT, CONFIGURATION, PENDING];

/// States of the page before something is turned on, and what happens to it meanwhile.
const TURNED_ON: [(&[&str], &[&str]); 3] = [
    (
        &[],
        &[
            "host_share_hyp pfn=ram+0x6200",
            "hyp_pin_shared_mem pfn=ram+0x6200",
            "host_donate_hyp pfn=ram+0x6200",
            "host_donate_hyp pfn=ram+0x61ff nr=2",
            "host_read ipa=ram+0x6200000",
            "dma_read sid=8 ipa=ram+0x6200000",
        ],
    ),
    (
        &["host_share_hyp pfn=ram+0x6200"],
        &["host_unshare_hyp pfn=ram+0x6200", "hyp_pin_shared_mem pfn=ram+0x6200"],
    ),
    (&["host_donate_hyp pfn=ram+0x6200"], &["hyp_donate_host pfn=ram+0x6200"]),
];

/// The same before something is turned off.
const TURNED_OFF: [(&[&str], &[&str]); 2] = [
    (
        &[],
        &[
            "host_share_hyp pfn=ram+0x6200",
            "host_unshare_hyp pfn=ram+0x6200",
            "hyp_pin_shared_mem pfn=ram+0x6200",
            "hyp_unpin_shared_mem pfn=ram+0x6200",
            "host_donate_hyp pfn=ram+0x6200",
            "host_donate_hyp pfn=ram+0x61ff nr=2",
        ],
    ),
    (
        &["hyp_pin_shared_mem pfn=ram+0x6200"],
        &["hyp_unpin_shared_mem pfn=ram+0x6200", "host_unshare_hyp pfn=ram+0x6200"],
    ),
];

/// What comes behind: which ranges are held is in no table, and shows in what may be done with their pages.
const AFTER: [&str; 4] = [
    "host_share_hyp pfn=ram+0x6200",
    "hyp_pin_shared_mem pfn=ram+0x6200",
    "hyp_unpin_shared_mem pfn=ram+0x6200",
    "host_unshare_hyp pfn=ram+0x6200",
];

/// A queue of the SMMU and something of the GIC, which have the page in common or not.
const TWO_USERS: [([User; 2], &[&str]); 4] = [
    ([COMMANDS, ITS], &[]),
    ([COMMANDS, ITS], &["smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6400000"]),
    ([EVENTS, PENDING], &[]),
    ([EVENTS, ITT], &["smmu_write EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x6400000"]),
];

/// What the second redistributor does, beside the first one.
const SECOND: [&str; 2] =
    ["host_write ipa=mmio:gicr+0x20000 size=4 value=1", "host_write ipa=mmio:gicr+0x20000 size=4 value=0"];

impl User {
    /// What leads to it being `on`.
    fn beginning(&self, on: bool) -> Vec<&'static str> {
        let steps = if on { &[&[self.on], self.between].concat()[..] } else { &[] };
        [self.set_up, steps].concat()
    }

    /// What turns it off where it `is_on`, and on where it is not.
    const fn turn(&self, is_on: bool) -> &'static str {
        if is_on { self.off } else { self.on }
    }

    /// It is turned off, where it `is_on`, or on, while something happens to the page, as in `states`.
    fn beside(
        self,
        is_on: bool,
        states: &'static [(&'static [&'static str], &'static [&'static str])],
    ) -> impl Iterator<Item = Situation> {
        let reaches = move |other: &&&str| self.has_devices || !other.starts_with("dma_");
        let (machine, turn, beginning) = (self.machine, self.turn(is_on), self.beginning(is_on));
        states.iter().flat_map(move |(state, others)| {
            let beginning = [&beginning[..], state].concat();
            let of = move |other: &&'static str| held(machine, beginning.clone(), [turn, other]);
            others.iter().filter(reaches).map(of)
        })
    }
}

fn held(machine: &'static str, beginning: Vec<&'static str>, pair: [&'static str; 2]) -> Situation {
    Situation { machine, beginning, pair, after: AFTER.to_vec(), kind: Kind::Held }
}

/// Whether each of two is on.
const ON_OR_OFF: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

/// Two users, each of which is turned on or off.
fn two_users() -> impl Iterator<Item = Situation> {
    TWO_USERS.into_iter().flat_map(|([first, second], moved)| {
        ON_OR_OFF.into_iter().map(move |[first_on, second_on]| {
            let set_up = [first.set_up, moved].concat();
            let beginning =
                [&set_up[..], &first.beginning(first_on)[first.set_up.len()..], &second.beginning(second_on)];
            held(EMULATED, beginning.concat(), [first.turn(first_on), second.turn(second_on)])
        })
    })
}

/// Two redistributors with one configuration.
fn two_redistributors() -> impl Iterator<Item = Situation> {
    ON_OR_OFF.into_iter().map(|[first_on, second_on]| {
        let second = if second_on { &SECOND[..1] } else { &[] };
        let beginning = [&CONFIGURATION.beginning(first_on)[..], second].concat();
        held(PLAIN, beginning, [CONFIGURATION.turn(first_on), SECOND[usize::from(second_on)]])
    })
}

/// Two CPUs drive the same hardware.
fn two_drivers() -> impl Iterator<Item = Situation> {
    let together = [
        (&COMMANDS, [COMMANDS.on, COMMANDS.on]),
        (&EVENTS, [EVENTS.on, COMMANDS.off]),
        (&ITS, [ITS.on, ITS.on]),
        (&ITS, [ITS.on, "host_write ipa=mmio:its+0x80 value=0x8000000046400000"]),
        (&ITT, [ITT.on, "host_read ipa=mmio:its+0x90"]),
        (&ITT, [ITT.on, ITS.off]),
        (&CONFIGURATION, [CONFIGURATION.on, CONFIGURATION.on]),
    ];
    together.into_iter().map(|(user, pair)| held(user.machine, user.beginning(false), pair))
}

/// All situations in which memory is lent to hardware, or comes back.
pub(super) fn situations() -> impl Iterator<Item = Situation> {
    let turned_on = USERS.into_iter().flat_map(|user| user.beside(false, &TURNED_ON));
    let turned_off = USERS.into_iter().chain([NEW_TABLE]).flat_map(|user| user.beside(true, &TURNED_OFF));
    let twice = two_users().chain(two_redistributors()).chain(two_drivers());
    let twice = twice.map(|situation| Situation { kind: Kind::HeldTwice, ..situation });
    turned_on.chain(turned_off).chain(twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_is_turned_on_and_off() {
        // Two of them reach no memory by a device.
        let of_a_page = (7 * 9 - 2) + 8 * 8;
        assert_eq!(situations().count(), of_a_page + 4 * 4 + 4 + 7);
        let twice = situations().filter(|situation| situation.kind == Kind::HeldTwice);
        assert_eq!(twice.count(), 4 * 4 + 4 + 7);
    }
}
