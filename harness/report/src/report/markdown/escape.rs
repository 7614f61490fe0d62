//! Texts of others in Markdown: in code or escaped, so that they can neither mention anybody nor open or close anything.

/// A block of code, cut to `room` bytes, in which nothing can end it.
pub(super) fn fenced(language: &str, text: &str, room: usize) -> String {
    let (text, cut) = shortened(text.trim_end(), room);
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let mut block = format!("{fence}{language}\n{text}\n{fence}\n");
    if cut > 0 {
        block.push_str(&format!("\n… and {cut} more lines.\n"));
    }
    block
}

/// The first lines, as many as fit, and how many were left out.
fn shortened(text: &str, room: usize) -> (&str, usize) {
    if text.len() <= room {
        return (text, 0);
    }
    let fits = text.char_indices().take_while(|(at, _)| *at < room).filter(|(_, c)| *c == '\n').last();
    let end = fits.map_or(0, |(at, _)| at);
    (&text[..end], text[end..].trim_start_matches('\n').lines().count())
}

/// `text` in a line as code, in which nothing can end it.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let (ticks, space) = match longest_run(&text) {
        0 => (1, ""),
        run => (run + 1, " "),
    };
    let ticks = "`".repeat(ticks);
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// How many backticks stand side by side, at most.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// `text` where HTML is read.
pub(super) fn html(text: &str) -> String {
    let escaped = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        // Markdown is read inside of HTML's elements, too.
        '`' | '*' | '[' | ']' | '@' | '#' | '|' | '~' | '\\' => format!("&#{};", u32::from(c)),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}
