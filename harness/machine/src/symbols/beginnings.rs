//! Where functions begin, inlined ones too: where a debugger is to stop.

use std::collections::{BTreeMap, HashMap};

use parallax_addr::ImageVa;

use super::image::{Image, Place};

/// A function, and who calls it from which line, outwards: one that is inlined twice has two.
type Chain = Vec<(String, Option<(String, u32)>)>;

impl Image {
    /// The first address of every function, by name: of one that was inlined the first in each function that it became
    /// part of.
    #[must_use]
    pub fn beginnings(&self) -> BTreeMap<String, Vec<ImageVa>> {
        let mut firsts: HashMap<Chain, ImageVa> = HashMap::new();
        for address in self.instructions() {
            let places = self.places(address);
            for inner in 0..places.len() {
                let first = firsts.entry(chain(&places[inner..])).or_insert(address);
                *first = address.min(*first);
            }
        }
        let mut found: BTreeMap<String, Vec<ImageVa>> = BTreeMap::new();
        for (chain, address) in firsts {
            let name = chain.into_iter().next().map(|(name, _)| name).unwrap_or_default();
            found.entry(name).or_default().push(address);
        }
        found.values_mut().for_each(|all| {
            all.sort_unstable();
            all.dedup();
        });
        found
    }

    /// Where the functions begin whose path is `path` or ends with it.
    #[must_use]
    pub fn begins(&self, path: &str) -> Vec<ImageVa> {
        if let Some(address) = self.function(path) {
            return vec![address];
        }
        let ends =
            |name: &str| name.strip_suffix(path).is_some_and(|head| head.is_empty() || head.ends_with("::"));
        self.beginnings().into_iter().filter(|(name, _)| ends(name)).flat_map(|(_, all)| all).collect()
    }
}

/// The innermost of `places` in its callers. In which line of itself it is does not matter.
fn chain(places: &[Place]) -> Chain {
    let line = |at: usize, place: &Place| if at == 0 { None } else { place.line.clone() };
    places.iter().enumerate().map(|(at, place)| (place.function.clone(), line(at, place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_was_inlined_twice_begins_twice() {
        let place = |function: &str, line| Place {
            function: function.to_owned(),
            offset: None,
            line: Some(("a.rs".to_owned(), line)),
        };
        let of = |own, callers| chain(&[place("inner", own), place("outer", callers)]);
        assert_eq!(of(1, 9), of(2, 9), "two instructions of one");
        assert_ne!(of(1, 9), of(1, 10), "called from two lines");
    }

    #[test]
    fn functions_without_line_tables_begin_where_their_symbols_are() {
        let symbols =
            [("second", 0x1010), ("first", 0x1000)].map(|(name, at)| (name.to_owned(), ImageVa::new(at)));
        let image = Image::of_symbols(ImageVa::new(0x1000), vec![0; 0x20], symbols.into());
        assert_eq!(image.begins("second"), [ImageVa::new(0x1010)]);
        assert_eq!(image.begins("cond"), [], "an end of a name is no end of a path");
        let expected = [("first", 0x1000), ("second", 0x1010)]
            .map(|(name, at)| (name.to_owned(), vec![ImageVa::new(at)]));
        assert_eq!(image.beginnings(), expected.into());
    }
}
