//! Arguments of `attach`.

use clap::Args;
use parallax_addr::PhysAddr;
use parallax_machine::GdbAddress;

use super::DumpView;

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax attach --gdb localhost:1234                       a QEMU that was started with -s
  parallax attach --gdb gdb.sock --smmu 0x9050000            with its SMMUv3, at its place on the board `virt`
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
    /// Where the SMMUv3's registers are; without it none is looked at
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub smmu: Option<PhysAddr>,
    /// What to show
    #[arg(long, value_enum, default_value_t = DumpView::All)]
    pub view: DumpView,
}

fn address(text: &str) -> Result<PhysAddr, String> {
    let digits = text.strip_prefix("0x").ok_or("an address begins with 0x")?;
    let number = u64::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
    if number % 4 != 0 {
        return Err("registers begin at a multiple of 4 bytes".to_owned());
    }
    Ok(PhysAddr::new(number))
}
