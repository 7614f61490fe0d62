//! Texts that may come from anywhere (a recording, a log, a golden, a guest), as they are shown: whatever steers a
//! terminal or the order of letters is written out.

use std::borrow::Cow;

/// `text` on one line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|letter| shown(letter, steers(letter))).collect())
}

/// `text` on as many lines as it has.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|letter| shown(letter, letter != '\n' && steers(letter))).collect()
}

fn shown(letter: char, written_out: bool) -> String {
    if written_out { letter.escape_default().to_string() } else { letter.to_string() }
}

/// Controls, and what marks, embeds, overrides or hides (Unicode's Bidi_Control and zero-width characters).
const fn steers(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_written_out_and_the_rest_stays() {
        assert_eq!(line("host_donate_hyp pfn=ram+0x20 → ok é"), "host_donate_hyp pfn=ram+0x20 → ok é");
        assert_eq!(line("nop\nfault x\u{1b}[2J\u{202e}"), r"nop\nfault x\u{1b}[2J\u{202e}");
        assert_eq!(lines("a\n\tb\r\n"), "a\n\\tb\\r\n");
    }
}
