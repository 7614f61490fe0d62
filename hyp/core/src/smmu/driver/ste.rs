//! Stream table entries (IHI 0070, 5.2): what becomes of one device's traffic.

use super::stage2::Stage2;
use crate::{addr::PhysAddr, faulty, hw::Memory};

/// Bytes of a stream table entry.
pub const STE_SIZE: u64 = 64;

/// Dword 0, V: the entry is valid.
pub(in crate::smmu) const V: u64 = 1;
/// Dword 0, Config.
pub(in crate::smmu) const CONFIG: u64 = 0b111 << 1;
/// Config: no translation at all.
pub(in crate::smmu) const CONFIG_BYPASS: u64 = 0b100 << 1;
/// Config: stage 1 only.
pub(in crate::smmu) const CONFIG_S1_ONLY: u64 = 0b101 << 1;
const CONFIG_NESTED: u64 = 0b111 << 1;
/// Dword 0, S1ContextPtr.
pub(in crate::smmu) const S1_CONTEXT_PTR: u64 = 0x000f_ffff_ffff_ffc0;
/// Dword 0, S1CDMax: log2 of the number of context descriptors.
pub(in crate::smmu) const S1_CD_MAX: u64 = 0x1f << 59;
/// Dword 1, what describes stage 1's context fetches: S1DSS, S1CIR, S1COR, S1CSH.
const STAGE1_FETCH: u64 = 0xff;
/// Dword 1, S1STALLD: stage 1 stalls nothing, whatever a context descriptor says. ILLEGAL where nothing ever stalls.
pub(in crate::smmu) const S1STALLD: u64 = 1 << 27;
const CONFIG_S2_ONLY: u64 = 0b110 << 1;
/// Dword 1, SHCFG = 0b01: the device's own shareability is combined with stage 2's.
const SHCFG_INCOMING: u64 = 0b01 << 44;
/// Dword 2, S2IR0 = S2OR0 = write-back, read and write allocate; S2SH0 = inner shareable.
const WALKS_WB_ISH: u64 = 0b01 << 40 | 0b01 << 42 | 0b11 << 44;
const S2AA64: u64 = 1 << 51;
const S2PTW: u64 = 1 << 54;
const S2R: u64 = 1 << 58;

/// A stream table entry: its eight dwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ste(pub [u64; 8]);

impl Ste {
    /// All traffic goes through stage 2 of VMID 0, and nothing else; what is refused is recorded, not stalled.
    #[must_use]
    pub fn stage2_only(table: &Stage2) -> Self {
        let vtcr = table.t0sz << 32 | table.sl0 << 38 | WALKS_WB_ISH | table.ps << 48;
        let stage2 = vtcr | S2AA64 | S2PTW | S2R;
        faulty::ste_stage2(Self([V | CONFIG_S2_ONLY, SHCFG_INCOMING, stage2, table.root.0, 0, 0, 0, 0]))
    }

    /// The host's stage 1, with one context descriptor, described by dwords 0 and 1 of its own entry, over the stage
    /// 2 of [`Ste::stage2_only`]. Context descriptors and tables of stage 1 are fetched through stage 2 as well.
    #[must_use]
    pub fn nested(table: &Stage2, dword0: u64, dword1: u64) -> Self {
        let Self([_, attributes, stage2, root, ..]) = Self::stage2_only(table);
        let head = V | CONFIG_NESTED | dword0 & S1_CONTEXT_PTR;
        Self([head, attributes | dword1 & STAGE1_FETCH | table.no_stall, stage2, root, 0, 0, 0, 0])
    }

    /// All traffic is aborted without a record.
    #[must_use]
    pub const fn abort() -> Self {
        Self([V, 0, 0, 0, 0, 0, 0, 0])
    }

    /// All traffic is refused, and recorded as C_BAD_STE.
    #[must_use]
    pub const fn invalid() -> Self {
        Self([0; 8])
    }

    /// Whether stage 1 translates before stage 2.
    pub(crate) const fn is_nested(&self) -> bool {
        self.0[0] & (V | CONFIG) == V | CONFIG_NESTED
    }

    /// The bits that the SMMU looks at, by dword: V alone, or what the entry's Config uses.
    fn used(&self) -> [u64; 8] {
        let rest = match self.0[0] & CONFIG {
            _ if self.0[0] & V == 0 => return [V, 0, 0, 0, 0, 0, 0, 0],
            0 => [0; 7],
            CONFIG_S2_ONLY => [!(STAGE1_FETCH | S1STALLD), !0, !0, !0, !0, !0, !0],
            _ => return [!0; 8],
        };
        let mut used = [V | CONFIG; 8];
        used[1..].copy_from_slice(&rest);
        used
    }

    /// The way from this entry to `target`, each step to be seen by the SMMU before the next (3.21.3).
    ///
    /// When only one dword that is in use changes, traffic meets the old entry or the new one: what is not used yet is
    /// written first, then that dword, then what is not used any more. Otherwise the entry is made invalid, all but
    /// dword 0 is written, then dword 0.
    #[must_use]
    pub fn steps_to(&self, target: &Self) -> [Self; 3] {
        let (now, then) = (self.used(), target.used());
        let filled: [u64; 8] = core::array::from_fn(|i| self.0[i] & now[i] | target.0[i] & !now[i]);
        let mut critical = (0..8).filter(|&i| (filled[i] ^ target.0[i]) & then[i] != 0);
        let (first, second) = (critical.next(), critical.next());
        let mut steps = [Self(filled), Self(filled), *target];
        if second.is_some() {
            steps = [self.without_head(), target.without_head(), *target];
        } else if let Some(i) = first {
            steps[0].0[i] = self.0[i];
            steps[1].0[i] = target.0[i];
        }
        faulty::steps(steps, self, target)
    }

    /// The same, not valid.
    pub(crate) fn without_head(&self) -> Self {
        Self(core::array::from_fn(|i| if i == 0 { 0 } else { self.0[i] }))
    }

    /// The entry at `pa`.
    pub(in crate::smmu) fn read(mem: &impl Memory, pa: PhysAddr) -> Self {
        Self([0, 8, 16, 24, 32, 40, 48, 56].map(|offset| mem.read(pa.add(offset))))
    }

    /// Writes the dwords that differ from `old`, the entry at `pa`; dword 0, which holds the valid bit, last.
    pub(in crate::smmu) fn write_over(&self, old: &Self, mem: &impl Memory, pa: PhysAddr) {
        for index in (1..8).filter(|&index| self.0[index] != old.0[index]) {
            mem.write(pa.add(index as u64 * 8), self.0[index]);
        }
        if self.0[0] != old.0[0] {
            self.write_head(mem, pa);
        }
    }

    /// Writes everything except dword 0, which holds the valid bit, to the entry at `pa`.
    pub(crate) fn write_body(&self, mem: &impl Memory, pa: PhysAddr) {
        for (offset, &dword) in (8..).step_by(8).zip(&self.0[1..]) {
            mem.write(pa.add(offset), dword);
        }
    }

    /// Writes dword 0, after everything that was written before.
    pub(crate) fn write_head(&self, mem: &impl Memory, pa: PhysAddr) {
        faulty::write_head(mem, pa, self.0[0]);
    }
}
