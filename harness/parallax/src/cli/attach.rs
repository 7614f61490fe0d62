//! Arguments of `attach`.

use clap::Args;
use parallax_addr::{AddressMap, PhysAddr, Span};
use parallax_machine::GdbAddress;
use parallax_trace::spec::{MEMORY, regions};

use super::DumpView;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax attach --gdb localhost:1234                       a QEMU that was started with -s
  parallax attach --gdb gdb.sock --smmu mmio:smmu            with its SMMUv3, at its place on the board `virt`
  parallax attach --gdb :1234 --view raw                     every table and entry as it stands in memory

The machine stands still while it is looked at, and goes on then. Nothing of it is changed.

Exit status: 0, or 1 when the host reaches a page that a table stands in. 125 nobody listens there, it is no AArch64
machine with EL2, or a table cannot be read.";

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Where QEMU's gdbstub listens
    #[arg(long, value_name = "SOCKET|HOST:PORT")]
    pub gdb: GdbAddress,
    /// Where the SMMUv3's registers are, such as 0x9050000, or mmio:smmu on the board `virt`; without it none is looked at
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub smmu: Option<PhysAddr>,
    /// What to show
    #[arg(long, value_enum, default_value_t = DumpView::All)]
    pub view: DumpView,
}

fn address(text: &str) -> Result<PhysAddr, String> {
    let board = regions(*MEMORY.end());
    let named = board.iter().map(|region| (region.name.as_str(), Span::new(region.base, region.size)));
    let at: PhysAddr = AddressMap::of_regions(named).parse(text)?;
    if !at.get().is_multiple_of(4) {
        return Err("registers begin at a multiple of 4 bytes".to_owned());
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smmu_is_where_a_number_or_a_name_says() {
        let at = Ok(PhysAddr::new(0x905_0000));
        assert_eq!((address("0x9050000"), address("mmio:smmu")), (at.clone(), at));
        assert!(
            address("0x9050002").is_err() && address("mmio:nothing").is_err() && address("9050000h").is_err()
        );
    }
}
