//! The memory attributes of a transaction on its way through the SMMU (IHI 0070, chapter 13).
//!
//! First the stream's overrides: with MTCFG = 0 and SHCFG = incoming, what the device emitted stays. Stage 1 is
//! bypassed here. Then stage 2 combines as it does in a CPU.

use parallax_vmsa::attrs::{DeviceType, MemAttrs, MemType, Shareability};
use parallax_vmsa::stage2::{MemAttr, Stage2Attrs};

use crate::control::Gbpa;
use crate::idr::Idr1;
use crate::ste::Ste;

/// Attributes of a transaction after the overrides of its stream table entry.
///
/// Allocation hints are not kept. MTCFG and SHCFG mean nothing without IDR1.ATTR_TYPES_OVR.
#[must_use]
pub fn input(ste: &Ste, idr1: &Idr1, incoming: MemAttrs) -> MemAttrs {
    if idr1.attr_types_ovr() {
        replace(ste.mtcfg().then(|| ste.mem_attr()), ste.shcfg(), incoming)
    } else {
        incoming
    }
}

/// Attributes of a transaction of a stage-2 only stream that meets stage-2 leaf `leaf`; the leaf was decoded with
/// the stream's S2FWB. `None` when the leaf's MemAttr is reserved.
#[must_use]
pub fn stage2_only(ste: &Ste, idr1: &Idr1, incoming: MemAttrs, leaf: &Stage2Attrs) -> Option<MemAttrs> {
    input(ste, idr1, incoming).combine_stage2(leaf.mem, leaf.sh)
}

/// Attributes of a transaction while SMMUEN = 0, `None` when GBPA.ABORT refuses it.
#[must_use]
pub fn disabled(gbpa: &Gbpa, idr1: &Idr1, incoming: MemAttrs) -> Option<MemAttrs> {
    if gbpa.abort() {
        None
    } else if idr1.attr_types_ovr() {
        Some(replace(gbpa.mtcfg().then(|| gbpa.mem_attr()), gbpa.shcfg(), incoming))
    } else {
        Some(incoming)
    }
}

fn replace(mem_attr: Option<u8>, shcfg: u8, incoming: MemAttrs) -> MemAttrs {
    let ty = match mem_attr.map(|raw| MemAttr::decode(raw, false)) {
        None => incoming.ty,
        Some(MemAttr::Type(ty)) => ty,
        Some(_) => MemType::Device(DeviceType::NGnRnE),
    };
    let sh = if shcfg == 0b01 { incoming.sh } else { Shareability::from_bits(shcfg) };
    MemAttrs::new(ty, sh)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERRIDES: Idr1 = Idr1([1 << 27]);
    const INCOMING_SH: u64 = 0b01 << 44;
    const PAGE_WB: u64 = 0x7ff;

    fn ste(dword1: u64) -> Ste {
        Ste([0b110 << 1 | 1, dword1, 0, 0, 0, 0, 0, 0])
    }

    fn attrs(ty: MemType) -> MemAttrs {
        MemAttrs::new(ty, Shareability::NonShareable)
    }

    #[test]
    fn without_mtcfg_the_incoming_type_survives_a_write_back_stage_2() {
        let leaf = Stage2Attrs::decode(PAGE_WB, false, false);
        for ty in MemType::INCOMING {
            let out = stage2_only(&ste(INCOMING_SH), &OVERRIDES, attrs(ty), &leaf);
            assert_eq!(out, Some(MemAttrs::new(ty, Shareability::InnerShareable)));
        }
    }

    #[test]
    fn a_device_stage_2_makes_everything_device() {
        let leaf = Stage2Attrs::decode(PAGE_WB & !0b11_1100 | 0b0001 << 2, false, false);
        let out = |ty| stage2_only(&ste(INCOMING_SH), &OVERRIDES, attrs(ty), &leaf).map(|attrs| attrs.ty);
        assert_eq!(out(MemType::WB), Some(MemType::Device(DeviceType::NGnRE)));
        assert_eq!(out(MemType::Device(DeviceType::GRE)), Some(MemType::Device(DeviceType::NGnRE)));
        let strongest = MemType::Device(DeviceType::NGnRnE);
        assert_eq!(out(strongest), Some(strongest));
    }

    #[test]
    fn overrides_count_only_where_the_smmu_offers_them() {
        let mtcfg = ste(1 << 36 | 0b1111 << 32 | 0b11 << 44);
        let device = attrs(MemType::Device(DeviceType::NGnRE));
        assert_eq!(input(&mtcfg, &Idr1([0]), device), device);
        assert_eq!(
            input(&mtcfg, &OVERRIDES, device),
            MemAttrs::new(MemType::WB, Shareability::InnerShareable)
        );
        let reserved = ste(1 << 36 | 0b0100 << 32 | INCOMING_SH);
        assert_eq!(input(&reserved, &OVERRIDES, device).ty, MemType::Device(DeviceType::NGnRnE));
    }

    #[test]
    fn a_disabled_smmu_aborts_or_lets_through() {
        let wb = attrs(MemType::WB);
        assert_eq!(disabled(&Gbpa([1 << 20]), &OVERRIDES, wb), None);
        assert_eq!(disabled(&Gbpa([0b01 << 12]), &OVERRIDES, wb), Some(wb));
        assert_eq!(disabled(&Gbpa([1 << 4 | 0b0101]), &OVERRIDES, wb).map(|a| a.ty), Some(MemType::NC));
    }
}
