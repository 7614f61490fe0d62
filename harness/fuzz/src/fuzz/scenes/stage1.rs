//! Streams with a stage 1: where its context descriptor may be, and what remembered translations become of (IHI 0070, 5.2 and 3.17).

use super::{Cards, alone, told, variant};
use crate::fuzz::kind::Kind;
use crate::random::Random;

const KIND: Option<Kind> = Some(Kind::Nested);

/// These scenes.
pub(super) const CARDS: &[Cards] =
    &[(4, KIND, |of, card| told(of, refused, card)), (1, KIND, |of, card| told(of, twice, card))];

/// A context descriptor beyond the output size, or several of them, make an entry ILLEGAL: C_BAD_STE.
fn refused(card: usize, _: &mut Random, _: &mut u64) -> String {
    let entry = variant(
        card,
        &[
            "S1ContextPtr=0x1000000000000",
            "S1ContextPtr=0x47003000 S1CDMax=1",
            "S1ContextPtr=0x47003000 S1CDMax=16",
            "S1ContextPtr=0x47003000 S1CDMax=31",
        ],
    );
    format!(
        "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4\n\
     ste at=ram+0x7002200 s1 {entry}\n\
     host_write ipa=ram+0x7000000 value=0\n\
     smmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
     smmu_read CR0ACK => ok value=0xd\n\
     dma_write sid=8 ipa=ram+0x7018000 value=1 => abort\n\
     host_read ipa=ram+0x7000000 => ok value=0x800000004\n"
    )
}

/// Two donations while a stream is nested: the second page is remembered once more by then, and is out of reach all the same.
fn twice(_: usize, _: &mut Random, _: &mut u64) -> String {
    let begin = alone::begin(0x20, alone::TWICE, "ok");
    format!(
        "{begin}\
         host_donate_hyp pfn=ram+0x7019 => ok\n\
         dma_write sid=8 ipa=0x107018000 value=2 => ok\n\
         host_donate_hyp pfn=ram+0x7018 => ok\n\
         dma_write sid=8 ipa=0x107018000 value=3 => abort\n\
         hyp_donate_host pfn=ram+0x7018 nr=2 => ok\n"
    )
}
