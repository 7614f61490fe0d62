//! Arguments of `attach`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use parallax_addr::{AddressMap, PAGE_SIZE, PhysAddr, Span};
use parallax_machine::{GdbAddress, RamFile};
use parallax_trace::spec::{MEMORY, regions};

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax attach --gdb localhost:1234                       a QEMU that was started with -s
  parallax attach --gdb gdb.sock --smmu mmio:smmu            with its SMMUv3, at its place on the board `virt`
  parallax attach --gdb :1234 --ram /dev/shm/ram --symbols System.map    memory from its file; names of EL2's addresses
  parallax attach --gdb gdb.sock --qmp qmp.sock              its monitor says where memory and the SMMU are, and whether it runs
  parallax attach --gdb :1234 --view raw                     every table and entry as it stands in memory
  parallax attach --gdb :1234 --at 0x40200000                the way of one address through each table
  parallax attach --gdb :1234 > before; ...; parallax attach --gdb :1234 --against before

The machine stands still while it is looked at, and goes on then. Nothing of it is changed. Without --qmp one that stood still goes on, too.

Exit status: 0, or 1 when the host reaches a page that a table stands in; with --against when something is otherwise. 2 there is no such socket, or no SMMUv3
at --smmu. 125 nobody listens there, it is no AArch64 machine with EL2, a table cannot be read, or the connection broke: then nothing is shown.";

/// What is known of a QEMU that somebody else started.
#[derive(Debug, Args)]
pub struct AttachedMachine {
    /// Where QEMU's monitor listens (-qmp unix:PATH,server=on,wait=off): it is asked for what --smmu and --ram say otherwise, and whether
    /// the machine runs. One that did not is left as it was
    #[arg(long, value_name = "SOCKET", requires = "gdb")]
    pub qmp: Option<PathBuf>,
    /// Where the SMMUv3's registers are, such as 0x9050000, or mmio:smmu on the board `virt`; without it and --qmp none is looked at
    #[arg(long, value_name = "ADDRESS", requires = "gdb", value_parser = address)]
    pub smmu: Option<PhysAddr>,
    /// The file of QEMU's `memory-backend-file` (with share=on): memory is read from it, not by the gdbstub. FILE@ADDRESS where it does
    /// not begin at 0x40000000
    #[arg(long, value_name = "FILE", requires = "gdb")]
    pub ram: Option<RamFile>,
    /// Names of EL2's virtual addresses: an ELF file, or lines as in System.map and /proc/kallsyms
    #[arg(long, value_name = "FILE", requires = "gdb")]
    pub symbols: Option<PathBuf>,
    /// What EL2's addresses have more than those of --symbols, such as 0x5f0000000000 (of 64 bits, it wraps)
    #[arg(long, value_name = "NUMBER", requires = "symbols", default_value = "0", value_parser = number)]
    pub moved: u64,
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Where QEMU's gdbstub listens
    #[arg(long, value_name = "SOCKET|HOST:PORT")]
    pub gdb: GdbAddress,
    /// What is known of it
    #[command(flatten)]
    pub machine: AttachedMachine,
    /// What to show
    #[arg(long, value_enum, default_value_t = AttachedView::All)]
    pub view: AttachedView,
    /// How each table translates this input address: the way there, entry by entry, and what it comes to
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    pub at: Option<u64>,
    /// Show what is otherwise than in a file that an earlier look printed, with the same options
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
}

/// What a look at it shows. Where another hypervisor keeps its virtual machines is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttachedView {
    /// The stage 2 of VTTBR_EL2, and the SMMU.
    Both,
    /// The stage 2 of VTTBR_EL2.
    Cpu,
    /// The SMMU: registers, stream table, stage 2.
    Smmu,
    /// The hypervisor's own stage 1.
    El2,
    /// All of them.
    All,
    /// Descriptors, and the addresses of the tables that hold them.
    Raw,
}

pub(crate) fn number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| "a number of 64 bits".to_owned())
}

fn address(text: &str) -> Result<PhysAddr, String> {
    let board = regions(*MEMORY.end());
    let named = board.iter().map(|region| (region.name.as_str(), Span::new(region.base, region.size)));
    let at: PhysAddr = AddressMap::of_regions(named).parse(text)?;
    if !at.get().is_multiple_of(PAGE_SIZE) {
        return Err("an SMMU's registers begin with a page, 0x9050000 on the board `virt`".to_owned());
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
            address("0x9050004").is_err()
                && address("0x1234").is_err()
                && address("0x9050002").is_err()
                && address("mmio:nothing").is_err()
                && address("9050000h").is_err()
        );
    }
}
