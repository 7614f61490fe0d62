//! Names for addresses: `ram+0x20000..+0x24000`, `hyp`, `pool+0x1000..pool_end`, `mmio:uart`.
//!
//! Goldens hold names, never addresses, and names that do not move when the hypervisor's image grows: its image and
//! pool come before `ram`, and a span that covers a region or ends with it says so instead of giving a size.

use crate::snapshot::Layout;
use crate::span::Span;

/// Name of the hypervisor's image.
pub const IMAGE: &str = "hyp";
/// Name of the page pool.
pub const POOL: &str = "pool";
/// Name of the memory between image and pool, which stays the host's.
pub const GAP: &str = "hyp_gap";
/// Name of memory.
pub const RAM: &str = "ram";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Symbol {
    name: String,
    span: Span,
}

/// Regions with names, the more special before the more general.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressMap {
    symbols: Vec<Symbol>,
}

impl AddressMap {
    /// Names for a machine: `regions` as the machine calls them (`ram` keeps its name, anything else is a device and
    /// becomes `mmio:NAME`), and before them the hypervisor's own parts.
    pub fn new<'a>(regions: impl IntoIterator<Item = (&'a str, Span)>, layout: &Layout) -> Self {
        let gap = Span::between(layout.image.end(), layout.pool.base);
        let gap = if layout.image.is_empty() { Span::default() } else { gap };
        let own = [(IMAGE, layout.image), (POOL, layout.pool), (GAP, gap)];
        let mut symbols: Vec<Symbol> =
            own.iter().map(|&(name, span)| Symbol { name: name.to_owned(), span }).collect();
        symbols.extend(regions.into_iter().map(|(name, span)| {
            let name = if name == RAM { name.to_owned() } else { format!("mmio:{name}") };
            Symbol { name, span }
        }));
        symbols.retain(|symbol| !symbol.span.is_empty());
        Self { symbols }
    }

    /// The region called `name`.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<Span> {
        self.symbols.iter().find(|symbol| symbol.name == name).map(|symbol| symbol.span)
    }

    /// Every name and its region, the more special first.
    pub fn regions(&self) -> impl Iterator<Item = (&str, Span)> {
        self.symbols.iter().map(|symbol| (symbol.name.as_str(), symbol.span))
    }

    /// Name of the region that holds `address`.
    #[must_use]
    pub fn region_name(&self, address: u64) -> Option<&str> {
        self.at(address).map(|symbol| symbol.name.as_str())
    }

    fn at(&self, address: u64) -> Option<&Symbol> {
        self.symbols.iter().find(|symbol| symbol.span.contains(address))
    }

    /// `address` as name and offset, or in plain hexadecimal outside every region.
    #[must_use]
    pub fn address(&self, address: u64) -> String {
        match self.at(address) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, address - symbol.span.base),
            None => format!("{address:#x}"),
        }
    }

    /// `span` as text: a region's name alone if it is exactly that region, otherwise `FROM..TO`, with `TO` counted
    /// from the same region's start where both lie in one, and `NAME_end` where a region ends.
    #[must_use]
    pub fn span(&self, span: Span) -> String {
        let first = self.at(span.base);
        let last = span.size.checked_sub(1).and_then(|size| self.at(span.base.saturating_add(size)));
        if let Some(symbol) = first
            && symbol.span == span
        {
            return symbol.name.clone();
        }
        let to = match last {
            Some(symbol) if symbol.span.end() == span.end() => format!("{}_end", symbol.name),
            Some(symbol) => {
                let offset = span.end() - symbol.span.base;
                let same = first.is_some_and(|first| std::ptr::eq(first, symbol));
                if same { format!("+{offset:#x}") } else { format!("{}+{offset:#x}", symbol.name) }
            }
            None => format!("{:#x}", span.end()),
        };
        format!("{}..{to}", self.address(span.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> AddressMap {
        let layout = Layout {
            image: Span::new(0x4020_0000, 0x5_c000),
            pool: Span::new(0x4040_0000, 0x100_0000),
            ..Layout::default()
        };
        let regions = [("uart", Span::new(0x900_0000, 0x1000)), ("ram", Span::new(0x4000_0000, 0x1000_0000))];
        AddressMap::new(regions, &layout)
    }

    #[test]
    fn image_and_pool_come_before_ram() {
        let symbols = symbols();
        assert_eq!(symbols.address(0x4000_1000), "ram+0x1000");
        assert_eq!(symbols.address(0x4020_1000), "hyp+0x1000");
        assert_eq!(symbols.address(0x4040_0008), "pool+0x8");
        assert_eq!(symbols.address(0x900_0000), "mmio:uart+0x0");
        assert_eq!(symbols.address(0x1234), "0x1234");
    }

    #[test]
    fn spans_do_not_name_sizes_that_move() {
        let symbols = symbols();
        assert_eq!(symbols.span(Span::between(0x4002_0000, 0x4002_4000)), "ram+0x20000..+0x24000");
        assert_eq!(symbols.span(Span::between(0x4000_0000, 0x4020_0000)), "ram+0x0..+0x200000");
        assert_eq!(symbols.span(Span::new(0x4020_0000, 0x5_c000)), "hyp");
        assert_eq!(symbols.span(Span::between(0x4025_c000, 0x4040_0000)), "hyp_gap");
        assert_eq!(symbols.span(Span::between(0x4140_0000, 0x5000_0000)), "ram+0x1400000..ram_end");
        assert_eq!(symbols.span(Span::between(0x4000_0000, 0x4140_0000)), "ram+0x0..pool_end");
        assert_eq!(symbols.span(Span::between(0x900_0000, 0x900_1000)), "mmio:uart");
        assert_eq!(symbols.span(Span::between(0x1000, 0x2000)), "0x1000..0x2000");
        assert_eq!(symbols.span(Span::between(0x1000, 0x4000_2000)), "0x1000..ram+0x2000");
    }
}
