//! Places in a text that is read piece by piece.

/// Line and column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// Where a text begins.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// Where one is behind `text`, which begins here.
    pub(super) fn behind(self, text: &str) -> Self {
        match text.rsplit_once('\n') {
            None => Self { line: self.line, column: self.column + text.chars().count() },
            Some((before, rest)) => {
                Self { line: self.line + 1 + line_feeds(before), column: 1 + rest.chars().count() }
            }
        }
    }
}

/// How many there are: a large text is passed over many times.
fn line_feeds(text: &str) -> usize {
    // No sum of so few bytes is too large for one.
    let few = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(*byte == b'\n')));
    text.as_bytes().chunks(0xff).map(|bytes| usize::from(few(bytes))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_on() {
        let place = |text: &str| {
            let Place { line, column } = Place { line: 3, column: 5 }.behind(text);
            (line, column)
        };
        assert_eq!(place(""), (3, 5));
        assert_eq!(place("aé"), (3, 7));
        assert_eq!(place("a\n\né"), (5, 2));
        assert_eq!(place(&"\n".repeat(1000)), (1003, 1));
    }
}
