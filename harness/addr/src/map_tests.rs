use super::*;
use crate::Ipa;

fn between(base: u64, end: u64) -> Span<PhysAddr> {
    Span::between(PhysAddr::new(base), PhysAddr::new(end))
}

fn map() -> AddressMap {
    let regions = [
        ("uart", Span::new(PhysAddr::new(0x900_0000), 0x1000)),
        ("ram", Span::new(PhysAddr::new(0x4000_0000), 0x1000_0000)),
    ];
    AddressMap::of_regions(regions)
        .with_hypervisor(
            Span::new(PhysAddr::new(0x4020_0000), 0x5_c000),
            Span::new(PhysAddr::new(0x4040_0000), 0x100_0000),
        )
        .with_host(Span::new(PhysAddr::new(0x4300_0000), 0x1_0000))
}

#[test]
fn image_and_pool_come_before_ram() {
    let map = map();
    assert_eq!(map.address(PhysAddr::new(0x4000_1000)), "ram+0x1000");
    assert_eq!(map.address(PhysAddr::new(0x4020_1000)), "hyp+0x1000");
    assert_eq!(map.address(PhysAddr::new(0x4040_0008)), "pool+0x8");
    assert_eq!(map.address(PhysAddr::new(0x900_0000)), "mmio:uart+0x0");
    assert_eq!(
        map.address(PhysAddr::new(0x4300_0000)),
        "ram+0x3000000",
        "the test host moves: it has no name in goldens"
    );
    assert_eq!(map.address(PhysAddr::new(0x1234)), "0x1234");
}

#[test]
fn spans_do_not_name_sizes_that_move() {
    let map = map();
    assert_eq!(map.span(between(0x4002_0000, 0x4002_4000)), "ram+0x20000..+0x24000");
    assert_eq!(map.span(between(0x4000_0000, 0x4020_0000)), "ram+0x0..+0x200000");
    assert_eq!(map.span(Span::new(PhysAddr::new(0x4020_0000), 0x5_c000)), "hyp");
    assert_eq!(map.span(between(0x4025_c000, 0x4040_0000)), "hyp_gap");
    assert_eq!(map.span(between(0x4140_0000, 0x5000_0000)), "ram+0x1400000..ram_end");
    assert_eq!(map.span(between(0x4000_0000, 0x4140_0000)), "ram+0x0..pool_end");
    assert_eq!(map.span(between(0x900_0000, 0x900_1000)), "mmio:uart");
    assert_eq!(map.span(between(0x1000, 0x2000)), "0x1000..0x2000");
    assert_eq!(map.span(between(0x1000, 0x4000_2000)), "0x1000..ram+0x2000");
}

#[test]
fn frames_and_bytes_count_from_the_same_place() {
    let map = map();
    let frames = |text: &str| map.frames(&text.parse().unwrap());
    let bytes = |text: &str| map.bytes(&text.parse().unwrap());
    assert_eq!(frames("ram+0x10"), Ok(0x40010));
    assert_eq!(bytes("ram+0x10"), Ok(0x4000_0010));
    assert_eq!(frames("ram_end-1"), Ok(0x4ffff));
    assert_eq!(bytes("pool_end-8"), Ok(0x4140_0000 - 8));
    assert_eq!(bytes("mmio:uart+0x18"), Ok(0x0900_0018));
    assert_eq!(bytes("host"), Ok(0x4300_0000));
    assert_eq!(frames("0x123"), Ok(0x123));
    assert_eq!(bytes("mmio:rtc").unwrap_err().to_string(), "this machine has no `mmio:rtc`");
}

#[test]
fn what_is_shown_reads_back() {
    let map = map();
    for address in [0, 0x1234, 0x900_0000, 0x4000_0000, 0x4020_1000, 0x4026_0000, 0x4040_0008, 0x4fff_ffff] {
        assert_eq!(map.parse(&map.address(Ipa::new(address))), Ok(Ipa::new(address)));
    }
    assert!(map.parse::<Ipa>("ram+").unwrap_err().contains("ram+0x1000"), "an example of what is expected");
}
