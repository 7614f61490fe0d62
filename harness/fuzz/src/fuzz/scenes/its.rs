//! The ITS and the redistributors: commands at the limits of what they may name, one command more and how far GITS_CREADR gets (IHI 0069,
//! 5.3), and what is held while something else changes.

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::ItsLimit);

/// These scenes, for an ITS with 256 devices.
pub(super) const CARDS: &[Cards] = &[
    (LIMITS.len(), KIND, |of, card| told(of, limit, card)),
    (1, KIND, |of, card| told(of, replaced, card)),
    (1, KIND, |of, card| told(of, live, card)),
    (1, KIND, |of, card| told(of, many, card)),
    (2, KIND, |of, card| told(of, beyond, card)),
];

/// A command's four dwords, and whether it is performed. Device 8 has 32 events, collection 0 leads to the first redistributor.
type Limit = ([u64; 4], bool);
const VALID: u64 = 1 << 63;
/// Where the ITT is of a device that the command maps.
const ITT: u64 = 0x4702_0000;
const LIMITS: [Limit; 14] = [
    // MAPTI: the last event, and one behind it; an INTID that is no LPI; a collection that is not there.
    ([0x8_0000_000a, 8192 << 32 | 31, 0, 0], true),
    ([0x8_0000_000a, 8192 << 32 | 32, 0, 0], false),
    ([0x8_0000_000a, 8191 << 32 | 1, 0, 0], false),
    ([0x8_0000_000a, 8192 << 32 | 1, 512, 0], false),
    // INT, of one event too many, and of a device that is not mapped.
    ([0x8_0000_0003, 32, 0, 0], false),
    ([0x9_0000_0003, 0, 0, 0], false),
    // MAPD: the last device, and one behind it; 11 bits of EventIDs, and 12.
    ([0xff_0000_0008, 0, VALID | ITT, 0], true),
    ([0x100_0000_0008, 0, VALID | ITT, 0], false),
    ([0x9_0000_0008, 10, VALID | ITT, 0], true),
    ([0x9_0000_0008, 11, VALID | ITT, 0], false),
    // MAPD: an ITT that is not at a multiple of 256.
    ([0x9_0000_0008, 4, VALID | ITT | 0x20, 0], false),
    ([0x9_0000_0008, 4, VALID | ITT | 0x80, 0], false),
    // MAPC and SYNC of a redistributor that is not there.
    ([0x9, 0, VALID | 8 << 16 | 1, 0], false),
    ([0x5, 0, 8 << 16, 0], false),
];

/// MAPD of device 8, MAPC, and the command.
fn limit(card: usize, _: &mut Random, _: &mut u64) -> String {
    let ([one, two, three, four], done) = variant(card, &LIMITS);
    let reader = if done { 0x60 } else { 0x41 };
    format!(
        "{}\
         host_write_entry ipa=ram+0x701a000 value=0x800000008 second=4 third=0x800000004701b000 fourth=0\n\
         host_write_entry ipa=ram+0x701a020 value=9 second=0 third={VALID:#x} fourth=0\n\
         host_write_entry ipa=ram+0x701a040 value={one:#x} second={two:#x} third={three:#x} fourth={four:#x}\n\
         host_write ipa=mmio:its+0x88 value=0x60\n\
         host_read ipa=mmio:its+0x90 => ok value={reader:#x}\n\
         {OFF}",
        on(0x4701_a000)
    )
}

/// A device gets another ITT when one that was mapped before it is no more: each ITT is held as long as its device has it.
fn replaced(_: usize, _: &mut Random, _: &mut u64) -> String {
    let commands = [(8, 0x701_b000), (9, 0x701_c000), (8, 0), (9, 0x701_d000), (9, 0)];
    let slots = (0x701_a000..).step_by(0x20);
    let commands: String = slots
        .zip(commands)
        .map(|(at, (device, itt))| {
            let (head, itt) = (device << 32 | 8_u64, if itt == 0 { 0 } else { VALID | (0x4000_0000 + itt) });
            format!("host_write_entry ipa=ram+{at:#x} value={head:#x} second=4 third={itt:#x} fourth=0\n")
        })
        .collect();
    let free = |frame: u64| {
        format!("host_donate_hyp pfn=ram+{frame:#x} => ok\nhyp_donate_host pfn=ram+{frame:#x} => ok\n")
    };
    format!(
        "{}{commands}\
         host_write ipa=mmio:its+0x88 value=0x80\n\
         {}{}\
         host_donate_hyp pfn=ram+0x701d => EPERM\n\
         host_write ipa=mmio:its+0x88 value=0xa0\n\
         {}{OFF}",
        on(0x4701_a000),
        free(0x701b),
        free(0x701c),
        free(0x701d)
    )
}

/// More MAPDs than one access performs: GITS_CREADR stays behind, and goes on when it is read.
fn many(_: usize, _: &mut Random, _: &mut u64) -> String {
    let command = |slot: u64| {
        let (at, head) = (0x701_a000 + 0x20 * slot, slot << 32 | 8);
        let itt = VALID | (ITT + 0x100 * slot);
        format!("host_write_entry ipa=ram+{at:#x} value={head:#x} second=0 third={itt:#x} fourth=0\n")
    };
    format!(
        "{}{}\
         host_write ipa=mmio:its+0x88 value=0x120\n\
         host_read ipa=mmio:its+0x90 => ok value=0x100\n\
         host_read ipa=mmio:its+0x90 => ok value=0x120\n\
         {OFF}",
        on(0x4701_a000),
        (0..9).map(command).collect::<String>()
    )
}

/// GITS_CWRITER cannot be set to where the queue ends, or behind that: it stays, and no command is looked at.
fn beyond(card: usize, _: &mut Random, _: &mut u64) -> String {
    let writer = variant(card, &[0x1000, 0x1020]);
    format!(
        "{}\
         host_write ipa=mmio:its+0x88 value={writer:#x}\n\
         host_read ipa=mmio:its+0x88 => ok value=0\n\
         host_read ipa=mmio:its+0x90 => ok value=0\n\
         {OFF}",
        on(0x4701_a000)
    )
}

/// While LPIs are on, GICR_PROPBASER and GICR_PENDBASER stay as they are, and so does what is held.
fn live(_: usize, _: &mut Random, _: &mut u64) -> String {
    "host_write ipa=mmio:gicr size=4 value=0\n\
     host_write ipa=mmio:gicr+0x70 value=0x4740000d\n\
     host_write ipa=mmio:gicr+0x78 value=0x47600000\n\
     host_write ipa=mmio:gicr size=4 value=1\n\
     host_write ipa=mmio:gicr+0x70 value=0x4742000e\n\
     host_read ipa=mmio:gicr+0x70\n\
     host_write ipa=mmio:gicr+0x78 value=0x47620000\n\
     host_read ipa=mmio:gicr+0x78\n\
     host_write ipa=mmio:gicr size=4 value=0\n\
     host_donate_hyp pfn=ram+0x7400 => ok\n\
     hyp_donate_host pfn=ram+0x7400 => ok\n\
     host_donate_hyp pfn=ram+0x7600 => ok\n\
     hyp_donate_host pfn=ram+0x7600 => ok\n"
        .to_owned()
}

/// Turns the ITS on, with a queue of a page at `queue`.
pub(super) fn on(queue: u64) -> String {
    format!(
        "host_write ipa=mmio:its+0x0 size=4 value=0\n\
         host_write ipa=mmio:its+0x80 value={:#x}\n\
         host_write ipa=mmio:its+0x88 value=0\n\
         host_write ipa=mmio:its+0x0 size=4 value=1\n",
        VALID | queue
    )
}

/// Turns it off: no device is mapped any more.
pub(super) const OFF: &str =
    "host_write ipa=mmio:its+0x0 size=4 value=0\nhost_write ipa=mmio:its+0x100 value=0\n";
