//! Attacks through masters that no SMMU holds: fw_cfg, whose descriptors name physical addresses, and virtio-mmio.

use parallax_addr::PAGE_SIZE;
use parallax_trace::spec::HYP_BASE;
use parallax_trace::{Expr, Symbol};

use crate::act::{Act, Class, at, number, physical, ram};
use crate::random::Random;

const CLASS: Class = Class::Masters;
/// Where the host keeps descriptors, from the start of RAM.
const DESCRIPTOR: u64 = 0x690_0000;
/// The register of fw_cfg that takes a descriptor's address, and its commands: SELECT and READ of item 0, the signature.
const DMA_ADDRESS: u64 = 0x10;
const SELECT_AND_READ: u64 = 0xa;
/// Bytes of an item that are read: all of the signature and what is behind it.
const LENGTH: u64 = 8;

fn device(name: &str, offset: u64) -> Expr {
    at(Symbol::Mmio(name.to_owned()), offset)
}

/// A descriptor for fw_cfg, or any access to a master's registers.
pub(super) fn attack(random: &mut Random, acts: &mut Vec<Act>) {
    if random.percent(40) {
        let place = match random.below(3) {
            0 => device("fwcfg", random.below(0x20) * 8),
            1 => device("virtio", random.below(0x200) * 4),
            _ => device("virtio", 0x3000 + random.below(0x200) * 4),
        };
        let size = random.pick(&[1, 2, 4, 8]);
        acts.push(match random.below(3) {
            0 => Act::load(CLASS, place, size),
            1 => Act::store(CLASS, place, size, number(random.any())),
            _ => Act::new(CLASS, "dma_write", &[number(8), place, number(8), number(random.any())]),
        });
        return;
    }
    // In the image and in the pool behind it.
    let target = HYP_BASE + random.below(0x1000) * PAGE_SIZE + 8 * random.below(512);
    // struct FWCfgDmaAccess { be32 control; be32 length; be64 address }
    let head = (SELECT_AND_READ << 32 | LENGTH).swap_bytes();
    acts.push(Act::new(
        CLASS,
        "host_write_pair",
        &[ram(DESCRIPTOR), number(head), number(target.swap_bytes())],
    ));
    let address = physical(DESCRIPTOR).swap_bytes();
    if random.percent(60) {
        acts.push(Act::store(CLASS, device("fwcfg", DMA_ADDRESS), 8, number(address)));
    } else {
        for half in 0..2 {
            let value = number(address >> (32 * half) & 0xffff_ffff);
            acts.push(Act::store(CLASS, device("fwcfg", DMA_ADDRESS + 4 * half), 4, value));
        }
    }
}
