//! The SMMU as the host sees it, where the harness can read it: at [`crate::info::HypInfo::smmu_host_pa`].
//!
//! The hypervisor keeps the registers that it emulates here, and the last commands of the host with what became of
//! them. As everything of the hypervisor's own account, it tells what to look at and proves nothing.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// How many commands are remembered.
pub const COMMANDS: usize = 64;

/// [`HostCommand::verdict`]: the hardware got [`HostCommand::issued`].
pub const ISSUED: u64 = 1;
/// [`HostCommand::verdict`]: a hint that the hardware did not get.
pub const IGNORED: u64 = 2;
/// [`HostCommand::verdict`]: CERROR_ILL.
pub const REFUSED: u64 = 3;

/// A command of the host, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostCommand {
    /// The two dwords in the host's queue.
    pub words: [u64; 2],
    /// What the hardware got for them; zero for nothing.
    pub issued: [u64; 2],
    /// [`ISSUED`], [`IGNORED`] or [`REFUSED`].
    pub verdict: u64,
}

/// Registers by their names in IHI 0070, chapter 6, as the host reads them unless said otherwise; all zero at reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostSmmu {
    /// CR0 and CR0ACK.
    pub cr0: u32,
    /// CR2.
    pub cr2: u32,
    /// GERROR.CMDQ_ERR; the hardware's other errors are not among them.
    pub gerror: u32,
    /// GERRORN.CMDQ_ERR.
    pub gerrorn: u32,
    /// CMDQ_PROD.
    pub cmdq_prod: u32,
    /// CMDQ_CONS.RD.
    pub cmdq_cons: u32,
    /// CMDQ_CONS.ERR, bits 30:24 of the register.
    pub cmdq_error: u32,
    /// STRTAB_BASE_CFG.
    pub strtab_cfg: u32,
    /// STRTAB_BASE.
    pub strtab_base: u64,
    /// CMDQ_BASE.
    pub cmdq_base: u64,
    /// EVENTQ_BASE; its indices are the hardware's own EVENTQ_PROD and EVENTQ_CONS.
    pub evtq_base: u64,
    /// How many commands of the host were looked at since boot.
    pub commands: u64,
    /// Number n, counted from zero, is at n modulo [`COMMANDS`]. It is complete before `commands` exceeds n.
    pub last: [HostCommand; COMMANDS],
}

impl Default for HostSmmu {
    /// The state at reset.
    fn default() -> Self {
        Self::new_zeroed()
    }
}
