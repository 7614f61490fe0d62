//! Changes to a device tree where it lies (Devicetree Specification 0.4, chapter 5: flattened format).
//!
//! The host gets the tree that the loader made, less what the hypervisor keeps. What goes is overwritten with NOP
//! tokens; what comes is moved in, and everything behind it moves on within the space that the tree's header claims.
//! No memory is needed besides the tree itself, and a tree that is malformed or full is an error, never a panic.

use core::ops::Range;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
/// A tree nests no deeper than this here.
const MAX_DEPTH: usize = 16;

/// Offsets of header fields (5.2).
mod header {
    pub(super) const TOTALSIZE: usize = 4;
    pub(super) const OFF_DT_STRUCT: usize = 8;
    pub(super) const OFF_DT_STRINGS: usize = 12;
    pub(super) const OFF_MEM_RSVMAP: usize = 16;
    pub(super) const SIZE_DT_STRINGS: usize = 32;
    pub(super) const SIZE_DT_STRUCT: usize = 36;
    /// All of it.
    pub(super) const SIZE: usize = 40;
}

/// Why a tree cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FdtError {
    /// It breaks the format.
    #[error("the device tree is malformed at byte {0:#x}")]
    Malformed(usize),
    /// Its size leaves no room for what is to be added.
    #[error("the device tree has no room for {0} more bytes")]
    Full(usize),
}

/// A node: where it lies, as byte offsets into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its BEGIN_NODE token.
    start: usize,
    /// Where its properties begin.
    body: usize,
    /// Behind its END_NODE token.
    end: usize,
}

/// A tree that is being changed. Offsets found before an insertion are stale after it.
#[derive(Debug)]
pub struct Editor<'a> {
    tree: &'a mut [u8],
}

/// A property: where all of it and where its value lies, as byte offsets into the tree.
struct Property {
    whole: Range<usize>,
    value: Range<usize>,
}

/// One token of the structure block.
enum Token<'t> {
    Begin(&'t [u8]),
    End,
    Prop { name: usize, value: Range<usize> },
    Nop,
}

impl<'a> Editor<'a> {
    /// The tree in `tree`, whose header has been checked by whoever parsed it.
    ///
    /// # Errors
    /// [`FdtError::Malformed`] when its blocks are not inside of it in the order structure, strings.
    pub fn new(tree: &'a mut [u8]) -> Result<Self, FdtError> {
        let editor = Self { tree };
        let total = editor.word(header::TOTALSIZE)?;
        let (structure, strings) = (editor.structure()?, editor.strings()?);
        let ordered = structure.end <= strings.start && strings.end <= total && total <= editor.tree.len();
        let ordered = ordered && structure.start >= header::SIZE;
        let aligned = structure.start.is_multiple_of(4) && structure.end.is_multiple_of(4);
        if ordered && aligned { Ok(editor) } else { Err(FdtError::Malformed(0)) }
    }

    fn word(&self, at: usize) -> Result<usize, FdtError> {
        let bytes = self.tree.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map(|bytes| u32::from_be_bytes(*bytes) as usize).ok_or(FdtError::Malformed(at))
    }

    fn set_word(&mut self, at: usize, value: usize) -> Result<(), FdtError> {
        let value = u32::try_from(value).map_err(|_| FdtError::Malformed(at))?;
        let place = self.tree.get_mut(at..at + 4).ok_or(FdtError::Malformed(at))?;
        place.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn block(&self, offset: usize, size: usize) -> Result<Range<usize>, FdtError> {
        let (start, size) = (self.word(offset)?, self.word(size)?);
        start.checked_add(size).map(|end| start..end).ok_or(FdtError::Malformed(offset))
    }

    fn structure(&self) -> Result<Range<usize>, FdtError> {
        self.block(header::OFF_DT_STRUCT, header::SIZE_DT_STRUCT)
    }

    fn strings(&self) -> Result<Range<usize>, FdtError> {
        self.block(header::OFF_DT_STRINGS, header::SIZE_DT_STRINGS)
    }

    /// The zero-terminated text at `at`, without the zero.
    fn text(&self, at: usize) -> Result<&[u8], FdtError> {
        let rest = self.tree.get(at..).ok_or(FdtError::Malformed(at))?;
        let len = rest.iter().position(|&byte| byte == 0).ok_or(FdtError::Malformed(at))?;
        Ok(&rest[..len])
    }

    /// The token at `at`, and where the next one is.
    fn token(&self, at: usize) -> Result<(Token<'_>, usize), FdtError> {
        if at >= self.structure()?.end {
            return Err(FdtError::Malformed(at));
        }
        let body = at + 4;
        Ok(match self.word(at)? as u32 {
            BEGIN_NODE => {
                let name = self.text(body)?;
                (Token::Begin(name), (body + name.len() + 1).next_multiple_of(4))
            }
            END_NODE => (Token::End, body),
            NOP => (Token::Nop, body),
            PROP => {
                let (len, name) = (self.word(body)?, self.word(body + 4)?);
                let value = body + 8..(body + 8).saturating_add(len);
                let next = value.end.checked_next_multiple_of(4).filter(|&next| next <= self.tree.len());
                (Token::Prop { name, value }, next.ok_or(FdtError::Malformed(at))?)
            }
            _ => return Err(FdtError::Malformed(at)),
        })
    }

    /// The node whose BEGIN_NODE token is at `start`.
    fn node_at(&self, start: usize) -> Result<Node, FdtError> {
        let (Token::Begin(_), body) = self.token(start)? else { return Err(FdtError::Malformed(start)) };
        let (mut at, mut depth) = (body, 1);
        while depth != 0 {
            let (token, next) = self.token(at)?;
            match token {
                Token::Begin(_) if depth == MAX_DEPTH => return Err(FdtError::Malformed(at)),
                Token::Begin(_) => depth += 1,
                Token::End => depth -= 1,
                Token::Prop { .. } | Token::Nop => {}
            }
            at = next;
        }
        Ok(Node { start, body, end: at })
    }

    /// The root.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn root(&self) -> Result<Node, FdtError> {
        let mut at = self.structure()?.start;
        while let (Token::Nop, next) = self.token(at)? {
            at = next;
        }
        self.node_at(at)
    }

    /// The first child of `parent` whose name, with or without its unit address, is `name`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn child(&self, parent: Node, name: &str) -> Result<Option<Node>, FdtError> {
        self.find_child(parent, |_, found| {
            let plain = found.split(|&byte| byte == b'@').next();
            Ok(found == name.as_bytes() || plain == Some(name.as_bytes()))
        })
    }

    /// The first child of `parent` whose `compatible` contains `model`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn compatible_child(&self, parent: Node, model: &str) -> Result<Option<Node>, FdtError> {
        self.find_child(parent, |node, _| {
            let value = self.property(node, "compatible")?.map(|property| &self.tree[property.value]);
            Ok(value.is_some_and(|value| value.split(|&byte| byte == 0).any(|one| one == model.as_bytes())))
        })
    }

    fn find_child(
        &self,
        parent: Node,
        wanted: impl Fn(Node, &[u8]) -> Result<bool, FdtError>,
    ) -> Result<Option<Node>, FdtError> {
        let mut at = parent.body;
        while at < parent.end {
            let (token, next) = self.token(at)?;
            let Token::Begin(name) = token else {
                at = next;
                continue;
            };
            let node = self.node_at(at)?;
            if wanted(node, name)? {
                return Ok(Some(node));
            }
            at = node.end;
        }
        Ok(None)
    }

    /// Property `name` of `node`.
    fn property(&self, node: Node, name: &str) -> Result<Option<Property>, FdtError> {
        let mut at = node.body;
        loop {
            let (token, next) = self.token(at)?;
            match token {
                Token::Prop { name: offset, value } => {
                    let strings = self.strings()?.start;
                    if self.text(strings.saturating_add(offset))? == name.as_bytes() {
                        return Ok(Some(Property { whole: at..next, value }));
                    }
                }
                Token::Nop => {}
                // Properties come before children (5.4.2).
                Token::Begin(_) | Token::End => return Ok(None),
            }
            at = next;
        }
    }

    fn clear(&mut self, range: Range<usize>) -> Result<(), FdtError> {
        let start = range.start;
        let words = self.tree.get_mut(range).ok_or(FdtError::Malformed(start))?;
        words.chunks_exact_mut(4).for_each(|word| word.copy_from_slice(&NOP.to_be_bytes()));
        Ok(())
    }

    /// Removes `node`. Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn remove(&mut self, node: Node) -> Result<(), FdtError> {
        self.clear(node.start..node.end)
    }

    /// Removes property `name` of `node`, if it is there. Offsets stay as they are.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn remove_property(&mut self, node: Node, name: &str) -> Result<(), FdtError> {
        self.property(node, name)?.map_or(Ok(()), |property| self.clear(property.whole))
    }

    /// Makes room for `len` bytes at `at` and fills it with zeros.
    fn make_room(&mut self, at: usize, len: usize) -> Result<(), FdtError> {
        let (total, end) = (self.word(header::TOTALSIZE)?, self.strings()?.end);
        if total.checked_sub(end).is_none_or(|room| room < len) || at > end {
            return Err(FdtError::Full(len));
        }
        self.tree.copy_within(at..end, at + len);
        self.tree[at..at + len].fill(0);
        Ok(())
    }

    /// Makes room in the structure block.
    fn grow(&mut self, at: usize, len: usize) -> Result<(), FdtError> {
        self.make_room(at, len)?;
        for field in [header::OFF_DT_STRUCT, header::OFF_DT_STRINGS, header::OFF_MEM_RSVMAP] {
            let offset = self.word(field)?;
            // The structure block itself starts before `at`, or there would be no place for it there.
            if offset >= at {
                self.set_word(field, offset + len)?;
            }
        }
        let size = self.word(header::SIZE_DT_STRUCT)?;
        self.set_word(header::SIZE_DT_STRUCT, size + len)
    }

    /// Adds `name` to the strings; its offset there.
    fn add_string(&mut self, name: &str) -> Result<usize, FdtError> {
        let strings = self.strings()?;
        let len = name.len() + 1;
        self.make_room(strings.end, len)?;
        self.tree[strings.end..strings.end + name.len()].copy_from_slice(name.as_bytes());
        self.set_word(header::SIZE_DT_STRINGS, strings.len() + len)?;
        Ok(strings.len())
    }

    /// Gives `node` a property `name` with a value of `len` zeros; where the value is. The node must not have it.
    fn add_empty(&mut self, node: Node, name: &str, len: usize) -> Result<Range<usize>, FdtError> {
        let string = self.add_string(name)?;
        self.grow(node.body, 12 + len.next_multiple_of(4))?;
        self.set_word(node.body, PROP as usize)?;
        self.set_word(node.body + 4, len)?;
        self.set_word(node.body + 8, string)?;
        Ok(node.body + 12..node.body + 12 + len)
    }

    /// Gives `node` a property it does not have, of 32-bit cells. `node` stays good but for its end.
    ///
    /// # Errors
    /// [`FdtError::Full`].
    pub fn add_cells(&mut self, node: Node, name: &str, cells: &[u32]) -> Result<(), FdtError> {
        let value = self.add_empty(node, name, cells.len() * 4)?;
        let places = self.tree[value].chunks_exact_mut(4);
        places.zip(cells).for_each(|(place, cell)| place.copy_from_slice(&cell.to_be_bytes()));
        Ok(())
    }

    /// Gives `to` a copy of `from`'s property `name`, if `from` has one, in place of its own. `from` must lie behind
    /// the start of `to`; `to` stays good but for its end.
    ///
    /// # Errors
    /// [`FdtError::Full`], [`FdtError::Malformed`].
    pub fn copy_property(&mut self, from: Node, to: Node, name: &str) -> Result<(), FdtError> {
        self.remove_property(to, name)?;
        let Some(Property { value: source, .. }) = self.property(from, name)? else { return Ok(()) };
        let target = self.add_empty(to, name, source.len())?;
        // The source has moved on with everything behind `to.body`.
        let moved = 12 + source.len().next_multiple_of(4);
        self.tree.copy_within(source.start + moved..source.end + moved, target.start);
        Ok(())
    }

    /// Gives `parent` a child `name` without contents, before its other children but behind its properties.
    ///
    /// # Errors
    /// [`FdtError::Full`], [`FdtError::Malformed`].
    pub fn add_child(&mut self, parent: Node, name: &str) -> Result<Node, FdtError> {
        let mut at = parent.body;
        while let (Token::Prop { .. } | Token::Nop, next) = self.token(at)? {
            at = next;
        }
        let body = at + (4 + name.len() + 1).next_multiple_of(4);
        self.grow(at, body + 4 - at)?;
        self.set_word(at, BEGIN_NODE as usize)?;
        self.tree[at + 4..at + 4 + name.len()].copy_from_slice(name.as_bytes());
        self.set_word(body, END_NODE as usize)?;
        Ok(Node { start: at, body, end: body + 4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtoolkit::fdt::Fdt;
    use dtoolkit::{Node as _, Property as _};

    /// A tree of `total` bytes: / { compatible; chosen { bootargs; module@50 { bootargs } }; smmu@90 { compatible } }.
    fn tree(total: usize) -> Vec<u8> {
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
        let header = [
            0xd00d_feed,
            total,
            offset,
            offset + structure.len(),
            40,
            17,
            16,
            0,
            strings.len(),
            structure.len(),
        ];
        header.into_iter().for_each(|value| tree.extend((value as u32).to_be_bytes()));
        tree.extend([0; 16]);
        tree.extend(structure);
        tree.extend(strings);
        tree.resize(total, 0);
        tree
    }

    fn text(tree: &[u8], path: &str, name: &str) -> Option<String> {
        let fdt = Fdt::new(tree).unwrap();
        let node = fdt.find_node(path)?;
        let property = node.property(name)?;
        Some(property.value_as::<&str>().unwrap().to_owned())
    }

    #[test]
    fn a_property_replaces_anothers_and_the_rest_stays() {
        let mut bytes = tree(1024);
        let mut editor = Editor::new(&mut bytes).unwrap();
        let chosen = editor.child(editor.root().unwrap(), "chosen").unwrap().unwrap();
        let module = editor.compatible_child(chosen, "multiboot,module").unwrap().unwrap();
        editor.copy_property(module, chosen, "bootargs").unwrap();
        assert_eq!(text(&bytes, "/chosen", "bootargs").unwrap(), "console=ttyAMA0 quiet");
        assert_eq!(text(&bytes, "/chosen/module@50", "bootargs").unwrap(), "console=ttyAMA0 quiet");
        assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
    }

    #[test]
    fn what_is_removed_is_gone_and_its_neighbours_stay() {
        let mut bytes = tree(1024);
        let mut editor = Editor::new(&mut bytes).unwrap();
        let root = editor.root().unwrap();
        let chosen = editor.child(root, "chosen").unwrap().unwrap();
        editor.remove_property(chosen, "bootargs").unwrap();
        editor.remove_property(chosen, "bootargs").unwrap();
        let smmu = editor.compatible_child(root, "arm,smmu-v3").unwrap().unwrap();
        editor.remove(smmu).unwrap();
        assert_eq!(editor.compatible_child(root, "arm,smmu-v3").unwrap(), None);
        assert_eq!(text(&bytes, "/chosen", "bootargs"), None);
        assert_eq!(text(&bytes, "/smmu@90", "compatible"), None);
        assert_eq!(text(&bytes, "/chosen/module@50", "compatible").unwrap(), "multiboot,module");
        assert_eq!(text(&bytes, "/", "compatible").unwrap(), "machine");
    }

    #[test]
    fn a_child_comes_with_its_properties() {
        let mut bytes = tree(1024);
        let mut editor = Editor::new(&mut bytes).unwrap();
        let root = editor.root().unwrap();
        let parent = editor.add_child(root, "reserved-memory").unwrap();
        editor.add_cells(parent, "#size-cells", &[2]).unwrap();
        let child = editor.add_child(parent, "hypervisor").unwrap();
        editor.add_cells(child, "no-map", &[]).unwrap();
        editor.add_cells(child, "reg", &[0, 0x4000_0000, 0, 0x20_0000]).unwrap();
        let fdt = Fdt::new(&bytes).unwrap();
        let node = fdt.find_node("/reserved-memory/hypervisor").unwrap();
        assert!(node.property("no-map").is_some());
        let reg = node.property("reg").unwrap();
        assert_eq!(reg.value_as::<[u32; 4]>().unwrap(), [0, 0x4000_0000, 0, 0x20_0000]);
        assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
    }

    #[test]
    fn a_full_tree_is_an_error_and_is_still_a_tree() {
        let used = tree(1024).iter().rposition(|&byte| byte != 0).unwrap() + 2;
        for total in [used, used + 40] {
            let mut bytes = tree(total);
            let mut editor = Editor::new(&mut bytes).unwrap();
            let root = editor.root().unwrap();
            let grown = editor.add_child(root, &"n".repeat(64));
            assert!(matches!(grown, Err(FdtError::Full(_))), "{total}: {grown:?}");
            assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_tree_makes_it_panic(changes in proptest::collection::vec((0_usize..420, 0_u8..), 1..8)) {
            let mut bytes = tree(420);
            for (at, value) in changes {
                bytes[at] = value;
            }
            let edit = |bytes: &mut [u8]| -> Result<(), FdtError> {
                let mut editor = Editor::new(bytes)?;
                let root = editor.root()?;
                if let Some(smmu) = editor.compatible_child(root, "arm,smmu-v3")? {
                    editor.remove(smmu)?;
                }
                if let Some(chosen) = editor.child(root, "chosen")?
                    && let Some(module) = editor.compatible_child(chosen, "multiboot,module")?
                {
                    editor.copy_property(module, chosen, "bootargs")?;
                }
                let child = editor.add_child(root, "reserved-memory")?;
                editor.add_cells(child, "reg", &[1, 2])
            };
            let _ = edit(&mut bytes);
        }
    }
}
