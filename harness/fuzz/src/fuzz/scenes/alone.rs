//! One command, with nothing beside it that would do its work too: it must reach the hardware with the stream, ASID and address that it
//! names (IHI 0070, 4.3 and 4.4).

use super::{Cards, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::Alone);

/// These scenes.
pub(super) const CARDS: &[Cards] =
    &[(4, KIND, |of, card| told(of, context, card)), (5, KIND, |of, card| told(of, translation, card))];

/// Shows memory where it is, as a device needs it to be told what to write, and once more from 4 GiB on.
pub(super) const TWICE: &str = "ram+0x7004000";
/// Shows it where it is.
const ONCE: &str = "ram+0x7005000";

/// The context descriptor.
fn context_of(asid: u64, table: &str) -> String {
    format!(
        "cd at=ram+0x7003000 T0SZ=25 IR0=1 OR0=1 SH0=3 EPD1 V IPS=4 AFFD AA64 R A ASET ASID={asid} TTB0={table} MAIR=0xff\n"
    )
}

/// Both tables, stream 8 with one of them and an empty TLB, and an access above 4 GiB that is remembered.
pub(super) fn begin(asid: u64, table: &str, outcome: &str) -> String {
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
         {}\
         s1_descriptor at=ram+0x7004008 block AP=1 SH=3 AF OA=0x40000000\n\
         s1_descriptor at=ram+0x7004020 block AP=1 SH=3 AF OA=0x40000000\n\
         s1_descriptor at=ram+0x7005008 block AP=1 SH=3 AF OA=0x40000000\n\
         s1_descriptor at=ram+0x7005020 invalid\n\
         ste at=ram+0x7002200 s1 S1ContextPtr=ram+0x7003000\n\
         smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
         smmu_read CR0ACK => ok value=0xd\n\
         smmu_command at=ram+0x7001000 TLBI_NH_ALL\n\
         smmu_command at=ram+0x7001010 SYNC\n\
         smmu_write CMDQ_PROD 2\n\
         smmu_read CMDQ_CONS => ok value=2\n\
         dma_write sid=8 ipa=0x107018000 value=1 => {outcome}\n",
        context_of(asid, table)
    )
}

/// Gives `commands`, and a SYNC behind them.
fn give(commands: &[&str]) -> String {
    let slots = (2..).zip(commands.iter().copied().chain(["SYNC"]));
    let lines =
        slots.map(|(slot, command)| format!("smmu_command at=ram+{:#x} {command}\n", 0x700_1000 + slot * 16));
    let end = 3 + commands.len();
    lines.collect::<String>()
        + &format!("smmu_write CMDQ_PROD {end}\nsmmu_read CMDQ_CONS => ok value={end}\n")
}

/// A context descriptor leads elsewhere, with an ASID that the TLB knows nothing of. What is said of another stream changes nothing.
fn context(card: usize, _: &mut Random, _: &mut u64) -> String {
    let commands: &[&str] = variant(
        card,
        &[
            &["CFGI_CD_ALL StreamID=8"],
            &["CFGI_CD StreamID=8 Leaf"],
            &["CFGI_CD StreamID=8"],
            &["CFGI_CD_ALL StreamID=16", "CFGI_CD_ALL StreamID=8", "CFGI_CD_ALL StreamID=0"],
        ],
    );
    let [(from, before), (to, now)] = if card.is_multiple_of(2) {
        [(TWICE, "ok"), (ONCE, "abort")]
    } else {
        [(ONCE, "abort"), (TWICE, "ok")]
    };
    let [asid, other] = [2 + 2 * card as u64, 3 + 2 * card as u64];
    let (begin, given) = (begin(asid, from, before), give(commands));
    let changed = context_of(other, to);
    format!("{begin}{changed}{given}dma_write sid=8 ipa=0x107018000 value=2 => {now}\n")
}

/// A descriptor of stage 1 becomes invalid.
fn translation(card: usize, _: &mut Random, _: &mut u64) -> String {
    let command = variant(
        card,
        &[
            "TLBI_NH_ASID VMID=9 ASID=0x1234",
            "TLBI_NH_VA VMID=9 ASID=0x1234 Address=0x107018000",
            "TLBI_NH_VAA VMID=9 Address=0x107018000",
            "TLBI_NH_ALL VMID=9",
            "TLBI_NSNH_ALL",
        ],
    );
    let (begin, given) = (begin(0x1234, TWICE, "ok"), give(&[command]));
    format!(
        "{begin}\
         s1_descriptor at=ram+0x7004020 invalid\n\
         {given}\
         dma_write sid=8 ipa=0x107018000 value=2 => abort\n"
    )
}
