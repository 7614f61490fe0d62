//! The flattened tree (Devicetree Specification 0.4, chapter 5).

use super::{Node, Tree};

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
const LAST_COMPATIBLE: u32 = 16;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;
/// Bytes of the header: ten words.
const HEADER: usize = 40;

impl Tree {
    /// The tree as boot loaders hand it on.
    #[must_use]
    pub fn flat(&self) -> Vec<u8> {
        let mut blocks = Blocks::default();
        blocks.node(&self.root);
        blocks.word(END);
        let reserved = self.reserved.iter().chain([&(0, 0)]);
        let reserved: Vec<u8> =
            reserved.flat_map(|(base, size)| [base.to_be_bytes(), size.to_be_bytes()].concat()).collect();
        let Blocks { structure, strings } = blocks;
        let at_structure = HEADER + reserved.len();
        let at_strings = at_structure + structure.len();
        let total = at_strings + strings.len();
        let sizes = [total, at_structure, at_strings, HEADER].map(|size| size as u32);
        let [total, at_structure, at_strings, at_reserved] = sizes;
        let (strings_size, structure_size) = (strings.len() as u32, structure.len() as u32);
        let header = [
            MAGIC,
            total,
            at_structure,
            at_strings,
            at_reserved,
            VERSION,
            LAST_COMPATIBLE,
            0,
            strings_size,
            structure_size,
        ];
        let mut flat: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        flat.extend([reserved, structure, strings].concat());
        flat
    }
}

#[derive(Default)]
struct Blocks {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Blocks {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn node(&mut self, node: &Node) {
        self.word(BEGIN_NODE);
        self.padded(&[node.name.as_bytes(), b"\0"].concat());
        for (name, value) in &node.properties {
            let at = self.strings.len() as u32;
            self.strings.extend([name.as_bytes(), b"\0"].concat());
            [PROP, value.len() as u32, at].into_iter().for_each(|word| self.word(word));
            self.padded(value);
        }
        node.children.iter().for_each(|child| self.node(child));
        self.word(END_NODE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tree_is_these_words() {
        let tree = Tree::parse("/dts-v1/; /memreserve/ 1 2; / { a = <7>; b { }; };").unwrap();
        let words: Vec<u32> =
            tree.flat().as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        assert_eq!(words[..10], [MAGIC, 118, 72, 116, 40, 17, 16, 0, 2, 44]);
        assert_eq!(words[10..18], [0, 1, 0, 2, 0, 0, 0, 0]);
        assert_eq!(words[18..], [1, 0, 3, 4, 0, 7, 1, 0x6200_0000, 2, 2, 9]);
    }
}
