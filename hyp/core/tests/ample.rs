//! A pool that is ample for a range never has too few pages for it: then nobody counts tables.

use hyp_core::addr::PhysAddr;
use hyp_core::hw::Memory;
use hyp_core::page_pool::PagePool;
use hyp_core::pgtable::{Attrs, Content, Descriptor, Geometry, LAST_LEVEL, SplitRule, Tree, is_ample};
use hyp_core::regions::Range;
use proptest::prelude::*;

const PAGE: u64 = 0x1000;

/// Zero throughout: every table of a tree is still needed.
struct Empty;

impl Memory for Empty {
    fn read(&self, _pa: PhysAddr) -> u64 {
        0
    }
    fn write(&self, _pa: PhysAddr, _value: u64) {}
    fn write_release(&self, _pa: PhysAddr, _value: u64) {}
    fn zero_page(&self, _pa: PhysAddr) {}
}

fn pool(pages: u64) -> PagePool {
    PagePool::new(Range { base: PhysAddr(1 << 20), size: pages * PAGE })
}

/// The fewest pages that are ample for `size` bytes.
fn fewest(size: u64) -> u64 {
    let (mut few, mut many) = (0, 1 << 36);
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        *(if is_ample(middle, size) { &mut many } else { &mut few }) = middle;
    }
    many
}

/// A place just before or after a border of a table of any level, and how many pages.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let border = prop::sample::select(vec![0x1000_u64, 0x20_0000, 0x4000_0000, 0x80_0000_0000]);
    let size = prop::sample::select(vec![PAGE, 0x20_0000, 0x4000_0000, 0x80_0000_0000]);
    (border, 1..9_u64, 0..3_u64, size, 0..3_u64).prop_map(|(border, times, before, size, more)| {
        ((border * times).saturating_sub(before * PAGE), (size + more * PAGE).saturating_sub(PAGE).max(PAGE))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_ample_suffices_for_two_trees(
        bits in prop_oneof![4 => Just(48), 1 => 32..48_u32],
        (ia, size) in range(),
        largest in 1..=LAST_LEVEL,
        mapped in any::<bool>(),
    ) {
        let geometry = Geometry::stage2(bits).unwrap();
        let (ia, size) = (ia % geometry.limit(), size.min(geometry.limit() - ia % geometry.limit()));
        let tree = Tree::new(&Empty, &mut pool(64), geometry, SplitRule::BreakBeforeMake).unwrap();
        let content = if mapped {
            Content::identity(Attrs::smmu_normal(), largest)
        } else {
            Content::Invalid { value: Descriptor::OWNED_BY_HYP, largest }
        };
        prop_assert!(2 * tree.tables_needed(&Empty, ia, size, content) <= fewest(size));
    }
}

#[test]
fn a_page_needs_three_tables_in_each_of_two_trees_and_at_most_two_of_each_level() {
    assert!(is_ample(12, PAGE) && !is_ample(11, PAGE));
    let tree = Tree::new(&Empty, &mut pool(64), Geometry::el2(), SplitRule::BreakBeforeMake).unwrap();
    let content = Content::identity(Attrs::smmu_normal(), LAST_LEVEL);
    assert_eq!(tree.tables_needed(&Empty, 0, PAGE, content), 3);
    assert_eq!(tree.tables_needed(&Empty, 0x80_0000_0000 - PAGE, 2 * PAGE, content), 6);
}
