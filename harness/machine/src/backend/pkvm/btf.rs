//! Structures by BTF (Linux, Documentation/bpf/btf.rst), which stands in the kernel's image.
//!
//! Only what is asked for is read: a structure by its name, and its members with their places. The image is foreign: every step
//! is bounded, and what does not fit is absent.

use parallax_model::{Field, Member};

/// The first bytes of it, little-endian: magic, version 1, no flags, a header of 24 bytes.
const START: [u8; 8] = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
const HEADER: usize = 24;
/// More members are not believed.
const MOST_MEMBERS: usize = 1 << 12;
/// The longest chain of typedefs, arrays and qualifiers, and the most structures in a structure.
const MOST_STEPS: usize = 16;

/// Kinds of types.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// The types of a kernel.
#[derive(Debug)]
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; type 1 is the first.
    starts: Vec<usize>,
}

/// A structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Structure {
    /// Its size in bytes.
    pub(super) size: u64,
    /// Name, first bit and bits of each member, those of a nested structure without a name among them; 0 bits where that is not known.
    pub(super) members: Vec<(String, u64, u64)>,
}

impl Structure {
    /// The place of member `name`, in bytes.
    pub(super) fn offset(&self, name: &str) -> Option<u64> {
        self.members.iter().find(|(known, ..)| known == name).map(|(_, bit, _)| bit / 8)
    }

    /// The field that member `name` is.
    pub(super) fn field(&self, name: &str) -> Option<Field> {
        let (_, bit, bits) = self.members.iter().find(|(known, ..)| known == name)?;
        let field = Field { shift: u8::try_from(*bit).ok()?, bits: u8::try_from(*bits).ok()? };
        (*bits != 0 && bit + bits <= 64).then_some(field)
    }
}

/// The fixed part of a type.
#[derive(Clone, Copy)]
struct Type {
    name: usize,
    kind: u32,
    members: usize,
    bitfields: bool,
    /// Its size, or another type.
    value: u32,
}

impl<'a> Btf<'a> {
    /// Finds it in `image`.
    pub(super) fn find(image: &'a [u8]) -> Option<Self> {
        let starts = image.windows(START.len()).enumerate().step_by(4).filter(|(_, part)| *part == START);
        starts.filter_map(|(at, _)| Self::at(image.get(at..)?)).find(|btf| !btf.starts.is_empty())
    }

    /// That which begins with `bytes`.
    fn at(bytes: &'a [u8]) -> Option<Self> {
        let number = |at| word(bytes, at).map(|word| word as usize);
        let part = |offset: usize, len: usize| {
            let from = HEADER.checked_add(offset)?;
            bytes.get(from..from.checked_add(len)?)
        };
        let types = part(number(8)?, number(12)?)?;
        let strings = part(number(16)?, number(20)?)?;
        let mut btf = Self { types, strings, starts: Vec::new() };
        let mut at = 0;
        while at < types.len() {
            btf.starts.push(at);
            at = at.checked_add(12 + behind(&btf.fixed(at)?))?;
        }
        (at == types.len()).then_some(btf)
    }

    fn fixed(&self, at: usize) -> Option<Type> {
        let (name, info, value) =
            (word(self.types, at)?, word(self.types, at + 4)?, word(self.types, at + 8)?);
        Some(Type {
            name: name as usize,
            kind: info >> 24 & 0x1f,
            members: (info & 0xffff) as usize,
            bitfields: info >> 31 != 0,
            value,
        })
    }

    fn numbered(&self, id: u32) -> Option<(usize, Type)> {
        let at = *self.starts.get((id as usize).checked_sub(1)?)?;
        Some((at, self.fixed(at)?))
    }

    fn name(&self, offset: usize) -> Option<&'a str> {
        let rest = self.strings.get(offset..)?;
        let end = rest.iter().take(512).position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    /// The structure called `name`.
    pub(super) fn structure(&self, name: &str) -> Option<Structure> {
        self.starts.iter().find_map(|at| {
            let fixed = self.fixed(*at)?;
            let found = fixed.kind == kind::STRUCT && self.name(fixed.name) == Some(name);
            found.then(|| self.members(*at, &fixed)).flatten()
        })
    }

    /// What members of members lead to, from the structure called `name` on: its place and its size in bytes.
    pub(super) fn place(&self, name: &str, path: &[&str]) -> Option<Member> {
        let mut starts = self.starts.iter().filter_map(|at| Some((*at, self.fixed(*at)?)));
        let (mut at, mut fixed) =
            starts.find(|(_, fixed)| fixed.kind == kind::STRUCT && self.name(fixed.name) == Some(name))?;
        let (mut bit, mut bits) = (0_u64, 0);
        for (step, name) in path.iter().enumerate() {
            let (_, from, len, id) =
                self.listed(at, &fixed)?.into_iter().find(|(known, ..)| known == name)?;
            (bit, bits) = (bit.checked_add(from)?, len);
            if step + 1 < path.len() {
                (at, fixed) = self.structured(id)?;
            }
        }
        let whole = bit.is_multiple_of(8) && matches!(bits, 8 | 16 | 32 | 64);
        whole.then_some(Member { offset: bit / 8, bytes: (bits / 8) as u8 })
    }

    /// The structure that type `id` is.
    fn structured(&self, mut id: u32) -> Option<(usize, Type)> {
        for _ in 0..MOST_STEPS {
            let (at, fixed) = self.numbered(id)?;
            match fixed.kind {
                kind::STRUCT | kind::UNION => return Some((at, fixed)),
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = fixed.value;
                }
                _ => return None,
            }
        }
        None
    }

    fn members(&self, at: usize, fixed: &Type) -> Option<Structure> {
        let listed = self.listed(at, fixed)?;
        let members = listed.into_iter().map(|(name, bit, bits, _)| (name, bit, bits)).collect();
        Some(Structure { size: fixed.value.into(), members })
    }

    /// Name, first bit, bits and type of each member.
    fn listed(&self, at: usize, fixed: &Type) -> Option<Vec<(String, u64, u64, u32)>> {
        let mut members = Vec::new();
        let mut open = vec![(at, *fixed, 0_u64)];
        let mut steps = 0..MOST_STEPS;
        while let Some((at, fixed, base)) = open.pop() {
            steps.next()?;
            for number in 0..fixed.members {
                let at = at + 12 + 12 * number;
                let (name, id, place) =
                    (word(self.types, at)?, word(self.types, at + 4)?, word(self.types, at + 8)?);
                let (bit, bits) = if fixed.bitfields { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
                let bit = base + u64::from(bit);
                let name = self.name(name as usize)?;
                match self.numbered(id).filter(|(_, inner)| matches!(inner.kind, kind::STRUCT | kind::UNION))
                {
                    Some((at, inner)) if name.is_empty() => open.push((at, inner, bit)),
                    _ => {
                        let bits = if bits == 0 { self.bits(id).unwrap_or(0) } else { bits.into() };
                        members.push((name.to_owned(), bit, bits, id));
                    }
                }
                if members.len() + open.len() > MOST_MEMBERS {
                    return None;
                }
            }
        }
        Some(members)
    }

    /// How many bits type `id` has.
    fn bits(&self, mut id: u32) -> Option<u64> {
        let mut count = 1_u64;
        for _ in 0..MOST_STEPS {
            let (at, fixed) = self.numbered(id)?;
            match fixed.kind {
                kind::INT | kind::ENUM | kind::ENUM64 | kind::STRUCT | kind::UNION => {
                    return count.checked_mul(u64::from(fixed.value).checked_mul(8)?);
                }
                kind::PTR => return count.checked_mul(64),
                kind::ARRAY => {
                    id = word(self.types, at + 12)?;
                    count = count.checked_mul(word(self.types, at + 20)?.into())?;
                }
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = fixed.value;
                }
                _ => return None,
            }
        }
        None
    }
}

/// Bytes of what follows the fixed part.
const fn behind(fixed: &Type) -> usize {
    match fixed.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * fixed.members,
        kind::ENUM | kind::FUNC_PROTO => 8 * fixed.members,
        _ => 0,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use parallax_hostile::{cases, changed};
    use proptest::prelude::*;

    use super::*;

    /// `struct hyp_page { u16 refcount; u8 order; unsigned __host: 4, __hyp: 4; }`, behind some padding.
    pub(in crate::backend::pkvm) fn image() -> Vec<u8> {
        let strings = b"\0u16\0u8\0hyp_page\0refcount\0order\0__host\0__hyp\0";
        let name = |word: &str| {
            let word = format!("\0{word}\0");
            strings.windows(word.len()).position(|part| part == word.as_bytes()).unwrap() as u32 + 1
        };
        let mut types: Vec<u32> = vec![name("u16"), 1 << 24, 2, 16, name("u8"), 1 << 24, 1, 8];
        types.extend([name("hyp_page"), 1 << 31 | 4 << 24 | 4, 4]);
        for (member, id, place) in
            [("refcount", 1, 0), ("order", 2, 16), ("__host", 2, 4 << 24 | 24), ("__hyp", 2, 4 << 24 | 28)]
        {
            types.extend([name(member), id, place]);
        }
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut image = vec![0; 16];
        image.extend(START);
        for number in [0, types.len(), types.len(), strings.len()] {
            image.extend((number as u32).to_le_bytes());
        }
        image.extend(types);
        image.extend(strings);
        image
    }

    #[test]
    fn a_structure_is_found_with_its_bit_fields() {
        let image = image();
        let page = Btf::find(&image).unwrap().structure("hyp_page").unwrap();
        let field = |shift, bits| Some(Field { shift, bits });
        assert_eq!((page.size, page.offset("order")), (4, Some(2)));
        assert_eq!(page.field("refcount"), field(0, 16));
        assert_eq!((page.field("__host"), page.field("__hyp")), (field(24, 4), field(28, 4)));
        assert_eq!(page.field("none"), None);
        let btf = Btf::find(&image).unwrap();
        assert!(btf.structure("other").is_none());
        assert_eq!(btf.place("hyp_page", &["order"]), Some(Member { offset: 2, bytes: 1 }));
        for path in [&["none"][..], &["order", "none"], &["__host"]] {
            assert_eq!(btf.place("hyp_page", path), None, "{path:?}");
        }
    }

    proptest! {
        #![proptest_config(cases(512))]

        #[test]
        fn no_image_ends_in_a_panic(image in changed(vec![image()])) {
            if let Some(btf) = Btf::find(&image) {
                let _ = (btf.structure("hyp_page"), btf.place("hyp_page", &["order", "order"]));
                (0..8).for_each(|id| _ = btf.bits(id));
            }
        }
    }
}
