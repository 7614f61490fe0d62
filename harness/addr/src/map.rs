//! Names for addresses: `ram+0x20000..+0x24000`, `hyp`, `pool+0x1000..pool_end`, `mmio:uart`; and back.
//!
//! Goldens hold names, never addresses, and names that do not move when the hypervisor's image grows: its image and
//! pool come before `ram`, and a span that covers a region or ends with it says so instead of giving a size.

use std::fmt::Write;

use crate::{Expr, Named, NotAnAddress, PAGE_SHIFT, Pfn, PhysAddr, Point, Span, Symbol};

/// Bytes that most texts fit in.
const TEXT: usize = 32;

/// A name that this machine has no place for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine has no `{0}`")]
pub struct UnknownPlace(String);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    symbol: Symbol,
    name: String,
    span: Span<PhysAddr>,
}

/// Which name an address has, and which address a name has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressMap {
    /// The more special before the more general.
    shown: Vec<Place>,
    /// Places that can be place and do not show: they lie inside of others.
    inner: Vec<Place>,
}

impl AddressMap {
    /// Names for the regions of a machine (`ram` keeps its name, anything else is a device and becomes `mmio:NAME`).
    #[must_use]
    pub fn of_regions<'a>(regions: impl IntoIterator<Item = (&'a str, Span<PhysAddr>)>) -> Self {
        let symbol = |name: &str| if name == "ram" { Symbol::Ram } else { Symbol::Mmio(name.to_owned()) };
        let mut map = Self::default();
        map.shown.extend(regions.into_iter().filter_map(|(name, span)| named(symbol(name), span)));
        map
    }

    /// The same with the hypervisor's `image` and `pool` in front.
    #[must_use]
    pub fn with_image_and_pool(mut self, image: Span<PhysAddr>, pool: Span<PhysAddr>) -> Self {
        let own = [(Symbol::Hyp, image), (Symbol::Pool, pool)];
        self.shown.splice(0..0, own.into_iter().filter_map(|(symbol, span)| named(symbol, span)));
        self
    }

    /// The same with what is between them too.
    #[must_use]
    pub fn with_hypervisor(mut self, image: Span<PhysAddr>, pool: Span<PhysAddr>) -> Self {
        let gap = if image.is_empty() { Span::default() } else { Span::between(image.end(), pool.base) };
        let own = [(Symbol::Hyp, image), (Symbol::Pool, pool), (Symbol::Gap, gap)];
        self.shown.splice(0..0, own.into_iter().filter_map(|(symbol, span)| named(symbol, span)));
        self
    }

    /// The same with the test host's image, which can be place but does not show in the names of addresses.
    #[must_use]
    pub fn with_host(mut self, image: Span<PhysAddr>) -> Self {
        self.inner.extend(named(Symbol::Host, image));
        self
    }

    /// The same with the numbers of hypercalls by name, which do not show.
    #[must_use]
    pub fn with_calls<'a>(mut self, calls: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let one = |(name, number): (&str, u64)| {
            named(Symbol::Call(name.to_owned()), Span::new(PhysAddr::new(number), 1))
        };
        self.inner.extend(calls.into_iter().filter_map(one));
        self
    }

    /// Where `symbol` is; nothing if this machine has none.
    #[must_use]
    pub fn place(&self, symbol: &Symbol) -> Option<Span<PhysAddr>> {
        self.shown.iter().chain(&self.inner).find(|place| place.symbol == *symbol).map(|place| place.span)
    }

    /// The region called `name`.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<Span<PhysAddr>> {
        Symbol::from_name(name).and_then(|symbol| self.place(&symbol))
    }

    /// Every name and its region, the more special first.
    pub fn regions(&self) -> impl Iterator<Item = (&str, Span<PhysAddr>)> {
        self.shown.iter().map(|place| (place.name.as_str(), place.span))
    }

    /// The address of `expr`, in bytes.
    ///
    /// # Errors
    /// It names a place that is not there.
    pub fn bytes(&self, expr: &Expr) -> Result<u64, UnknownPlace> {
        self.value(expr, 0)
    }

    /// The page frame of `expr`, whose offset counts frames of 4 KiB.
    ///
    /// # Errors
    /// It names a place that is not there.
    pub fn frames(&self, expr: &Expr) -> Result<u64, UnknownPlace> {
        self.value(expr, PAGE_SHIFT)
    }

    fn value(&self, expr: &Expr, shift: u32) -> Result<u64, UnknownPlace> {
        let Some(base) = &expr.base else { return Ok(expr.offset) };
        let span = self.place(&base.symbol).ok_or_else(|| UnknownPlace(base.symbol.to_string()))?;
        let address = if base.end { span.end() } else { span.base }.get();
        Ok((address >> shift).wrapping_add(expr.offset))
    }

    /// The address that `text` names; an offset from a place counts bytes.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub fn parse<A: Named>(&self, text: &str) -> Result<A, String> {
        let expr: Expr = text.parse().map_err(|error: NotAnAddress| format!("`{text}`: {error}"))?;
        self.bytes(&expr).map(A::at).map_err(|error| error.to_string())
    }

    /// The page frame that `text` names; an offset from a place counts frames.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub fn parse_frame(&self, text: &str) -> Result<Pfn, String> {
        let expr: Expr = text.parse().map_err(|error: NotAnAddress| format!("`{text}`: {error}"))?;
        self.frames(&expr).map(Pfn::new).map_err(|error| error.to_string())
    }

    /// Name of the region that holds `address`.
    #[must_use]
    pub fn region_name(&self, address: impl Named) -> Option<&str> {
        self.at(PhysAddr::at(address.number())).map(|place| place.name.as_str())
    }

    fn at(&self, address: PhysAddr) -> Option<&Place> {
        self.shown.iter().find(|place| place.span.contains(address))
    }

    /// `address` as name and offset, or in plain hexadecimal outside every region.
    #[must_use]
    pub fn address(&self, address: impl Named) -> String {
        let mut text = String::with_capacity(TEXT);
        self.put_address(&mut text, PhysAddr::at(address.number()));
        text
    }

    /// `span` as text: a region's name alone if it is exactly that region, otherwise `FROM..TO`, with `TO` counted
    /// from the same region's start where both lie in one, and `NAME_end` where a region ends.
    #[must_use]
    pub fn span<A: Named>(&self, span: Span<A>) -> String {
        let mut text = String::with_capacity(TEXT);
        self.put_span(&mut text, span);
        text
    }

    /// Appends what [`Self::span`] says of `span`.
    pub fn put_span<A: Named>(&self, text: &mut String, span: Span<A>) {
        let span: Span<PhysAddr> = span.cast();
        let first = self.at(span.base);
        if let Some(place) = first
            && place.span == span
        {
            return text.push_str(&place.name);
        }
        self.put_address(text, span.base);
        text.push_str("..");
        let last = span.size.checked_sub(1).and_then(|size| self.at(Span::new(span.base, size).end()));
        let Some(place) = last else { return put_hex(text, span.end().get()) };
        if place.span.end() == span.end() {
            text.push_str(&place.name);
            return text.push_str("_end");
        }
        if !first.is_some_and(|first| std::ptr::eq(first, place)) {
            text.push_str(&place.name);
        }
        text.push('+');
        put_hex(text, span.end().get() - place.span.base.get());
    }

    fn put_address(&self, text: &mut String, address: PhysAddr) {
        match self.at(address) {
            Some(place) => {
                text.push_str(&place.name);
                text.push('+');
                put_hex(text, address.get().wrapping_sub(place.span.base.get()));
            }
            None => put_hex(text, address.get()),
        }
    }
}

fn put_hex(text: &mut String, number: u64) {
    let _infallible = write!(text, "{number:#x}");
}

fn named(symbol: Symbol, span: Span<PhysAddr>) -> Option<Place> {
    let name = symbol.to_string();
    (!span.is_empty()).then_some(Place { symbol, name, span })
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
