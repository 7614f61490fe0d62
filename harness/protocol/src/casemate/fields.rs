//! The fields of one event, in the order in which they stand.

use super::sexp::{Error, Item, Node, Reader};

/// Them, as they are taken one by one.
pub(super) struct Fields<'r, 'a> {
    reader: &'r Reader<'a>,
    pub(super) at: usize,
    pub(super) name: &'a str,
    pub(super) id: u64,
    pub(super) tid: u16,
    named: bool,
    /// Items that are taken: a bit for each place among all nodes of the event.
    taken: [u64; MAX_NODES.div_ceil(64)],
    /// The first node that is not taken, or one before it.
    first: usize,
    source: Option<Item<'a>>,
}

/// An event with a list in each of its items, and an item more than they may have.
const MAX_NODES: usize = (super::sexp::MAX_ITEMS + 1) * (super::sexp::MAX_ITEMS + 1);

impl<'r, 'a> Fields<'r, 'a> {
    /// Those of the list that `reader` stands behind, which begins at `at`.
    pub(super) fn new(reader: &'r Reader<'a>, at: usize) -> Result<Self, Error> {
        let nodes = reader.nodes();
        let Some(Node { item: Item::Word(name), .. }) = nodes.first() else {
            return Err(reader.error(at, "expected the name of an event after `(`"));
        };
        let named = matches!(nodes.get(1), Some(Node { item: Item::List(_), .. }));
        let mut fields = Self {
            reader,
            at,
            name,
            id: 0,
            tid: 0,
            named,
            taken: [0; MAX_NODES.div_ceil(64)],
            first: 1,
            source: None,
        };
        fields.id = fields.decimal("id", u64::MAX)?;
        fields.tid = fields.decimal("tid", u64::from(u16::MAX))? as u16;
        if !named
            && let Some(index) = fields.next_from(1)
            && let item @ Item::Text(_) = fields.nodes()[index].item
        {
            fields.take_node(index);
            fields.source = Some(item);
        }
        Ok(fields)
    }

    fn nodes(&self) -> &'r [Node<'a>] {
        self.reader.nodes()
    }

    /// The item behind the one at `index`.
    fn behind(&self, index: usize) -> usize {
        match self.nodes()[index].item {
            Item::List(items) => index + 1 + items,
            _ => index + 1,
        }
    }

    /// The first item from `index` on that is not taken.
    fn next_from(&self, mut index: usize) -> Option<usize> {
        while index < self.nodes().len() {
            if self.taken[index / 64] >> (index % 64) & 1 == 0 {
                return Some(index);
            }
            index = self.behind(index);
        }
        None
    }

    fn take_node(&mut self, index: usize) {
        self.taken[index / 64] |= 1 << (index % 64);
        if index == self.first {
            self.first = self.behind(index);
        }
    }

    /// The items that are not taken.
    fn rest(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next_from(self.first), |index| self.next_from(self.behind(*index)))
    }

    /// Name and value of the field at `index`, in the named form.
    fn field(&self, index: usize) -> Option<(&'a str, Node<'a>)> {
        match (self.nodes()[index].item, self.nodes().get(index + 1)) {
            (Item::List(2), Some(Node { item: Item::Word(name), .. })) => {
                Some((name, self.nodes()[index + 2]))
            }
            _ => None,
        }
    }

    /// There is no event of this name.
    pub(super) fn no_event(&self) -> Error {
        self.reader.error(self.at, format!("`{}` is no event", self.name))
    }

    fn missing(&self, name: &str) -> Error {
        self.reader.error(self.at, format!("`{}` has no `{name}`", self.name))
    }

    /// The word of field `name`, and where it stands.
    fn take(&mut self, name: &str) -> Result<(usize, &'a str), Error> {
        let index = if self.named {
            self.rest().find(|index| self.field(*index).is_some_and(|(known, _)| known == name))
        } else {
            self.next_from(self.first)
        };
        let index = index.ok_or_else(|| self.missing(name))?;
        self.take_node(index);
        let value = self.field(index).filter(|_| self.named).map_or(self.nodes()[index], |(_, value)| value);
        match value.item {
            Item::Word(word) => Ok((value.at, word)),
            _ => Err(self.reader.error(value.at, format!("expected a word or number for `{name}`"))),
        }
    }

    /// A word that stands without a field's name in both forms.
    pub(super) fn flag<T>(&mut self, expected: &str, of: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let index = self.rest().find(|index| matches!(self.nodes()[*index].item, Item::Word(_)));
        let index = index.ok_or_else(|| self.missing(expected))?;
        self.take_node(index);
        let Node { at, item: Item::Word(word) } = self.nodes()[index] else {
            return Err(self.missing(expected));
        };
        self.known(at, word, expected, of)
    }

    pub(super) fn choice<T>(
        &mut self,
        name: &str,
        expected: &str,
        of: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let (at, word) = self.take(name)?;
        self.known(at, word, expected, of)
    }

    fn known<T>(
        &self,
        at: usize,
        word: &str,
        expected: &str,
        of: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        of(word)
            .or_else(|| of(&word.to_ascii_lowercase()))
            .ok_or_else(|| self.reader.error(at, format!("found `{word}`, expected {expected}")))
    }

    pub(super) fn decimal(&mut self, name: &str, most: u64) -> Result<u64, Error> {
        let (at, word) = self.take(name)?;
        let number = digits(word.as_bytes(), 10);
        number.filter(|number| *number <= most).ok_or_else(|| {
            self.reader
                .error(at, format!("found `{word}`, expected a decimal number up to {most} for `{name}`"))
        })
    }

    pub(super) fn hex(&mut self, name: &str) -> Result<u64, Error> {
        self.small(name, u64::MAX)
    }

    pub(super) fn small(&mut self, name: &str, most: u64) -> Result<u64, Error> {
        let (at, word) = self.take(name)?;
        let rest = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        let number = digits(rest.as_bytes(), 16);
        number.filter(|number| *number <= most).ok_or_else(|| {
            self.reader.error(
                at,
                format!("found `{word}`, expected a hexadecimal number up to {most:#x} for `{name}`"),
            )
        })
    }

    /// What `src` says: a string with its escapes, or a word; it is an error if any other field is left.
    pub(super) fn finish(&mut self) -> Result<Option<Item<'a>>, Error> {
        let mut source = self.source.take();
        let mut index = self.first;
        while let Some(next) = self.next_from(index) {
            let node = self.nodes()[next];
            let text = match (node.item, self.named) {
                (Item::List(_), true) => match self.field(next) {
                    Some(("src", value)) => Some(value.item),
                    _ => None,
                },
                // In the condensed form it stands behind the other fields, or in front of them.
                (Item::Text(_), false) => Some(node.item),
                _ => None,
            };
            match text {
                Some(item @ (Item::Text(_) | Item::Word(_))) if source.is_none() => source = Some(item),
                _ => return Err(self.reader.error(node.at, format!("too much for `{}`", self.name))),
            }
            index = self.behind(next);
        }
        Ok(source)
    }
}

/// The number that digits alone stand for.
fn digits(text: &[u8], base: u32) -> Option<u64> {
    let digit = |byte: &u8| char::from(*byte).to_digit(base).map(u64::from);
    let number = text
        .iter()
        .try_fold(0_u64, |number, byte| number.checked_mul(u64::from(base))?.checked_add(digit(byte)?));
    number.filter(|_| !text.is_empty())
}
