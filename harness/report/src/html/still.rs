//! Pages without a program: their frame, the colours that all pages share, and texts in them.

use std::fmt::Write as _;

/// Colours by name, for a light and a dark page.
const COLOURS: &str = include_str!("assets/colours.css");
/// What begins the dark ones.
const DARK: &str = ":root[data-theme=dark] {";

/// A page that takes nothing from elsewhere and runs nothing. `style` is CSS with the colours of the report's pages, light or dark
/// as the reader prefers; `body` is HTML.
#[must_use]
pub fn page(title: &str, style: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title><style>\n{}{style}</style></head>\n<body>\n{body}</body></html>\n",
        colours()
    )
}

/// The colours, light or dark as the reader prefers: a page with a program sets its theme itself.
fn colours() -> String {
    let (light, rest) = COLOURS.split_once(DARK).unwrap_or((COLOURS, ""));
    let dark = rest.split('}').next().unwrap_or_default();
    let light = light.replace("color-scheme: light;", "color-scheme: light dark;");
    format!("{light}@media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n")
}

/// `text` as HTML shows it, in an element or in quotes. What steers a page or a terminal is shown as its number.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            // Writing to a string cannot fail.
            c if c.is_control() => _ = write!(escaped, "\\u{{{:x}}}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_makes_no_element() {
        assert_eq!(escape("<b a='\"'>&\u{1b}\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\\u{1b}\n");
        assert!(page("<x>", "", "").contains("<title>&lt;x&gt;</title>"));
    }

    #[test]
    fn a_page_has_all_colours_of_both_themes() {
        let page = page("x", "", "");
        for colour in ["--bg:#f5f6f8", "--bg:#12161c", "--good:#1d7a3e", "--good:#6fd08c"] {
            assert!(page.contains(colour), "{colour}");
        }
        assert_eq!(page.matches('{').count(), page.matches('}').count());
        assert!(!page.contains("data-theme") && page.contains("prefers-color-scheme: dark"));
    }
}
