//! Names of functions, as short as a reader needs them.

/// A demangled name without the hash that the compiler appends and without the arguments of generics:
/// `<core::result::Result<u8, E>>::map::<F>` becomes `<Result>::map`.
pub(super) fn readable(name: &str) -> String {
    let name = without_hash(name);
    let mut text = String::with_capacity(name.len().min(80));
    let mut rest = name;
    while let Some(open) = rest.find('<') {
        let close = matching(&rest[open..]).map_or(rest.len(), |length| open + length);
        let inner = rest[open + 1..close].trim_end_matches('>');
        text.push_str(&rest[..open]);
        if text.ends_with("::") {
            text.truncate(text.len() - 2);
        } else if open == 0 {
            let head = inner.split(['<', ' ']).next().unwrap_or_default();
            text.push('<');
            text.push_str(head.rsplit("::").next().unwrap_or_default());
            text.push('>');
        }
        rest = &rest[close..];
    }
    text.push_str(rest);
    text
}

/// Length of the bracketed part that `text` begins with; the `>` of an arrow closes nothing.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => (),
        }
        before = c;
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
    }
    None
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit()) => before,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn generics_and_hashes_are_left_out() {
        for (name, short) in [
            ("hyp::boot::fatal::h0123456789abcdef", "hyp::boot::fatal"),
            ("hyp::boot::fatal::<hyp_core::Hyp<A, B>>::{closure#0}", "hyp::boot::fatal::{closure#0}"),
            ("<core::result::Result<u8, E>>::map::<fn(u8) -> u8>", "<Result>::map"),
            ("<hyp::Frame as hyp_core::hw::Mmio>::read32", "<Frame>::read32"),
            ("broken::<name", "broken"),
            ("boot_main", "boot_main"),
        ] {
            assert_eq!(readable(name), short);
        }
    }
}
