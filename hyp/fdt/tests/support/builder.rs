//! Trees, written as a source of them is.

/// A tree under construction.
#[derive(Default)]
pub(crate) struct Builder {
    structure: Vec<u8>,
    strings: Vec<u8>,
    /// The memory reservation block.
    pub(crate) reserved: Vec<(u64, u64)>,
}

impl Builder {
    fn word(&mut self, value: usize) {
        self.structure.extend((value as u32).to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    pub(crate) fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.word(1);
        self.padded(&[name.as_bytes(), b"\0"].concat());
        inside(self);
        self.word(2);
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        let at = self.strings.len();
        self.strings.extend([name.as_bytes(), b"\0"].concat());
        [3, value.len(), at].into_iter().for_each(|word| self.word(word));
        self.padded(value);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.bytes(name, &[value.as_bytes(), b"\0"].concat());
    }

    pub(crate) fn cells(&mut self, name: &str, cells: &[u32]) {
        self.bytes(name, &cells.iter().flat_map(|cell| cell.to_be_bytes()).collect::<Vec<_>>());
    }

    pub(crate) fn device(&mut self, name: &str, compatible: &str, reg: &[u32]) {
        self.node(name, |it| {
            it.text("compatible", compatible);
            it.cells("reg", reg);
        });
    }

    /// The tree, with `room` bytes behind it.
    pub(crate) fn done(mut self, room: usize) -> Vec<u8> {
        self.word(9);
        let reserved = self.reserved.into_iter().chain([(0, 0)]);
        let reserved: Vec<u8> =
            reserved.flat_map(|(base, size)| [base.to_be_bytes(), size.to_be_bytes()].concat()).collect();
        let (offset, len) = (40 + reserved.len(), self.structure.len());
        let strings = offset + len;
        let total = strings + self.strings.len() + room;
        let header = [0xd00d_feed, total, offset, strings, 40, 17, 16, 0, self.strings.len(), len];
        let mut tree: Vec<u8> = header.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect();
        tree.extend(reserved);
        tree.extend(self.structure);
        tree.extend(self.strings);
        tree.resize(total, 0);
        tree
    }
}
