//! The rules: one table, from which the enum, docs/protocol.md and what reports say of a rule are made.

/// Makes [`Rule`] from its table.
macro_rules! rules {
    ($($variant:ident = $name:literal {
        summary: $summary:literal, broken_when: $broken_when:literal, source: $source:literal,
    })*) => {
        /// A rule of the order of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $(#[doc = $summary] $variant,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, in lower case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// What happened where it is broken, in a sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),* }
            }

            /// Exactly when it is broken, to be read after "when"; without a full stop at its end.
            #[must_use]
            pub const fn broken_when(self) -> &'static str {
                match self { $(Self::$variant => $broken_when),* }
            }

            /// Where it comes from: a section of a manual, or a page under docs/.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$variant => $source),* }
            }
        }
    };
}

rules! {
    BreakBeforeMake = "break-before-make" {
        summary: "A live entry was changed in a way that needs a break before.",
        broken_when: "a live entry gets another output address, memory type, shareability, table, size or contiguous \
            hint without an invalid value between. Block and table may change places at once where FEAT_BBM \
            (ID_AA64MMFR2_EL1.BBM, IDR3.BBML) has level 2 for all who walk the tree, and both translate the same",
        source: "DDI 0487, D8.17; IHI 0070, 3.21",
    }
    Unclean = "unclean-remake" {
        summary: "An entry was made valid before what was cached of its old value was gone.",
        broken_when: "an entry becomes valid while it is unclean; or a leaf does, alone or with its table, while another \
            entry that translated the same address is (one of a table that was taken out)",
        source: "DDI 0487, D8.16 and D8.17; IHI 0070, 3.17 and 4.4",
    }
    ReleasedUnclean = "released-unclean" {
        summary: "A CPU returned to EL1, or gave the tree's lock back, before what it had taken away was gone everywhere.",
        broken_when: "a CPU returns to EL1, or unlocks the tree, with entries of its making unclean. `released` is what \
            a new owner may rely on",
        source: "DDI 0487, D8.16; IHI 0070, 3.17, 4.4 and 4.7",
    }
    Unpublished = "unpublished" {
        summary: "A CPU returned to EL1 before an entry that it made valid was published by a DSB.",
        broken_when: "a CPU returns to EL1 after making an entry valid, with no DSB for stores",
        source: "DDI 0487, B2.3.12",
    }
    UnorderedTable = "unordered-table" {
        summary: "A table was hooked in before stores to it were ordered.",
        broken_when: "a table is hooked in by a plain store, with no barrier since the same CPU's last store to it",
        source: "DDI 0487, B2.3.12",
    }
    TableReused = "table-reused" {
        summary: "A page that left a tree was written while walks could still reach it.",
        broken_when: "a page that was taken out of a tree is written while an entry above or in it is unclean",
        source: "DDI 0487, D8.16; IHI 0070, 3.17",
    }
    FreedTable = "freed-table" {
        summary: "Memory was freed that is, or may still be, a table.",
        broken_when: "memory is freed, or a table released, that is reachable or unclean",
        source: "DDI 0487, D8.16; IHI 0070, 3.17",
    }
    TwoParents = "two-parents" {
        summary: "One table page hangs under two entries.",
        broken_when: "one page is hooked in under two entries, or as a root and under an entry",
        source: "docs/protocol.md",
    }
    Contiguous = "contiguous-set" {
        summary: "Entries of a contiguous set do not agree.",
        broken_when: "a leaf disagrees with a valid neighbour of its set of 16 on the contiguous hint",
        source: "DDI 0487, D8.7",
    }
    Unlocked = "unlocked-write" {
        summary: "A table, or the page-state array, was written without its lock.",
        broken_when: "a CPU stores to a live table whose lock it does not hold, and whose entry it does not own; or to the \
            page-state array without both the host's lock and EL2's. A table without a known lock is not judged",
        source: "docs/protocol.md",
    }
    TwoOwners = "two-owners" {
        summary: "A page was mapped for EL2 and for the host or its devices at once while it changed hands.",
        broken_when: "in one stay at EL2 a page becomes mapped in EL2's stage 1 and unmapped in the host's stage 2 or the \
            SMMU's, or the other way round, and who gains it does so before the other one has lost it",
        source: "docs/ownership.md",
    }
    BaseElsewhere = "base-elsewhere" {
        summary: "A master was given an address of memory that is not for it.",
        broken_when: "STRTAB_BASE, CMDQ_BASE, GITS_CBASER or GITS_BASER<n> of the hypervisor's is written with memory that \
            is not in its page pool, or that is a table, the page states or another one's queue there (of the SMMU's \
            queues: anything but what is set apart for them); or EVENTQ_BASE is, or names memory that is neither \
            in the pool nor lent by the host and pinned; or GICR_PROPBASER, GICR_PENDBASER or the address of an MSI of \
            the SMMU's, or the ITT_addr of a MAPD when that is seen consumed, names the hypervisor's memory or memory that the host has \
            not lent, pinned",
        source: "IHI 0070, 3.5 and 6.3; IHI 0069, 12.11 and 12.19; docs/masters.md",
    }
    LockTwice = "lock-twice" {
        summary: "A CPU took a lock that it held.",
        broken_when: "a CPU takes a lock that it has not given back since it took it. A `trylock` of such a lock is one \
            that failed",
        source: "docs/protocol.md",
    }
    LockHeld = "lock-held" {
        summary: "A CPU returned to EL1 with a lock that it held.",
        broken_when: "a CPU returns to EL1 and has not given back a lock that it took, by whichever `lock` or `trylock`. The \
            finding stands where it took it",
        source: "docs/protocol.md",
    }
    VmidDuplicate = "vmid-duplicate" {
        summary: "A VMID names two live roots.",
        broken_when: "two live roots have one VMID",
        source: "DDI 0487, D8.16",
    }
    VmidStale = "vmid-stale" {
        summary: "A VMID was given to another tree while translations of the last one could be cached under it.",
        broken_when: "a VMID goes to a tree after another tree under it was released, with no VMALLS12E1IS under it (or \
            ALLE1IS) and DSB ISH since",
        source: "DDI 0487, D8.16",
    }
    VmidChanged = "vmid-changed" {
        summary: "A live root changed its VMID.",
        broken_when: "a live root gets another VMID",
        source: "DDI 0487, D8.16",
    }
    El2Asid = "el2-asid" {
        summary: "TTBR0_EL2 was given an ASID, which EL2 does not have.",
        broken_when: "TTBR0_EL2 bits 63:48 are not zero: EL2 without VHE has no ASID",
        source: "DDI 0487, D24.2",
    }
    SteValidFirst = "ste-valid-first" {
        summary: "A stream table entry was made valid before its other dwords were ordered.",
        broken_when: "V of a stream table entry is set by a plain store right after stores to other dwords",
        source: "IHI 0070, 3.21.3",
    }
    SteLive = "ste-live-change" {
        summary: "A live stream table entry was changed in more than one dword without CFGI and SYNC between.",
        broken_when: "a valid stream table entry changes in a second dword before CFGI and SYNC of the first",
        source: "IHI 0070, 3.21.3",
    }
    SteEarly = "ste-early-write" {
        summary: "A stream table entry was written while the SMMU could still hold its valid form.",
        broken_when: "other dwords of a stream table entry are written after V was cleared, before CFGI and SYNC",
        source: "IHI 0070, 3.21.3",
    }
    SteUnclean = "ste-unclean" {
        summary: "A CPU returned to EL1 before the SMMU had dropped a changed stream table entry.",
        broken_when: "a CPU returns to EL1 with a stream table entry changed and not invalidated",
        source: "IHI 0070, 3.21.3 and 4.3",
    }
    CdValidFirst = "cd-valid-first" {
        summary: "A context descriptor was made valid before its other dwords were ordered.",
        broken_when: "V of a context descriptor is set by a plain store right after stores to other dwords",
        source: "IHI 0070, 3.21.3",
    }
    CdLive = "cd-live-change" {
        summary: "A live context descriptor was changed in more than one dword without CFGI and SYNC between.",
        broken_when: "a valid context descriptor changes in a second dword before CFGI and SYNC of the first",
        source: "IHI 0070, 3.21.3",
    }
    CdEarly = "cd-early-write" {
        summary: "A context descriptor was written while the SMMU could still hold its valid form.",
        broken_when: "other dwords of a context descriptor are written after V was cleared, before CFGI and SYNC",
        source: "IHI 0070, 3.21.3",
    }
    CdUnclean = "cd-unclean" {
        summary: "A CPU returned to EL1 before the SMMU had dropped a changed context descriptor.",
        broken_when: "a CPU returns to EL1 with a context descriptor changed and not invalidated",
        source: "IHI 0070, 3.21.3 and 4.3",
    }
    CommandUnordered = "command-unordered" {
        summary: "The SMMU was given commands before they were visible.",
        broken_when: "CMDQ_PROD passes commands that were stored after the CPU's last DSB; or GERRORN acknowledges CMDQ_ERR with \
            such a command between CMDQ_CONS and CMDQ_PROD: the SMMU goes on there, and reads the one that it refused again",
        source: "IHI 0070, 3.5 and 7.1; DDI 0487, B2.3.12",
    }
    CommandOverwritten = "command-overwritten" {
        summary: "A command was overwritten before it was consumed.",
        broken_when: "a command is stored over one that was not seen consumed, or CMDQ_PROD passes CMDQ_CONS",
        source: "IHI 0070, 3.5",
    }
    CommandForbidden = "command-forbidden" {
        summary: "The SMMU was given a command that nobody here may give.",
        broken_when: "CMDQ_PROD passes a command whose opcode the Non-secure queue does not take or the SMMU has nothing for, \
            or a hint; CMD_SYNC with an MSI address; TLBI_NH_* with a VMID that is not 0 and that no stage 2 of the SMMU \
            has; or CFGI with SSec = 1",
        source: "IHI 0070, 4.1 to 4.7; docs/viommu.md",
    }
    EventUnordered = "event-unordered" {
        summary: "A record of the SMMU's event queue was read before the index that tells of it, or after it was given back.",
        broken_when: "a CPU loads from the memory that EVENTQ_BASE names, unless EVENTQEN is clear in CR0 and was read as clear in CR0ACK since, \
            with no DMB or DSB for loads (not non-shareable) since its last load of EVENTQ_PROD; or it stores to EVENTQ_CONS with none since its last load of a record, whose place \
            the SMMU may then write anew",
        source: "IHI 0070, 3.5.2; DDI 0487, B2.3",
    }
    Unsynchronised = "unsynchronised" {
        summary: "A CPU returned to EL1 before its write of a translation register was synchronised.",
        broken_when: "a translation register (VTTBR, VTCR, HCR, TTBR0, TCR, MAIR or SCTLR of EL2) is written, and the CPU \
            returns to EL1 without ISB while SCTLR_EL2.EOS is 0: that ERET synchronises nothing",
        source: "DDI 0487, D24.1.2 and D24.2 (SCTLR_EL2.EOS)",
    }
    UsedUnsynchronised = "used-unsynchronised" {
        summary: "EL2 used a page before its own mapping of it was synchronised.",
        broken_when: "a CPU reads or writes a page for which it has just made an entry of EL2's stage 1 valid, with no DSB \
            for stores and ISB behind it since. Seen are stores to the page pool and loads of memory that is not the \
            hypervisor's own",
        source: "DDI 0487, B2.3.12 and D8.17",
    }
    FirstUse = "first-use" {
        summary: "A translation was used for the first time before what caches held from before was gone.",
        broken_when: "a CPU returns to EL1 with HCR_EL2.VM just set and no TLBI ALLE1* (or VMALLS12E1*) and DSB of its \
            own; or with SCTLR_EL2.M just set, or TTBR0_EL2 given another root while it is not known to be 0, and no TLBI \
            ALLE2* and DSB since (for these a lock taken, or a store to a live table, is as much as a return); or SMMUEN is set before CMD_CFGI_ALL, CMD_TLBI_NSNH_ALL and a CMD_SYNC were seen consumed. What ran \
            before may have left anything, and EL2 has no ASID",
        source: "DDI 0487, D8.16; IHI 0070, 3.11 and 6.3.9.6",
    }
    SmmuOpen = "smmu-open" {
        summary: "The SMMU was turned off while GBPA lets transactions pass.",
        broken_when: "SMMUEN goes from 1 to 0 before GBPA.ABORT was read as 1 with Update 0; where the hypervisor's image is known, also \
            from what nobody has read or written, and before what GBPA holds was read: firmware may leave it on and open",
        source: "IHI 0070, 3.11 and 6.3.14",
    }
    SmmuLiveBase = "smmu-live-base" {
        summary: "The SMMU was given another table or queue while it uses its own.",
        broken_when: "STRTAB_BASE, STRTAB_BASE_CFG, CMDQ_BASE or EVENTQ_BASE is written after CR0.SMMUEN, CMDQEN or EVENTQEN was set, and \
            before CR0ACK is read with that bit clear, behind a write of CR0 with it clear",
        source: "IHI 0070, 6.3.9, 6.3.24 to 6.3.27",
    }
    SmmuReturned = "smmu-returned" {
        summary: "Memory of the SMMU's event queue was given back to the host before the SMMU had left it.",
        broken_when: "the state of a page says that it is not lent by the host any more, or not pinned, while it is of the queue at EVENTQ_BASE \
            and CR0ACK.EVENTQEN was not read as 0 since CR0.EVENTQEN was cleared",
        source: "IHI 0070, 6.3.10; docs/viommu.md",
    }
    UnknownRegister = "unknown-register" {
        summary: "A register was read where the syndrome leaves it UNKNOWN.",
        broken_when: "HPFAR_EL2 is read after ESR_EL2 reported an abort that is no translation, access flag or address size \
            fault of stage 2, nor one on a stage-1 walk; or FAR_EL2 after FnV was 1",
        source: "DDI 0487, D24.2 (HPFAR_EL2, FAR_EL2, ESR_EL2)",
    }
    StartUnclean = "start-unclean" {
        summary: "A CPU was started before what it reads with its caches off had left those of others.",
        broken_when: "SMC calls PSCI's CPU_ON or CPU_SUSPEND, and the line of 64 bytes that its context id points to has \
            been stored to with no DC CVAC, CIVAC, CVAP or CVADP of it since and DSB SY behind that, on the CPU that stored; \
            or a CPU first returns to EL1 when that is so of a line of the host's device tree",
        source: "DDI 0487, B2.10 and D7.5; DEN0022, 6.4",
    }
    SmcForbidden = "smc-forbidden" {
        summary: "EL2 asked the firmware for what it must not ask for.",
        broken_when: "SMC, where the hypervisor's image is known, has a function id (bit 30 aside) that is none of SMCCC_VERSION, \
            SMCCC_ARCH_FEATURES, ARCH_WORKAROUND_1 to 3, PSCI's (but for SYSTEM_SUSPEND and those that no host needs) and TRNG's; or CPU_ON \
            or CPU_SUSPEND has an entry point outside of the image: firmware starts a CPU at EL2 there",
        source: "DEN0028, 6 and 7; DEN0022, 5.1; DEN0098, 2",
    }
    ItsUnordered = "its-unordered" {
        summary: "The ITS was told of a command before its store was visible.",
        broken_when: "GITS_CWRITER is written after a store to the ITS's command queue, or GITS_CBASER or GITS_BASER<n> (with Valid = 1) \
            after one to the memory that it names, with no DSB for stores between the two",
        source: "IHI 0069, 5.3 and 12.19 (GITS_CWRITER); DDI 0487, B2.3.12",
    }
    ItsCommand = "its-command" {
        summary: "The ITS was given a command with bits that belong to no field.",
        broken_when: "GITS_CREADR is read behind a command whose number has no meaning, or that has a bit set which is RES0 in it: \
            what the host wrote was passed on as it was",
        source: "IHI 0069, 5.3",
    }
    GicLiveBase = "gic-live-base" {
        summary: "A redistributor was given other LPI tables while it uses its own.",
        broken_when: "GICR_PROPBASER or GICR_PENDBASER is written after GICR_CTLR.EnableLPIs was set, and before GICR_CTLR is read \
            with EnableLPIs and RWP clear",
        source: "IHI 0069, 12.11 (GICR_PROPBASER, GICR_PENDBASER)",
    }
    GicReturned = "gic-returned" {
        summary: "The GIC's memory was given back to the host before the GIC had left it.",
        broken_when: "the state of a page says that it is not lent by the host any more, or not pinned, while it is of an ITT: \
            until the MAPD that takes that out (or gives its device another) is consumed, and behind it a SYNC for \
            each redistributor that a MAPC named; or while it is of the LPI tables of a redistributor: until GICR_CTLR is \
            read with EnableLPIs and RWP clear. Consumed is what a read of GITS_CREADR has passed",
        source: "IHI 0069, 5.3 (MAPD, SYNC) and 12.11 (GICR_CTLR); docs/masters.md",
    }
    DoubleFetch = "double-fetch" {
        summary: "Memory that others can write was read a second time, elsewhere in the code, in one stay at EL2.",
        broken_when: "between entry and return, two instructions load the same address of memory that is not the \
            hypervisor's own. What the host may rewrite is copied once, and the copy is checked and used. One \
            instruction may load an address again: a later request may name it",
        source: "docs/protocol.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(Rule::from_name(rule.name()), Some(*rule));
        }
        assert_eq!(Rule::from_name("no-such-rule"), None);
    }
}
