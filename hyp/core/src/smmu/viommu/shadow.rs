//! What the hardware gets for a stream table entry of the host (IHI 0070, 5.2).

use super::{Env, Physical, Refusal, Viommu};
use crate::faulty;
use crate::smmu::driver::ste::{CONFIG, CONFIG_BYPASS, CONFIG_S1_ONLY, S1_CD_MAX, S1_CONTEXT_PTR, V};
use crate::smmu::{Stage2, Ste, StreamId};

/// The hardware's entry for the host's `entry`: bypass becomes stage 2 only, stage 1 becomes nested, an entry that
/// is not valid stays so, all else aborts. The host is not offered a stage 2 of its own.
///
/// A stage 1 that is ILLEGAL on the SMMU that the host sees, because it has substreams or a context descriptor beyond
/// `output_bits`, counts as not valid.
pub(super) fn shadow(entry: &[u64; 8], table: &Stage2, output_bits: u32) -> Ste {
    let beyond = entry[0] & S1_CONTEXT_PTR & !((1 << output_bits) - 1);
    let ste = match entry[0] & CONFIG {
        _ if entry[0] & V == 0 => Ste::invalid(),
        CONFIG_BYPASS => Ste::stage2_only(table),
        CONFIG_S1_ONLY if entry[0] & S1_CD_MAX | beyond != 0 => Ste::invalid(),
        CONFIG_S1_ONLY => Ste::nested(table, entry[0], entry[1]),
        _ => Ste::abort(),
    };
    faulty::shadow(ste, entry)
}

/// Whether an entry is valid and anything but abort.
const fn wants_traffic(entry: &[u64; 8]) -> bool {
    entry[0] & (V | CONFIG_BYPASS) == V | CONFIG_BYPASS
}

impl Viommu {
    /// Shadows the entries of `count` streams from `first` on; streams that the hardware has no entry for, or that are
    /// beyond the host's table, keep what they have.
    pub(super) fn shadow_streams<E: Env>(&mut self, env: &mut E, first: StreamId, count: u64) {
        let Some(strtab) = self.strtab else { return };
        let first = u64::from(first.0);
        let last = strtab.streams().min(first.saturating_add(count));
        let mut at = first;
        while at < last {
            at = strtab.copy_run(env, at, last, |smmu, stream, entry| {
                let ste = entry.map_or(Ste::invalid(), |entry| {
                    let ste = shadow(entry, smmu.stage2(), smmu.features().output_bits);
                    if wants_traffic(entry) && !wants_traffic(&ste.0) {
                        self.refuse(Refusal::Entry(stream, entry[0]));
                    }
                    ste
                });
                smmu.confine(stream, &ste);
            });
        }
    }

    /// Shadows the whole table.
    pub(super) fn shadow_all<E: Env>(&mut self, env: &mut E) {
        self.shadow_streams(env, StreamId(0), u64::MAX);
    }

    /// SMMUEN = 0: every stream aborts, and the table is the host's alone again.
    pub(super) fn disable<E: Env>(&mut self, env: &mut E) {
        let Some(strtab) = self.strtab.take() else { return };
        let mut smmu = env.smmu();
        for stream in 0..faulty::aborted_streams(strtab.streams()) {
            smmu.confine(StreamId(stream as u32), &Ste::abort());
        }
        drop(smmu);
        env.unshare_pages(strtab.range());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;
    use crate::smmu::Features;

    fn table() -> Stage2 {
        Stage2::new(&Features::SAMPLE, PhysAddr(0x4000_0000), 40, 1, 40).unwrap()
    }

    #[test]
    fn each_configuration_becomes_what_the_hypervisor_allows() {
        let of = |config: u64| shadow(&[V | config << 1, !0, !0, !0, !0, !0, !0, !0], &table(), 44);
        for config in [0b000, 0b001, 0b010, 0b011, 0b110, 0b111] {
            assert_eq!(of(config), Ste::abort(), "{config:#b}");
        }
        assert_eq!(of(0b100), Ste::stage2_only(&table()));
        assert_eq!(of(0b101).0[0] & CONFIG, 0b111 << 1);
        assert_eq!(shadow(&[!V; 8], &table(), 44), Ste::invalid());
        for illegal in [1 << 44, 1 << 59] {
            assert_eq!(shadow(&[V | CONFIG_S1_ONLY | illegal; 8], &table(), 44), Ste::invalid());
        }
    }

    #[test]
    fn a_nested_entry_has_stage_2_as_a_stage_2_entry_has_it() {
        let nested = shadow(&[V | CONFIG_S1_ONLY | 0x1234_5640, !0, !0, !0, !0, !0, !0, !0], &table(), 44);
        assert_eq!(nested.0[2..], Ste::stage2_only(&table()).0[2..]);
        // EATS, STRW, MTCFG, PRIVCFG, INSTCFG are not the host's.
        assert_eq!(nested.0[1] & (0xf << 28 | 1 << 36 | 0xf << 48), 0);
        assert_eq!(nested.0[0] & 0x000f_ffff_ffff_ffc0, 0x1234_5640);
    }
}
