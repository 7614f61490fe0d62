//! Addresses that a text names.

use parallax_model::AddressMap;

/// The address that `text` begins with: `ram+0x20000..+0x21000`, `hyp`, `pool_end`, `0x1000`.
pub(super) fn address(text: &str, names: &AddressMap) -> Option<u64> {
    let first = text.split("..").next()?.trim();
    let (name, offset) = match first.split_once('+') {
        Some((name, offset)) => (name, hexadecimal(offset)?),
        None => (first, 0),
    };
    if let Some(number) = hexadecimal(name) {
        return Some(number);
    }
    let base = match name.strip_suffix("_end").and_then(|name| names.region(name)) {
        Some(region) => region.end(),
        None => names.region(name)?.base,
    };
    Some(base.wrapping_add(offset))
}

/// The page that an operation is about: its `ipa=` or `pfn=`.
pub(super) fn page(operation: &str, names: &AddressMap) -> Option<u64> {
    operation.split_whitespace().find_map(|word| {
        let (key, value) = word.split_once('=')?;
        let (name, offset) = value.split_once('+').unwrap_or((value, "0x0"));
        match key {
            "ipa" => address(value, names).map(|at| at & !0xfff),
            "pfn" => match hexadecimal(name) {
                Some(frame) => Some(frame << 12),
                None => address(name, names).map(|base| base + (hexadecimal(offset).unwrap_or(0) << 12)),
            },
            _ => None,
        }
    })
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use parallax_model::Span;
    use parallax_model::snapshot::Layout;

    use super::*;

    #[test]
    fn names_are_read_back() {
        let names = AddressMap::new([("ram", Span::new(0x4000_0000, 0x1000_0000))], &Layout::default());
        let cases = [
            ("ram+0x20000..+0x21000", Some(0x4002_0000)),
            ("ram", Some(0x4000_0000)),
            ("ram_end", Some(0x5000_0000)),
            ("0x1000..0x2000", Some(0x1000)),
            ("nowhere+0x1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(address(text, &names), expected, "{text}");
        }
        assert_eq!(page("host_donate_hyp pfn=ram+0x20 nr=4", &names), Some(0x4002_0000));
        assert_eq!(page("dma_write sid=8 ipa=ram+0x20008", &names), Some(0x4002_0000));
        assert_eq!(page("snapshot", &names), None);
    }
}
