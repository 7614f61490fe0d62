//! Queues of more than one page, and what is used for two reasons: each page is held as often as it is used (IHI 0070, 6.3.26).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const LONG: Option<Kind> = Some(Kind::LongQueue);
const TWICE: Option<Kind> = Some(Kind::UsedTwice);
const WRAPPED: Option<Kind> = Some(Kind::WrappedIndex);

/// These scenes: none needs a stream.
pub(super) const CARDS: &[Cards] = &[
    (6, LONG, |of, card| told(of, refused, card)),
    (4, LONG, |of, card| told(of, held, card)),
    (1, LONG, |of, card| told(of, images, card)),
    (1, LONG, |of, card| told(of, misaligned, card)),
    (4, TWICE, |of, card| told(of, twice, card)),
    (4, WRAPPED, |of, card| told(of, wrapped, card)),
];

/// A queue: its base register, what turns it on, and that bit.
type Queue = (&'static str, &'static str, u64);
const EVENTS: Queue = ("EVENTQ_BASE LOG2SIZE=8 ADDR=ram+0x7020000", "EVENTQEN", 4);
const MISALIGNED_EVENTS: Queue = ("EVENTQ_BASE LOG2SIZE=8 ADDR=ram+0x7021000", "EVENTQEN", 4);
const COMMANDS: Queue = ("CMDQ_BASE LOG2SIZE=9 ADDR=ram+0x7020000", "CMDQEN", 8);
const MISALIGNED_COMMANDS: Queue = ("CMDQ_BASE LOG2SIZE=9 ADDR=ram+0x7021000", "CMDQEN", 8);

/// A queue with a page that is not the host's alone stays off, until it is.
fn refused(card: usize, _: &mut Random, _: &mut u64) -> String {
    let given = ["host_donate_hyp", "hyp_donate_host"];
    let lent = ["host_share_hyp", "host_unshare_hyp"];
    let ((base, enable, bit), page, [away, back]) = variant(
        card,
        &[
            (EVENTS, 0x7021, given),
            (COMMANDS, 0x7021, given),
            (MISALIGNED_EVENTS, 0x7020, given),
            (MISALIGNED_COMMANDS, 0x7020, given),
            (EVENTS, 0x7021, lent),
            (COMMANDS, 0x7021, lent),
        ],
    );
    format!(
        "smmu_write {base}\n\
         {away} pfn=ram+{page:#x} => ok\n\
         smmu_write CR0 {enable}\n\
         smmu_read CR0 => ok value=0\n\
         {back} pfn=ram+{page:#x} => ok\n\
         smmu_write CR0 {enable}\n\
         smmu_read CR0 => ok value={bit}\n"
    )
}

/// A queue of two pages is held as a whole, and no more than that; when it is off both pages are the host's.
fn held(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (base, enable, _) = variant(card, &[EVENTS, COMMANDS, MISALIGNED_EVENTS, MISALIGNED_COMMANDS]);
    format!(
        "smmu_write {base}\n\
         smmu_write CR0 {enable}\n\
         host_donate_hyp pfn=ram+0x7020 => EPERM\n\
         host_donate_hyp pfn=ram+0x7021 => EPERM\n\
         host_unshare_hyp pfn=ram+0x7021 => EBUSY\n\
         host_donate_hyp pfn=ram+0x7022 => ok\n\
         hyp_donate_host pfn=ram+0x7022 => ok\n\
         smmu_write CR0 0\n\
         host_donate_hyp pfn=ram+0x7020 nr=2 => ok\n\
         hyp_donate_host pfn=ram+0x7020 nr=2 => ok\n"
    )
}

/// The largest queues, among whose pages may be some of the hypervisor's image: where it ends decides.
fn images(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write EVENTQ_BASE LOG2SIZE=12 ADDR=hyp_end\n\
     smmu_write CMDQ_BASE LOG2SIZE=12 ADDR=hyp_end\n\
     smmu_write CR0 EVENTQEN CMDQEN\n\
     smmu_read CR0\n\
     smmu_read CR0ACK\n"
        .to_owned()
}

/// Address bits below a queue's size count as zero: also for the commands in its second page.
fn misaligned(_: usize, _: &mut Random, _: &mut u64) -> String {
    "smmu_write CMDQ_BASE LOG2SIZE=9 ADDR=ram+0x7021000\n\
     smmu_write CMDQ_PROD 0x100\n\
     smmu_write CMDQ_CONS 0x100\n\
     smmu_command at=ram+0x7021000 SYNC\n\
     smmu_command at=ram+0x7022000 TLBI_EL2_ALL\n\
     smmu_write CR0 CMDQEN\n\
     smmu_write CMDQ_PROD 0x101\n\
     smmu_read CMDQ_CONS => ok value=0x101\n"
        .to_owned()
}

/// Two uses of one page, of which one has a second page: each is over for itself.
fn twice(card: usize, _: &mut Random, _: &mut u64) -> String {
    // The longer one stays on; it is turned on first, or last.
    let long = "hyp_unpin_shared_mem pfn=ram+0x7021 => EPERM\n\
                host_unshare_hyp pfn=ram+0x7021 => EBUSY\n\
                host_donate_hyp pfn=ram+0x7021 => EPERM\n";
    // The shorter one stays on.
    let short = "host_share_hyp pfn=ram+0x7021 => ok\n\
                 hyp_pin_shared_mem pfn=ram+0x7021 => ok\n\
                 hyp_unpin_shared_mem pfn=ram+0x7021 => ok\n\
                 host_unshare_hyp pfn=ram+0x7021 => ok\n";
    let (commands, events, first, then, meanwhile) = variant(
        card,
        &[
            (9, 7, "EVENTQEN CMDQEN", "CMDQEN", long),
            (8, 8, "EVENTQEN", "EVENTQEN", long),
            (8, 8, "CMDQEN", "CMDQEN", short),
            (9, 7, "CMDQEN", "EVENTQEN", short),
        ],
    );
    format!(
        "smmu_write CMDQ_BASE LOG2SIZE={commands} ADDR=ram+0x7020000\n\
         smmu_write EVENTQ_BASE LOG2SIZE={events} ADDR=ram+0x7020000\n\
         smmu_write CR0 {first}\n\
         smmu_write CR0 EVENTQEN CMDQEN\n\
         smmu_read CR0 => ok value=0xc\n\
         hyp_unpin_shared_mem pfn=ram+0x7020 => EPERM\n\
         smmu_write CR0 {then}\n\
         {meanwhile}\
         hyp_unpin_shared_mem pfn=ram+0x7020 => EPERM\n\
         host_unshare_hyp pfn=ram+0x7020 => EBUSY\n\
         host_donate_hyp pfn=ram+0x7020 => EPERM\n\
         smmu_write CR0 0\n\
         host_donate_hyp pfn=ram+0x7020 nr=2 => ok\n\
         hyp_donate_host pfn=ram+0x7020 nr=2 => ok\n"
    )
}

/// Bits of an index above the wrap bit count for nothing.
fn wrapped(card: usize, _: &mut Random, _: &mut u64) -> String {
    let (log2, cons, prod, taken) =
        variant(card, &[(1, 0, 0x101, 1), (0, 0, 0x1_0001, 1), (2, 0x8, 0x9, 1), (2, 0x8_0007, 0xf_fff8, 0)]);
    format!(
        "smmu_write CMDQ_BASE LOG2SIZE={log2} ADDR=ram+0x7001000\n\
         smmu_command at=ram+0x7001000 SYNC\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_command at=ram+0x7001020 SYNC\n\
         smmu_command at=ram+0x7001030 SYNC\n\
         smmu_write CMDQ_CONS {cons}\n\
         smmu_write CR0 CMDQEN\n\
         smmu_write CMDQ_PROD {prod}\n\
         smmu_read CMDQ_CONS => ok value={taken}\n"
    )
}
