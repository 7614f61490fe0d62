//! The rules of all checks: one table, from which the enum, docs/checks.md and what reports say of a finding are made.
//!
//! The rules of the order of events have their own table in `parallax-protocol`.

use std::fmt;

use parallax_protocol::Rule as Order;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::check::Check;

/// Makes [`Rule`] from its table.
macro_rules! table_of_rules {
    ($($check:ident { $($variant:ident = $name:literal, $summary:literal, $source:literal;)* })*) => {
        /// What can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $summary] $variant,)*)*
            /// A rule of the order of events.
            Protocol(Order),
        }

        impl Rule {
            /// Those that are not of the order of events.
            const OF_STATES: &[Self] = &[$($(Self::$variant),*),*];

            /// Its check.
            #[must_use]
            pub const fn check(self) -> Check {
                match self {
                    $($(Self::$variant => Check::$check,)*)*
                    Self::Protocol(_) => Check::Protocol,
                }
            }

            /// Its name within its check, as goldens have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)*)*
                    Self::Protocol(rule) => rule.name(),
                }
            }

            /// What is wrong where it is broken, in a sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self {
                    $($(Self::$variant => $summary,)*)*
                    Self::Protocol(rule) => rule.summary(),
                }
            }

            /// Where it comes from: a section of a manual (DDI 0487 is the Arm ARM, IHI 0070 the SMMUv3's
            /// specification), or a page under docs/.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self {
                    $($(Self::$variant => $source,)*)*
                    Self::Protocol(rule) => rule.source(),
                }
            }
        }
    };
}

table_of_rules! {
    Sync {
        SyncExtra = "extra", "The SMMU maps a page that the host's table gives to another.", "docs/ownership.md";
        SyncMissing = "missing", "The SMMU does not map a page that is the host's.", "docs/ownership.md";
        SyncAddress = "address", "Devices reach another address than the host's CPUs.", "docs/ownership.md";
        SyncPermission = "permission", "The SMMU's permissions are not those of the host's CPUs.", "DDI 0487, D8.4";
        SyncAccessFlag = "access-flag", "The access flag of an SMMU entry is clear: devices fault.", "IHI 0070, 5.2";
        SyncMemoryType = "memory-type", "The SMMU's memory type is not the one that the policy asks for.", "docs/attributes.md";
        SyncStreamUnserved = "stream-unserved", "A stream that is to be served has no stage 2.", "IHI 0070, 5.2";
    }
    Isolation {
        IsolationReachable = "reachable", "The host's CPUs or devices reach memory of the hypervisor.", "docs/ownership.md";
        IsolationUnclaimed = "unclaimed", "The host's table does not say that memory of the hypervisor is the hypervisor's.", "docs/ownership.md";
        IsolationOpen = "open", "The host's stage 2 is off, or the SMMU lets every device pass.", "DDI 0487, D24.2; IHI 0070, 6.3";
        IsolationSmmuError = "smmu-error", "The SMMU reports an error that nobody has answered.", "IHI 0070, 6.3";
        IsolationMsi = "msi", "The SMMU writes its interrupts to memory that is not the host's.", "IHI 0070, 6.3";
        IsolationEventQueue = "event-queue", "The SMMU writes events to memory that the host has not lent, or that is not pinned.", "IHI 0070, 3.5";
        IsolationSte = "ste", "A stream table entry is illegal, or has an unsafe field.", "IHI 0070, 5.2";
        IsolationSteBypass = "ste-bypass", "A stream table entry lets its device pass without stage 2.", "IHI 0070, 5.2";
        IsolationEl2Off = "el2-off", "EL2's stage 1 is off.", "DDI 0487, D24.2";
        IsolationWritableCode = "writable-code", "EL2 may write what it executes.", "DDI 0487, D8.4";
        IsolationEl2Constants = "el2-constants", "EL2 may write its own constants.", "DDI 0487, D8.4";
        IsolationEl2Guard = "el2-guard", "Nothing keeps a stack of EL2's from growing into what lies below it.", "docs/checks.md";
        IsolationStreamOpen = "stream-open", "A stream is open although the SMMU reads as off to the host.", "IHI 0070, 6.3.9";
        IsolationControl = "control", "A register of EL2's does not keep from the host what it must, on one CPU or on all.", "DDI 0487, D24.2";
        IsolationContents = "contents", "Memory of the hypervisor that nobody may write has changed.", "docs/attack.md";
    }
    Ownership {
        OwnershipParties = "parties", "The states of host, hypervisor and guests contradict each other.", "docs/ownership.md";
        OwnershipReference = "reference", "The hypervisor holds references to a page that it has no right to.", "docs/ownership.md";
        OwnershipAnnotation = "annotation", "The host's page state and its stage-2 entry contradict each other.", "docs/ownership.md";
        OwnershipOwner = "owner", "A stage-2 entry names another owner than the page states.", "docs/ownership.md";
        OwnershipEl2Unpinned = "el2-unpinned", "EL2 maps a page that it has borrowed and not pinned.", "docs/ownership.md";
        OwnershipLoaded = "loaded", "The hypervisor has memory that the device tree gives a purpose.", "Devicetree Specification, 3.5.4";
        OwnershipTree = "tree", "The device tree that the host gets does not reserve memory of the hypervisor.", "Devicetree Specification, 3.5.4";
        OwnershipEl2Mapped = "el2-mapped", "EL2 maps a page that is not the hypervisor's.", "docs/ownership.md";
        OwnershipEl2Device = "el2-device", "EL2 uses registers that the host's table does not keep from the host.", "docs/ownership.md";
        OwnershipEl2Missing = "el2-missing", "EL2 does not map a page that it owns or has pinned.", "docs/ownership.md";
        OwnershipGuestPage = "guest-page", "A virtual machine's stage 2 maps a page that is not lent to it or its own.", "docs/ownership.md";
        OwnershipGuestCount = "guest-count", "A page is lent to more or fewer virtual machines than map it.", "docs/ownership.md";
        OwnershipPool = "pool", "A page pool's list of free pages is broken, or their count is wrong.", "docs/checks.md";
        OwnershipPageFree = "page-free", "A table that is in use is on its pool's list of free pages.", "docs/checks.md";
        OwnershipPageLost = "page-lost", "A page of a pool is neither free nor in use.", "docs/checks.md";
    }
    Reach {
        ReachSmmuTable = "smmu-table", "The SMMU's stream table is not in memory that is the hypervisor's for nothing else.", "IHI 0070, 3.3";
        ReachSmmuQueue = "smmu-queue", "A queue of the SMMU is not in memory that is the hypervisor's for nothing else.", "IHI 0070, 3.5";
        ReachQueuePlace = "queue-place", "A queue of the SMMU is not the memory that the hypervisor has for it.", "IHI 0070, 3.5";
        ReachItsQueue = "its-queue", "The ITS's commands are not in memory that is the hypervisor's for nothing else.", "IHI 0069, 12.19";
        ReachItsTable = "its-table", "A table of the ITS is not in memory that is the hypervisor's for nothing else.", "IHI 0069, 12.19";
        ReachItt = "itt", "The ITS writes an ITT to memory that the host has not lent, or that is not pinned.", "IHI 0069, 5.3";
        ReachLpiTable = "lpi-table", "A redistributor's LPI table is in memory that the host has not lent, or that is not pinned.", "IHI 0069, 12.11";
        ReachUnheld = "unheld", "The host may program a master that nothing holds.", "docs/masters.md";
        ReachTree = "tree", "The device tree that the host gets names registers that the host may not use.", "docs/masters.md";
    }
    Sentinel {
        SentinelUnseen = "unseen", "Memory of the hypervisor changed, and no store of EL2 did it.", "docs/checks.md";
    }
    Sanity {
        SanityIdentity = "identity", "An address of the host leads to another address.", "docs/ownership.md";
        SanityPermission = "permission", "The host may not both read and write a page that it has.", "DDI 0487, D8.4";
        SanityExecute = "execute", "Memory of the host is not executable, or MMIO is.", "DDI 0487, D8.4";
        SanityMemoryType = "memory-type", "Stage 2 does not leave the memory type to the host's stage 1.", "DDI 0487, D8.6";
        SanityShareability = "shareability", "A mapping of the host is not inner shareable.", "DDI 0487, D8.6";
        SanityAccessFlag = "access-flag", "The access flag of a mapping of the host is clear.", "DDI 0487, D8.5";
        SanityMalformed = "malformed", "An entry of a table is not legal.", "DDI 0487, D8.3";
        SanityUnreadable = "unreadable", "A table or a structure of the SMMU cannot be read.", "DDI 0487, D8.2; IHI 0070, 3.3";
        SanityAlignment = "alignment", "A base address is no multiple of its structure's size.", "DDI 0487, D24.2; IHI 0070, 6.3";
        SanityCoherence = "coherence", "A table or queue is not written and read through the same caches.", "DDI 0487, B2.10; IHI 0070, 6.3.11";
        SanityTree = "tree", "The device tree that the host gets cannot be read, or names a node that is not there.", "Devicetree Specification, 2.3.3";
    }
    Access {
        AccessStale = "stale", "An access succeeded although the tables refuse it.", "DDI 0487, D8.16; IHI 0070, 3.17";
        AccessRefused = "refused", "An access was refused although the tables allow it.", "DDI 0487, D8.4; IHI 0070, 3.3";
        AccessUnheld = "unheld", "A device reached memory that is not the host's: nothing holds it.", "docs/masters.md";
        AccessDataRead = "data-read", "What was read is not what memory holds.", "docs/checks.md";
        AccessDataWritten = "data-written", "What was written is not in memory.", "docs/checks.md";
        AccessException = "exception", "The exception that the host took does not tell what its access did.", "DDI 0487, D1.3 and D24.2";
        AccessDataRefused = "data-refused", "Memory changed although the write was refused.", "docs/checks.md";
    }
    Spec {
        SpecResult = "result", "The operation ended in a way that the specification does not allow.", "docs/specification.md";
        SpecPage = "page", "A page is not what the specification makes of it.", "docs/specification.md";
        SpecCommand = "command", "The ITS or the SMMU was not given the host's commands as the host gave them.", "IHI 0069, 5.3; IHI 0070, 4";
        SpecStream = "stream", "A stream is not what the host's stream table makes of it.", "docs/viommu.md";
        SpecReach = "reach", "The host's CPUs, its devices or EL2 reach a page that they must not, or do not reach one that they must.", "docs/specification.md";
    }
    Result {
        ResultExpected = "expected", "The operation ended in another way than the trace expects.", "docs/traces.md";
        ResultLongStay = "long-stay", "EL2 kept a CPU for more instructions than the operation may take.", "docs/limits.md";
        ResultEvents = "events", "The SMMU's events do not tell of the access that it refused.", "IHI 0070, 7.3";
        ResultRegisters = "registers", "x1 to x3 after a call are not what it gives back; on an unmodified pKVM: x2 to x30 or SP are not what they were.", "docs/traces.md";
    }
}

impl Rule {
    /// All of them, check by check.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OF_STATES.iter().copied().chain(Order::ALL.iter().copied().map(Self::Protocol))
    }

    /// The one that is written `check/name`.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (check, name) = text.split_once('/')?;
        Self::all().find(|rule| rule.check().name() == check && rule.name() == name)
    }

    /// What a broken rule means, in sentences: what is wrong, and what is asked.
    #[must_use]
    pub fn explanation(self) -> String {
        match self {
            Self::Protocol(rule) => format!("The rule is broken when {}.", rule.broken_when()),
            _ => format!("{} The check asks: {}", self.summary(), self.check().question()),
        }
    }
}

/// `check/name`, as goldens have it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.check().name(), self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_text(&text).ok_or_else(|| D::Error::custom(format_args!("there is no rule `{text}`")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rule_is_known_by_its_text_alone() {
        for rule in Rule::all() {
            assert_eq!(Rule::from_text(&rule.to_string()), Some(rule));
        }
        let texts: BTreeSet<String> = Rule::all().map(|rule| rule.to_string()).collect();
        assert_eq!(texts.len(), Rule::all().count());
        for unknown in ["", "sync", "sync/", "sync/no-such-rule", "extra", "isolation/extra"] {
            assert_eq!(Rule::from_text(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_rule_says_what_is_wrong_in_one_sentence() {
        for rule in Rule::all() {
            let summary = rule.summary();
            assert!(
                summary.ends_with('.') && !summary[..summary.len() - 1].contains(". "),
                "{rule}: {summary}"
            );
            assert!(rule.explanation().ends_with(['.', '?']), "{rule}");
            assert!(!rule.source().is_empty(), "{rule}");
        }
    }

    #[test]
    fn a_rule_is_recorded_as_its_text() {
        assert_eq!(serde_json::to_string(&Rule::SyncExtra).unwrap(), "\"sync/extra\"");
        assert_eq!(
            serde_json::from_str::<Rule>("\"protocol/el2-asid\"").unwrap(),
            Rule::Protocol(Order::El2Asid)
        );
        let error = serde_json::from_str::<Rule>("\"sync/other\"").unwrap_err();
        assert!(error.to_string().starts_with("there is no rule `sync/other`"), "{error}");
    }
}
