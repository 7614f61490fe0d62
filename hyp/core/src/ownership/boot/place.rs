//! Where the page pool can lie: apart from everything that somebody put into memory.

use crate::addr::PhysAddr;
use crate::pgtable::span;
use crate::regions::{Kind, Range, Regions};

/// `size` bytes at a multiple of 2 MiB in memory where nothing lies: neither `image` nor what is [`Kind::Kept`] in `loaded`. As
/// near behind `image` as can be, or else before it.
#[must_use]
pub fn place(regions: &Regions, loaded: &Regions, image: Range, size: u64) -> Option<Range> {
    let taken = || {
        let kept = loaded.iter().filter(|region| crate::faulty::is_taken(region.kind == Kind::Kept));
        kept.map(|region| region.range).chain([image])
    };
    let starts = taken().map(Range::end).chain(regions.memory().map(|memory| memory.base.0));
    let pools = starts.map(|start| Range { base: PhysAddr(start.next_multiple_of(span(2))), size });
    let free = |pool: &Range| {
        regions.memory().any(|memory| memory.contains(*pool)) && !taken().any(|other| other.overlaps(*pool))
    };
    pools.filter(free).min_by_key(|pool| (pool.base < image.base, pool.base))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn range(base: u64, size: u64) -> Range {
        Range { base: PhysAddr(base * MIB), size: size * MIB }
    }

    #[test]
    fn the_pool_avoids_whatever_was_loaded() {
        let mut regions = Regions::new(40);
        regions.set(range(1024, 256), Kind::Memory).unwrap();
        regions.set(range(1100, 4), Kind::NoMap).unwrap();
        let image = range(1026, 1);
        let mut loaded = Regions::new(40);
        let mut place = |add: Option<Range>, size| {
            add.into_iter().for_each(|range| loaded.set(range, Kind::Kept).unwrap());
            super::place(&regions, &loaded, image, size * MIB).map(|pool| pool.base.0 / MIB)
        };
        assert_eq!(place(None, 10), Some(1028), "right behind the image");
        assert_eq!(place(None, 100), Some(1104), "behind memory that nobody may map");
        assert_eq!(place(Some(range(1032, 9)), 10), Some(1042), "behind an initrd");
        assert_eq!(place(Some(range(1030, 40)), 2), Some(1028), "between");
        assert_eq!(place(Some(range(1028, 250)), 2), Some(1278), "at the end");
        assert_eq!(place(Some(range(1279, 1)), 2), Some(1024), "before the image");
        assert_eq!(place(None, 4), None);
    }
}
