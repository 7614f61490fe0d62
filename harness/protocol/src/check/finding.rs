//! What the checker says.

use std::fmt;

use parallax_addr::{InputAddr, PhysAddr};

use super::rule::Rule;

/// A translation regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Regime {
    /// Stage 2 on the CPUs, with its VMID.
    Cpu(u16),
    /// EL2's own stage 1.
    El2,
    /// Stage 2 in the SMMU, with its VMID.
    Smmu(u16),
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(vmid) => write!(f, "CPU stage 2, VMID {vmid}"),
            Self::El2 => write!(f, "EL2 stage 1"),
            Self::Smmu(vmid) => write!(f, "SMMU stage 2, VMID {vmid}"),
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An entry of a table.
    Entry {
        /// The regime that walks it; the first one where there are more.
        regime: Regime,
        /// Level of lookup, 0 to 3.
        level: i8,
        /// First input address that it translates.
        ia: InputAddr,
        /// Its physical address; the page around it is the table.
        pa: PhysAddr,
    },
    /// A page or root.
    Page {
        /// Its physical address.
        pa: PhysAddr,
    },
    /// The stream table entry of a StreamID.
    Stream(u32),
    /// A context descriptor.
    Context {
        /// The StreamID whose stream table entry points to it.
        sid: u32,
        /// Its SubstreamID.
        ssid: u32,
    },
    /// A register.
    Register(&'static str),
    /// An index of the command queue, counted from the first command ever.
    Command(u64),
    /// A page that is no table.
    Memory {
        /// Its physical address.
        pa: PhysAddr,
    },
    /// Memory of somebody else.
    Foreign {
        /// Its physical address.
        pa: PhysAddr,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { regime, level, ia, pa } => {
                write!(f, "{regime}, L{level} entry {pa:#x} in table {:#x} for {ia:#x}", pa.page())
            }
            Self::Memory { pa } => write!(f, "page {pa:#x}"),
            Self::Page { pa } => write!(f, "page {pa:#x}"),
            Self::Stream(sid) => write!(f, "STE of StreamID {sid}"),
            Self::Context { sid, ssid } => write!(f, "CD of StreamID {sid}, SubstreamID {ssid}"),
            Self::Register(name) => f.write_str(name),
            Self::Command(index) => write!(f, "command {index}"),
            Self::Foreign { pa } => write!(f, "memory at {pa:#x}"),
        }
    }
}

/// Where in the stream: an event's number and its instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// [`crate::Event::seq`].
    pub seq: u64,
    /// [`crate::Event::pc`].
    pub pc: u64,
    /// [`crate::Event::cpu`].
    pub cpu: u16,
}

/// An event that was meant to make it right and does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Where; not known of a command in memory.
    pub at: Option<Site>,
    /// What it is, and why it does not count.
    pub what: String,
}

/// A broken rule, at one place in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What it is about.
    pub subject: Subject,
    /// The event that broke it.
    pub at: Site,
    /// The earlier event that made it wrong, where there is one.
    pub since: Option<Site>,
    /// What happened.
    pub what: String,
    /// What was missing; empty when nothing could have made it right.
    pub missing: String,
    /// What came close to it, where something did.
    pub near: Option<Near>,
    /// The event by which it had to be there, when that is not the one that broke the rule.
    pub until: Option<Site>,
    /// How often it happened at this place.
    pub count: u64,
}
