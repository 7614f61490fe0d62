//! The memory that a tree gives a purpose: whoever takes memory for itself must leave it alone.

use parallax_addr::{PhysAddr, Span};

use super::{Node, Tree};

/// Memory in which something lies, or is to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where.
    pub span: Span<PhysAddr>,
    /// Nobody but a driver that knows it may map it (Devicetree Specification, 3.5.4).
    pub no_map: bool,
}

impl Tree {
    /// The memory reservation block, /reserved-memory with `reg`, and what /chosen says was loaded: an initial RAM disk, and
    /// modules (`reg` of two 64-bit numbers, as QEMU writes it).
    #[must_use]
    pub fn loaded(&self) -> Vec<Loaded> {
        let plain = |(base, size)| Loaded { span: Span::new(PhysAddr::new(base), size), no_map: false };
        let mut loaded: Vec<Loaded> = self.reserved.iter().copied().map(plain).collect();
        if let Some(reserved) = self.root.child("reserved-memory") {
            let cells = |name: &str, default| reserved.property(name).map_or(default, number);
            let (address, size) = (cells("#address-cells", 2), cells("#size-cells", 1));
            for node in &reserved.children {
                let no_map = node.property("no-map").is_some();
                loaded.extend(spans(node, address, size).map(|span| Loaded { no_map, ..plain(span) }));
            }
        }
        if let Some(chosen) = self.root.child("chosen") {
            let ends = ["linux,initrd-start", "linux,initrd-end"].map(|name| chosen.property(name));
            if let [Some(start), Some(end)] = ends.map(|value| value.map(number)) {
                loaded.push(plain((start, end.saturating_sub(start))));
            }
            let modules = chosen.children.iter().filter(|node| node.name.starts_with("module@"));
            loaded.extend(modules.flat_map(|node| spans(node, 2, 2)).map(plain));
        }
        loaded.retain(|loaded| !loaded.span.is_empty());
        loaded
    }
}

/// Pairs of `reg`, of `address` and `size` words each.
fn spans(node: &Node, address: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
    let (address, size) = (address.min(4) as usize * 4, size.min(4) as usize * 4);
    let reg = node.property("reg").unwrap_or_default();
    let entries = reg.chunks_exact((address + size).max(4));
    entries
        .map(move |entry| entry.split_at(address.min(entry.len())))
        .map(|(base, size)| (number(base), number(size)))
}

/// A number of any words, of which the last two count.
fn number(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_be_bytes(*word)));
    words.fold(0, |number, word| number << 32 | word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_has_a_purpose_is_found() {
        let text = "/dts-v1/; /memreserve/ 0x1000 0x1000; / {
            reserved-memory { #address-cells = <2>; #size-cells = <1>;
                a@3000 { reg = <0 0x3000 0x2000>; no-map; };
                b { size = <0x1000>; no-map; };
            };
            chosen { linux,initrd-start = <0 0x8000>; linux,initrd-end = <0x9000>;
                module@a000 { reg = <0 0xa000 0 0x1000>; };
            };
        };";
        let loaded = Tree::parse(text).unwrap().loaded();
        let found: Vec<(u64, u64, bool)> =
            loaded.iter().map(|loaded| (loaded.span.base.get(), loaded.span.size, loaded.no_map)).collect();
        let wanted = [
            (0x1000, 0x1000, false),
            (0x3000, 0x2000, true),
            (0x8000, 0x1000, false),
            (0xa000, 0x1000, false),
        ];
        assert_eq!(found, wanted);
    }
}
