//! Instructions of the hypervisor at which another CPU may go on (DDI 0487, C4.1 and C6.2).

use std::collections::BTreeMap;

use parallax_addr::ImageVa;

use crate::extensions::PointKind;
use crate::symbols::Image;

/// Where they are.
pub(super) fn points(image: &Image) -> BTreeMap<ImageVa, PointKind> {
    let words = image.code().flat_map(|(base, bytes)| (base.get()..).step_by(4).zip(bytes.as_chunks().0));
    let point = |(va, word): (u64, &[u8; 4])| Some((ImageVa::new(va), kind(u32::from_le_bytes(*word))?));
    words.filter_map(point).collect()
}

/// What the instruction `word` is.
const fn kind(word: u32) -> Option<PointKind> {
    const YIELD: u32 = 0xd503_203f;
    match word {
        YIELD => Some(PointKind::Wait),
        // STLR, STLRB, STLRH: of all sizes.
        _ if word & 0x3fff_fc00 == 0x089f_fc00 => Some(PointKind::Release),
        // LDAXR and its relatives.
        _ if word & 0x3fff_fc00 == 0x085f_fc00 => Some(PointKind::Lock),
        // DSB, but for the forms that are SSBB, PSSBB and a hint of the nXS kind.
        _ if word & 0xffff_f0ff == 0xd503_309f && word & 0xb00 != 0 => Some(PointKind::Dsb),
        // SYS with CRn = 8 or 9.
        _ if word & 0xfff8_e000 == 0xd508_8000 => Some(PointKind::Tlbi),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_known_by_their_words() {
        for (word, expected) in [
            (0xd503_203f, Some(PointKind::Wait)),
            (0xc89f_fc1b, Some(PointKind::Release)),
            (0x089f_fc00, Some(PointKind::Release)),
            (0x085f_fc08, Some(PointKind::Lock)),
            (0xc85f_fc08, Some(PointKind::Lock)),
            (0xd503_3b9f, Some(PointKind::Dsb)),
            (0xd503_3f9f, Some(PointKind::Dsb)),
            (0xd503_3fbf, None),
            (0xd50c_8020, Some(PointKind::Tlbi)),
            (0xd50b_7a20, None),
            (0xd503_3fdf, None),
        ] {
            assert_eq!(kind(word), expected, "{word:#x}");
        }
    }
}
