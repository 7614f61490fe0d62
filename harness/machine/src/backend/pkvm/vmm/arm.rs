//! The few A64 instructions that the program is made of (DDI 0487, C6.2), and labels.

use std::collections::BTreeMap;

/// A general register.
#[derive(Clone, Copy, Debug)]
pub(super) struct X(pub(super) u32);

/// Code under construction.
#[derive(Debug, Default)]
pub(super) struct Code {
    words: Vec<u32>,
    labels: BTreeMap<&'static str, usize>,
    /// Branches: where, whereto, and in which bits the distance is: the lowest one and how many.
    branches: Vec<(usize, &'static str, (u32, u32))>,
}

impl Code {
    fn add(&mut self, word: u32) -> &mut Self {
        self.words.push(word);
        self
    }

    fn branch(&mut self, word: u32, to: &'static str, field: (u32, u32)) -> &mut Self {
        self.branches.push((self.words.len(), to, field));
        self.add(word)
    }

    pub(super) fn label(&mut self, name: &'static str) -> &mut Self {
        self.labels.insert(name, self.words.len());
        self
    }

    /// `mov xd, #value` for any 32 bits: MOVZ, and MOVK of the upper half if there is any.
    pub(super) fn mov(&mut self, d: X, value: u32) -> &mut Self {
        self.add(0xd280_0000 | (value & 0xffff) << 5 | d.0);
        match value >> 16 {
            0 => self,
            high => self.add(0xf2a0_0000 | high << 5 | d.0),
        }
    }

    /// `mov xd, xm`.
    pub(super) fn copy(&mut self, d: X, m: X) -> &mut Self {
        self.add(0xaa00_03e0 | m.0 << 16 | d.0)
    }

    /// `add xd, xn, #imm`, of 12 bits.
    pub(super) fn add_imm(&mut self, d: X, n: X, imm: u32) -> &mut Self {
        self.add(0x9100_0000 | imm << 10 | n.0 << 5 | d.0)
    }

    /// `add xd, xn, #pages, lsl #12`.
    pub(super) fn add_pages(&mut self, d: X, n: X, pages: u32) -> &mut Self {
        self.add(0x9140_0000 | pages << 10 | n.0 << 5 | d.0)
    }

    /// `ldr xt, [xn, #offset]`.
    pub(super) fn ldr(&mut self, t: X, n: X, offset: u32) -> &mut Self {
        self.add(0xf940_0000 | (offset / 8) << 10 | n.0 << 5 | t.0)
    }

    /// `ldr wt, [xn]`.
    pub(super) fn ldr_w(&mut self, t: X, n: X) -> &mut Self {
        self.add(0xb940_0000 | n.0 << 5 | t.0)
    }

    /// `str xt, [xn]`.
    pub(super) fn str(&mut self, t: X, n: X) -> &mut Self {
        self.add(0xf900_0000 | n.0 << 5 | t.0)
    }

    /// `stur xt, [xn, #-8]`.
    pub(super) fn str_below(&mut self, t: X, n: X) -> &mut Self {
        self.add(0xf81f_8000 | n.0 << 5 | t.0)
    }

    /// `str wt, [xn]`.
    pub(super) fn str_w(&mut self, t: X, n: X) -> &mut Self {
        self.add(0xb900_0000 | n.0 << 5 | t.0)
    }

    /// `cmp xn, xm`.
    pub(super) fn cmp(&mut self, n: X, m: X) -> &mut Self {
        self.add(0xeb00_001f | m.0 << 16 | n.0 << 5)
    }

    /// `cmn xn, #imm`: whether it is minus that.
    pub(super) fn cmn(&mut self, n: X, imm: u32) -> &mut Self {
        self.add(0xb100_001f | imm << 10 | n.0 << 5)
    }

    pub(super) fn svc(&mut self) -> &mut Self {
        self.add(0xd400_0001)
    }

    pub(super) fn b(&mut self, to: &'static str) -> &mut Self {
        self.branch(0x1400_0000, to, (0, 26))
    }

    pub(super) fn b_eq(&mut self, to: &'static str) -> &mut Self {
        self.branch(0x5400_0000, to, (5, 19))
    }

    pub(super) fn b_ne(&mut self, to: &'static str) -> &mut Self {
        self.branch(0x5400_0001, to, (5, 19))
    }

    pub(super) fn cbz(&mut self, t: X, to: &'static str) -> &mut Self {
        self.branch(0xb400_0000 | t.0, to, (5, 19))
    }

    /// `tbz xt, #bit, to`.
    pub(super) fn tbz(&mut self, t: X, bit: u32, to: &'static str) -> &mut Self {
        self.branch(0x3600_0000 | bit >> 5 << 31 | (bit & 31) << 19 | t.0, to, (5, 14))
    }

    /// `tbnz xt, #bit, to`.
    pub(super) fn tbnz(&mut self, t: X, bit: u32, to: &'static str) -> &mut Self {
        self.branch(0x3700_0000 | bit >> 5 << 31 | (bit & 31) << 19 | t.0, to, (5, 14))
    }

    /// Its bytes.
    pub(super) fn finish(&self) -> Vec<u8> {
        let mut words = self.words.clone();
        for (at, to, (shift, bits)) in &self.branches {
            let distance = (self.labels[to] as u32).wrapping_sub(*at as u32);
            words[*at] |= (distance & ((1 << bits) - 1)) << shift;
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
