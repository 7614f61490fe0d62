//! The checks, and the address spaces that they judge.

use serde::{Deserialize, Serialize};

/// Makes [`Check`] from its table.
macro_rules! table_of_checks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $question:literal;)*) => {
        /// A check. [`crate::Rule`] has its rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Check { $($(#[$doc])* $variant,)* }

        impl Check {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in goldens.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it asks; code stands in backticks.
            #[must_use]
            pub const fn question(self) -> &'static str {
                match self { $(Self::$variant => $question),* }
            }
        }
    };
}

table_of_checks! {
    /// The CPU's and the SMMU's tables agree.
    Sync = "sync",
        "Does the SMMU map a page exactly when the CPU's entry is not annotated: same output address, no more \
         permissions, the memory type that the policy asks for?";
    /// The hypervisor is out of the host's reach.
    Isolation = "isolation",
        "Is the hypervisor's image, pool and SMMU frame in no mapping that the host's CPUs or devices reach? Is the SMMU \
         closed (SMMUEN = 1, or GBPA.ABORT = 1)? Does each stream table entry have stage 2 with safe fields? Is nothing \
         at EL2 both writable and executable, no constant of its image writable, nothing mapped right below a stack? Is \
         every stream closed whose host was told that its SMMU is off? Do the registers of each CPU that runs the host trap \
         what they must, and the same on all of them?";
    /// Every page has one owner, and all records of it agree.
    Ownership = "ownership",
        "Do page states, annotations and EL2's mappings tell one story: one owner for each page, both sides of a loan, \
         no reference to a page without a right to it, no page at EL2's disposal that it does not map? Is every page of \
         the page pools either free or in use?";
    /// Every master reaches what it may reach.
    Reach = "reach",
        "Is every physical address that a master of memory was given (the SMMU, the ITS, a redistributor) one that it may \
         reach: the hypervisor's own memory where the hypervisor uses it, memory that the host has lent and that is pinned \
         where the host does? Is every master that nothing holds out of the host's reach?";
    /// The hypervisor's memory changes by its own stores.
    Sentinel = "sentinel",
        "Is every byte of the hypervisor's image and pool what the stores of EL2 made of it? Asked where a plugin saw \
         them, after every access to a device or by one, now and then, and at the end.";
    /// Every mapping is of the kind that its address must have.
    Sanity = "sanity",
        "Is the host's map the identity, memory executable and of the host's own type, MMIO not executable? Is every base \
         address a multiple of its structure's size? Do those that write tables and queues and those that read them go \
         through the same caches?";
    /// An access ended as the tables say it must.
    Access = "access",
        "Did the CPU's or device's access end as the tables say it must? A stale TLB shows itself here. Is what was \
         written in memory, and is memory that was refused unchanged?";
    /// An operation's result is the expected one.
    Result = "result",
        "Is the result the one that the trace expects?";
    /// An operation did what it is specified to do.
    Spec = "spec",
        "Did the operation end as the specification says, did every page become what it says and nothing else, and do the \
         host's CPUs, its devices and EL2 reach exactly what follows from that?";
    /// What happened, happened in the right order (see `parallax-protocol`).
    Protocol = "protocol",
        "Did all that the hypervisor did happen in the right order, its boot included?";
}

impl Check {
    /// Whether it looks at what a plugin saw, and finds nothing without one.
    #[must_use]
    pub const fn needs_events(self) -> bool {
        matches!(self, Self::Sentinel | Self::Protocol)
    }
}

/// Which address space a finding's span is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// IPAs of the host's stage 2.
    Cpu,
    /// IPAs of the SMMU's stage 2.
    Smmu,
    /// Virtual addresses at EL2.
    El2,
    /// Physical addresses.
    Page,
    /// StreamIDs.
    Ste,
    /// Registers; the span is empty.
    Regs,
}

impl Space {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Cpu, Self::Smmu, Self::El2, Self::Page, Self::Ste, Self::Regs];

    /// Its name in goldens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Smmu => "smmu",
            Self::El2 => "el2",
            Self::Page => "page",
            Self::Ste => "ste",
            Self::Regs => "regs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn a_space_is_recorded_under_its_name() {
        for space in Space::ALL {
            assert_eq!(serde_json::to_value(space).unwrap(), space.name());
        }
    }
}
