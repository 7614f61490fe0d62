//! Texts that occur often, each once, with a number.

use std::collections::HashMap;

use serde::Serialize;

use parallax_engine::visible;

/// What stands at some addresses: its text, and a letter for how it is drawn.
///
/// | letter | stage 2 | page states |
/// | --- | --- | --- |
/// | `m`, `d` | mapped as memory, as a device | |
/// | `h`, `g`, `x` | annotated for the hypervisor, for another, malformed | |
/// | `o`, `s`, `p`, `n` | | the host's own, shared, the hypervisor's, nobody's |
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Value(pub(super) String, pub(super) char);

/// The texts so far.
#[derive(Debug, Default)]
pub(super) struct Intern {
    values: HashMap<Value, usize>,
    texts: HashMap<String, usize>,
}

impl Intern {
    /// The number of a value.
    pub(super) fn value(&mut self, text: String, kind: char) -> usize {
        let next = self.values.len();
        *self.values.entry(Value(visible::line(&text).into_owned(), kind)).or_insert(next)
    }

    /// The number of a text.
    pub(super) fn text(&mut self, text: &str) -> usize {
        self.number(visible::line(text).into_owned())
    }

    /// The number of a text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> usize {
        self.number(visible::lines(text))
    }

    fn number(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.texts.entry(text).or_insert(next)
    }

    /// All values and texts by number.
    pub(super) fn into_lists(self) -> (Vec<Value>, Vec<String>) {
        (by_number(self.values), by_number(self.texts))
    }
}

fn by_number<T>(numbers: HashMap<T, usize>) -> Vec<T> {
    let mut all: Vec<(T, usize)> = numbers.into_iter().collect();
    all.sort_by_key(|(_, number)| *number);
    all.into_iter().map(|(text, _)| text).collect()
}
