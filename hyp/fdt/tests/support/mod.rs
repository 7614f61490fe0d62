//! A small tree, made word by word, and a look into it through another crate's parser.

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node as _, Property as _};

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;

/// A tree of `total` bytes: / { compatible; chosen { bootargs; module@50 { bootargs } }; smmu@90 { compatible } }.
pub(crate) fn tree(total: usize) -> Vec<u8> {
    let strings = b"compatible\0bootargs\0";
    let mut structure = Vec::new();
    let mut word = |value: usize| structure.extend((value as u32).to_be_bytes());
    let text = |word: &mut dyn FnMut(usize), text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((text.len() + 1).next_multiple_of(4), 0);
        bytes.chunks(4).for_each(|four| word(u32::from_be_bytes(four.try_into().unwrap()) as usize));
    };
    let begin = |word: &mut dyn FnMut(usize), name: &str| {
        word(BEGIN_NODE as usize);
        text(word, name);
    };
    let prop = |word: &mut dyn FnMut(usize), name: usize, value: &str| {
        [PROP as usize, value.len() + 1, name].into_iter().for_each(&mut *word);
        text(word, value);
    };
    begin(&mut word, "");
    prop(&mut word, 0, "machine");
    begin(&mut word, "chosen");
    prop(&mut word, 11, "hypervisor=1");
    begin(&mut word, "module@50");
    prop(&mut word, 11, "console=ttyAMA0 quiet");
    prop(&mut word, 0, "multiboot,module");
    [END_NODE, END_NODE].into_iter().for_each(|token| word(token as usize));
    begin(&mut word, "smmu@90");
    prop(&mut word, 0, "arm,smmu-v3");
    [END_NODE, END_NODE, 9].into_iter().for_each(|token| word(token as usize));
    let offset = 40 + 16;
    let mut tree = Vec::new();
    let header =
        [0xd00d_feed, total, offset, offset + structure.len(), 40, 17, 16, 0, strings.len(), structure.len()];
    header.into_iter().for_each(|value| tree.extend((value as u32).to_be_bytes()));
    tree.extend([0; 16]);
    tree.extend(structure);
    tree.extend(strings);
    tree.resize(total, 0);
    tree
}

pub(crate) fn text(tree: &[u8], path: &str, name: &str) -> Option<String> {
    let fdt = Fdt::new(tree).unwrap();
    let node = fdt.find_node(path)?;
    let property = node.property(name)?;
    Some(property.value_as::<&str>().unwrap().to_owned())
}
