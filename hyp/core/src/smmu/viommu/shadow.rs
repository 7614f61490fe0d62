//! What the hardware gets for a stream table entry of the host (IHI 0070, 5.2).

use super::{Env, Physical, Viommu};
use crate::access::Refusal;
use crate::faulty;
use crate::smmu::driver::ste::{CONFIG, CONFIG_BYPASS, CONFIG_S1_ONLY, S1_CD_MAX, S1_CONTEXT_PTR, V};
use crate::smmu::regs::{Cr0, Cr2};
use crate::smmu::{Features, Stage2, Ste, StreamId};

/// What a changed entry costs of [`super::BUDGET`]: it takes up to three steps, each with a CMD_SYNC.
const CHANGE_COSTS: u64 = 3;

/// The hardware's entry for the host's `entry`: bypass becomes stage 2 only, stage 1 becomes nested, an entry that
/// is not valid stays so, all else aborts. The host is not offered a stage 2 of its own.
///
/// A stage 1 that is ILLEGAL on the SMMU that the host sees, because that has none, or the entry has substreams or a context
/// descriptor beyond the output size, counts as not valid.
pub(super) fn shadow(entry: &[u64; 8], table: &Stage2, features: &Features) -> Ste {
    let beyond = entry[0] & S1_CONTEXT_PTR & !((1 << features.output_bits) - 1);
    let ste = match entry[0] & CONFIG {
        _ if entry[0] & V == 0 => Ste::invalid(),
        CONFIG_BYPASS => Ste::stage2_only(table),
        CONFIG_S1_ONLY if entry[0] & S1_CD_MAX | beyond != 0 || !features.stage1 => Ste::invalid(),
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
    /// Shadows the entries of `count` streams from `first` on, as far as the budget goes: how many are done. Streams that the
    /// hardware has no entry for keep what they have.
    pub(super) fn shadow_streams<E: Env>(&mut self, env: &mut E, first: u64, count: u64) -> u64 {
        let Some(strtab) = self.strtab.filter(|_| self.on(Cr0::SMMUEN)) else { return count };
        let last = (1 << env.smmu().sid_bits()).min(first.saturating_add(count));
        let missing = if self.host.cr2 & Cr2::RECINVSID.bits() != 0 { Ste::invalid() } else { Ste::abort() };
        let mut at = first;
        while at < last {
            if self.budget == 0 {
                return at - first;
            }
            let end = last.min(at.saturating_add(self.budget));
            self.spend(strtab.run_costs());
            at = strtab.copy_run(env, at, end, |smmu, stream, entry| {
                let ste = entry.map_or(faulty::missing(missing), |entry| {
                    let ste = shadow(entry, smmu.stage2(), smmu.features());
                    if wants_traffic(entry) && !wants_traffic(&ste.0) {
                        self.refuse(Refusal::Entry(stream.0, entry[0]));
                    }
                    ste
                });
                self.confine(smmu, stream, &ste);
            });
        }
        count
    }

    fn confine(&mut self, smmu: &mut impl Physical, stream: StreamId, ste: &Ste) {
        let changed = smmu.confine(stream, ste);
        self.spend(if changed { CHANGE_COSTS } else { 1 });
    }

    /// Goes on with what SMMUEN has become, as far as the budget goes: all streams have the entries of the host's table, or
    /// all abort and the table is the host's alone again.
    pub(super) fn turn<E: Env>(&mut self, env: &mut E) {
        let Some(first) = self.turning else { return };
        let all = 1 << env.smmu().sid_bits();
        let mut next = first;
        if self.on(Cr0::SMMUEN) {
            next += self.shadow_streams(env, first, all - first);
        } else {
            let mut smmu = env.smmu();
            while next < faulty::aborted_streams(all) && self.budget != 0 {
                self.confine(&mut *smmu, StreamId(next as u32), &Ste::abort());
                next += 1;
            }
        }
        self.turning = (next < faulty::aborted_streams(all)).then_some(next);
        if self.turning.is_none()
            && !self.on(Cr0::SMMUEN)
            && let Some(strtab) = self.strtab.take()
        {
            env.release(strtab.range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;

    fn table() -> Stage2 {
        Stage2::new(&Features::SAMPLE, PhysAddr(0x4000_0000), 40, 1, 40).unwrap()
    }

    #[test]
    fn each_configuration_becomes_what_the_hypervisor_allows() {
        let of =
            |config: u64| shadow(&[V | config << 1, !0, !0, !0, !0, !0, !0, !0], &table(), &Features::SAMPLE);
        for config in [0b000, 0b001, 0b010, 0b011, 0b110, 0b111] {
            assert_eq!(of(config), Ste::abort(), "{config:#b}");
        }
        assert_eq!(of(0b100), Ste::stage2_only(&table()));
        assert_eq!(of(0b101).0[0] & CONFIG, 0b111 << 1);
        assert_eq!(shadow(&[!V; 8], &table(), &Features::SAMPLE), Ste::invalid());
        for illegal in [1 << 44, 1 << 59] {
            assert_eq!(
                shadow(&[V | CONFIG_S1_ONLY | illegal; 8], &table(), &Features::SAMPLE),
                Ste::invalid()
            );
        }
    }

    #[test]
    fn a_nested_entry_has_stage_2_as_a_stage_2_entry_has_it() {
        let nested = shadow(
            &[V | CONFIG_S1_ONLY | 0x1234_5640, !0, !0, !0, !0, !0, !0, !0],
            &table(),
            &Features::SAMPLE,
        );
        assert_eq!(nested.0[2..], Ste::stage2_only(&table()).0[2..]);
        // EATS, STRW, MTCFG, PRIVCFG, INSTCFG are not the host's.
        assert_eq!(nested.0[1] & (0xf << 28 | 1 << 36 | 0xf << 48), 0);
        assert_eq!(nested.0[0] & 0x000f_ffff_ffff_ffc0, 0x1234_5640);
    }
}
