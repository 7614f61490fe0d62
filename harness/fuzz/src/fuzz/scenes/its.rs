//! The ITS and the redistributors: how far GITS_CREADR gets, ITTs that change, registers that stay as they are (IHI 0069, 5.3 and 12.19).

use super::{Cards, told_without_smmu as told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::ItsLimit);

/// These scenes, for an ITS with 256 devices.
pub(super) const CARDS: &[Cards] = &[
    (1, KIND, |of, card| told(of, replaced, card)),
    (1, KIND, |of, card| told(of, live, card)),
    (1, KIND, |of, card| told(of, many, card)),
    (2, KIND, |of, card| told(of, beyond, card)),
    (1, KIND, |of, card| told(of, waiting, card)),
    (2, KIND, |of, card| told(of, resized, card)),
    (1, KIND, |of, card| told(of, absent, card)),
    (1, KIND, |of, card| told(of, long, card)),
    (1, KIND, |of, card| told(of, longer, card)),
];

pub(super) const VALID: u64 = 1 << 63;
/// Where the ITT is of a device that a command maps.
pub(super) const ITT: u64 = 0x4702_0000;

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

/// Commands that wait are performed when the ITS is enabled.
fn waiting(_: usize, _: &mut Random, _: &mut u64) -> String {
    "host_write ipa=mmio:its+0x0 size=4 value=0\n\
     host_write ipa=mmio:its+0x80 value=0x800000004701a000\n\
     host_write_entry ipa=ram+0x701a000 value=0x800000008 second=4 third=0x800000004701b000 fourth=0\n\
     host_write ipa=mmio:its+0x88 value=0x20\n\
     host_read ipa=mmio:its+0x90 => ok value=0\n\
     host_write ipa=mmio:its+0x0 size=4 value=1\n\
     host_donate_hyp pfn=ram+0x701b => EPERM\n\
     host_read ipa=mmio:its+0x90 => ok value=0x20\n"
        .to_owned()
        + OFF
}

/// A device gets an ITT of another size in the same place: its events end elsewhere from then on.
fn resized(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (size, event, reader) = variant(card, &[(0, 31, 0x41), (5, 63, 0x60)]);
    let itt = VALID | 0x4701_b000;
    format!(
        "{}\
         host_write_entry ipa=ram+0x701a000 value=0x800000008 second=4 third={itt:#x} fourth=0\n\
         host_write_entry ipa=ram+0x701a020 value=0x800000008 second={size} third={itt:#x} fourth=0\n\
         host_write_entry ipa=ram+0x701a040 value=0x80000000a second={:#x} third=0 fourth=0\n\
         host_write ipa=mmio:its+0x88 value=0x60\n\
         host_read ipa=mmio:its+0x90 => ok value={reader:#x}\n\
         {OFF}",
        on(0x4701_a000),
        8192_u64 << 32 | event
    )
}

/// GITS_BASER2 to 7 are not there: they keep nothing.
fn absent(_: usize, _: &mut Random, _: &mut u64) -> String {
    let register = |index: u64| {
        let at = 0x100 + 8 * index;
        format!(
            "host_write ipa=mmio:its+{at:#x} value={:#x}\n\
             host_read ipa=mmio:its+{at:#x} => ok value=0\n",
            VALID | 0x4702_0000
        )
    };
    (2..8).map(register).collect()
}

/// A queue of two pages: GITS_CREADR goes on in the second one.
fn long(_: usize, _: &mut Random, _: &mut u64) -> String {
    let sync = |slot: u64| {
        format!(
            "host_write_entry ipa=ram+{:#x} value=5 second=0 third=0 fourth=0\n",
            0x702_0000 + 0x20 * slot
        )
    };
    let mut text = on(0x4702_0001);
    for part in 0..5 {
        let end = (32 * part + 32).min(130);
        text.extend((32 * part..end).map(sync));
        text += &format!(
            "host_write ipa=mmio:its+0x88 value={0:#x}\nhost_read ipa=mmio:its+0x90 => ok value={0:#x}\n",
            0x20 * end
        );
    }
    text + OFF
}

/// An offset beyond 64 KiB is one, in a queue of as many pages.
fn longer(_: usize, _: &mut Random, _: &mut u64) -> String {
    format!(
        "{}\
         host_write ipa=mmio:its+0x88 value=0x10000\n\
         host_read ipa=mmio:its+0x88 => ok value=0x10000\n\
         {OFF}",
        on(0x4702_001f)
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
