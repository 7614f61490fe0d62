//! Events: what a CPU did at EL2 that has to do with translation.

use parallax_addr::PhysAddr;

use crate::names::names;
pub use crate::register::{GicRegister, Sysreg};
use crate::tlbi::TlbiOp;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number: events of one stream have rising numbers, over all CPUs. In a Casemate file: the `id`.
    pub seq: u64,
    /// Address of the instruction; 0 when it is not known. In a Casemate file: the number of its `src`, from 1.
    pub pc: u64,
    /// On which CPU. In a Casemate file: the `tid`.
    pub cpu: u16,
    /// What happened.
    pub kind: Kind,
}

// A journal holds millions of them.
const _: () = assert!(size_of::<Event>() == 48);

/// What happened. Physical addresses and sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A store to memory; `value` is little-endian and zero-extended. A store of a pair is two events.
    Store {
        /// Physical address.
        pa: PhysAddr,
        /// What was stored.
        value: u64,
        /// Bytes: 1, 2, 4 or 8.
        size: u8,
        /// Whether it was a store-release.
        release: bool,
    },
    /// A load. Between [`Kind::Enter`] and [`Kind::Return`]: of memory that is not the hypervisor's own, and
    /// of the SMMU's event queue.
    Load {
        /// Physical address.
        pa: PhysAddr,
        /// What was loaded.
        value: u64,
    },
    /// A store to memory whose contents are not followed: it is written, that is all.
    Touch {
        /// Physical address.
        pa: PhysAddr,
    },
    /// Memory is zero from here on (without a store for each dword).
    MemInit {
        /// First byte.
        pa: PhysAddr,
        /// Bytes.
        size: u64,
    },
    /// Memory is given away: it may hold no table that is live or could still be cached.
    MemFree {
        /// First byte.
        pa: PhysAddr,
        /// Bytes.
        size: u64,
    },
    /// Every byte is set to one value, as by `memset` or DC ZVA.
    MemSet {
        /// First byte.
        pa: PhysAddr,
        /// Bytes, at most 4 GiB − 1.
        size: u32,
        /// The byte.
        value: u8,
    },
    /// A barrier instruction.
    Barrier(Barrier),
    /// A TLB maintenance instruction.
    Tlbi {
        /// Which.
        op: TlbiOp,
        /// Value of its register; 0 when it takes none.
        operand: u64,
    },
    /// A cache maintenance instruction. Walks are coherent here: it matters to CPUs that start.
    Dc {
        /// Which.
        op: DcOp,
        /// A set and way, or an address: the physical one, as far as who tells of it knows that.
        operand: u64,
    },
    /// A secure monitor call by EL2.
    Smc {
        /// w0: the function id.
        function: u32,
        /// x2: of CPU_ON and CPU_SUSPEND where the CPU starts.
        entry: u64,
        /// x3: of PSCI's CPU_ON and CPU_SUSPEND the context id, which the CPU has in x0 when it starts.
        context: u64,
    },
    /// MSR to a system register.
    SysregWrite {
        /// Which.
        reg: Sysreg,
        /// The new value.
        value: u64,
    },
    /// MRS from a system register. Those matter that say what is allowed or what happened.
    SysregRead {
        /// Which.
        reg: Sysreg,
        /// The value.
        value: u64,
    },
    /// A store to an SMMU register.
    SmmuWrite {
        /// Offset from the SMMU's base address; register page 1 begins at 0x10000.
        offset: u32,
        /// Bytes: 4 or 8.
        size: u8,
        /// What was stored.
        value: u64,
    },
    /// A load from an SMMU register. Loads of CMDQ_CONS tell which commands are consumed, of IDR3 what is allowed.
    SmmuRead {
        /// Offset from the SMMU's base address.
        offset: u32,
        /// Bytes: 4 or 8.
        size: u8,
        /// What was loaded.
        value: u64,
    },
    /// A store to a register of the GIC.
    GicWrite {
        /// Which.
        register: GicRegister,
        /// Of which frame: its physical address.
        frame: PhysAddr,
        /// What was stored.
        value: u64,
    },
    /// A load from one.
    GicRead {
        /// Which.
        register: GicRegister,
        /// Of which frame.
        frame: PhysAddr,
        /// What was loaded.
        value: u64,
    },
    /// The SMMU was given a command. For sources that do not journal the queue's memory; where CMDQ_BASE was
    /// written, the checker takes the commands from the stores to the queue and passes over these.
    Command([u64; 2]),
    /// The CPU has seen that every command given so far is consumed, with a CMD_SYNC as the last. As with
    /// [`Kind::Command`]: where CMDQ_BASE was written, loads of CMDQ_CONS tell it.
    Synced,
    /// A lock was taken.
    Lock {
        /// Address of the lock: any number that is the same each time.
        address: u64,
    },
    /// A lock was taken without waiting. An attempt that failed is no event.
    Trylock {
        /// Address of the lock.
        address: u64,
    },
    /// A lock is given back.
    Unlock {
        /// Address of the lock.
        address: u64,
    },
    /// Exception entry to EL2.
    Enter,
    /// ERET to EL1 or EL0.
    Return,
    /// An operation of a trace begins on this CPU.
    Op {
        /// Its number, the line in the trace.
        number: u64,
    },
    /// What the code tells of its intentions.
    Hint {
        /// Which.
        kind: HintKind,
        /// What it is about: the physical address of a root, table or entry.
        location: u64,
        /// See [`HintKind`].
        value: u64,
    },
}

/// A barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// ISB.
    Isb,
    /// DMB with its option.
    Dmb(Dsb),
    /// DSB with its option.
    Dsb(Dsb),
}

names! {
    /// The option of a DSB or DMB: shareability domain and access types (Arm ARM, B2.3.12).
    Dsb {
        /// Full system.
        Sy = "sy",
        /// Full system, stores.
        St = "st",
        /// Full system, loads.
        Ld = "ld",
        /// Outer shareable.
        Osh = "osh",
        /// Outer shareable, stores.
        Oshst = "oshst",
        /// Outer shareable, loads.
        Oshld = "oshld",
        /// Inner shareable.
        Ish = "ish",
        /// Inner shareable, stores.
        Ishst = "ishst",
        /// Inner shareable, loads.
        Ishld = "ishld",
        /// Non-shareable.
        Nsh = "nsh",
        /// Non-shareable, stores.
        Nshst = "nshst",
        /// Non-shareable, loads.
        Nshld = "nshld",
    }
}

impl Dsb {
    /// From CRm of the instruction; reserved values act as SY.
    #[must_use]
    pub const fn from_crm(crm: u8) -> Self {
        match crm & 0xf {
            0b0001 => Self::Oshld,
            0b0010 => Self::Oshst,
            0b0011 => Self::Osh,
            0b0101 => Self::Nshld,
            0b0110 => Self::Nshst,
            0b0111 => Self::Nsh,
            0b1001 => Self::Ishld,
            0b1010 => Self::Ishst,
            0b1011 => Self::Ish,
            0b1101 => Self::Ld,
            0b1110 => Self::St,
            _ => Self::Sy,
        }
    }

    /// Whether stores before it are waited for.
    #[must_use]
    pub const fn stores(self) -> bool {
        !matches!(self, Self::Ld | Self::Oshld | Self::Ishld | Self::Nshld)
    }

    /// Whether loads before it are waited for.
    #[must_use]
    pub const fn loads(self) -> bool {
        !matches!(self, Self::St | Self::Oshst | Self::Ishst | Self::Nshst)
    }

    /// Whether it covers loads and stores; only then does a DSB wait for TLB maintenance.
    #[must_use]
    pub const fn full(self) -> bool {
        matches!(self, Self::Sy | Self::Osh | Self::Ish | Self::Nsh)
    }

    /// Whether it reaches the other CPUs: inner shareable or wider.
    #[must_use]
    pub const fn shared(self) -> bool {
        !matches!(self, Self::Nsh | Self::Nshst | Self::Nshld)
    }
}

names! {
    /// Cache maintenance instructions (Arm ARM, C5.3).
    DcOp {
        /// Invalidate by address to the point of coherency.
        Ivac = "ivac",
        /// Invalidate by set and way.
        Isw = "isw",
        /// Clean by address to the point of coherency.
        Cvac = "cvac",
        /// Clean by set and way.
        Csw = "csw",
        /// Clean by address to the point of unification.
        Cvau = "cvau",
        /// Clean by address to the point of persistence.
        Cvap = "cvap",
        /// Clean by address to the point of deep persistence.
        Cvadp = "cvadp",
        /// Clean and invalidate by address to the point of coherency.
        Civac = "civac",
        /// Clean and invalidate by set and way.
        Cisw = "cisw",
    }
}

names! {
    /// What a [`Kind::Hint`] says.
    HintKind {
        /// The tree with the root at `location` is protected by the lock at `value`.
        SetRootLock = "set_root_lock",
        /// The table page at `location` belongs to the tree with the root at `value`.
        SetOwnerRoot = "set_owner_root",
        /// The tree or table at `location` is given up.
        ReleaseTable = "release_table",
        /// The entry at `location` belongs to the CPU `value`, which writes it without a lock.
        SetPteThreadOwner = "set_pte_thread_owner",
        /// The page at `location` is no table; it is written only with the lock at `value` held, and every other lock that
        /// is told so.
        SetPageLock = "set_page_lock",
        /// The hypervisor's image begins at `location` and has `value` bytes.
        SetImage = "set_image",
        /// The same of its page pool.
        SetPool = "set_pool",
        /// The same of what it has set apart for the SMMU's command queue.
        SetCommandQueue = "set_command_queue",
        /// The same for its event queue.
        SetEventQueue = "set_event_queue",
        /// The same of the device tree that the host gets.
        SetTree = "set_tree",
        /// At `location` begins the array of page states, which is written under locks; its first entry is of the page
        /// frame `value`.
        SetPageStates = "set_page_states",
    }
}

impl HintKind {
    /// Whether Casemate has a word for it.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::SetRootLock | Self::SetOwnerRoot | Self::ReleaseTable | Self::SetPteThreadOwner)
    }

    /// Whether `value` is a number of bytes from `location` on.
    pub(crate) const fn is_area(self) -> bool {
        matches!(
            self,
            Self::SetImage | Self::SetPool | Self::SetCommandQueue | Self::SetEventQueue | Self::SetTree
        )
    }
}
