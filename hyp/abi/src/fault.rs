//! Faults that a build with the `faults` feature can switch on (`fault=NAME` on the hypervisor's command line).
//!
//! Each is a bug of a kind that real hypervisors have had. A normal build does not contain them. They are here so
//! that the harness knows the names; what each one does is in `hyp/core/src/faulty`.

use core::sync::atomic::{AtomicU64, Ordering};

static ACTIVE: AtomicU64 = AtomicU64::new(0);

/// Switches `fault` on, for the rest of the run.
pub fn switch_on(fault: Fault) {
    ACTIVE.store(fault as u64, Ordering::Relaxed);
}

/// Whether `fault` is switched on.
#[must_use]
pub fn on(fault: Fault) -> bool {
    ACTIVE.load(Ordering::Relaxed) == fault as u64
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// A switchable fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u64)]
        pub enum Fault { $($(#[doc = $doc])* $variant = $number,)* }

        impl Fault {
            /// Every fault, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name on the command line and in traces.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it breaks, in one line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The fault with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|fault| fault.name() == name)
            }
        }
    };
}

faults! {
    /// An unmap in the SMMU's table is not followed by any TLBI command.
    SmmuNoTlbi = 1, "smmu_no_tlbi";
    /// The SMMU's TLBI command carries VMID 1 instead of the host's 0.
    SmmuTlbiWrongVmid = 2, "smmu_tlbi_wrong_vmid";
    /// The SMMU's TLBI command names the page after the one that was unmapped.
    SmmuTlbiWrongIpa = 3, "smmu_tlbi_wrong_ipa";
    /// The SMMU's TLBI is put off until the next one, after the lock was released.
    SmmuTlbiAfterUnlock = 4, "smmu_tlbi_after_unlock";
    /// The hook leaves the SMMU's entry in place when the host loses a page.
    SmmuUnmapSkipped = 5, "smmu_unmap_skipped";
    /// Only the first page of a range is unmapped from the SMMU.
    SmmuUnmapFirstPageOnly = 6, "smmu_unmap_first_page_only";
    /// The hook does not map a page again that comes back to the host.
    SmmuMapSkipped = 7, "smmu_map_skipped";
    /// Splitting a block of the idmap loses the other pages of the block.
    SmmuSplitDropsNeighbours = 8, "smmu_split_drops_neighbours";
    /// The idmap's output address does not advance along a range that is mapped.
    SmmuMapDrifts = 9, "smmu_map_drifts";
    /// Memory that returns to the host is mapped as Device in the idmap.
    SmmuMapWrongAttr = 10, "smmu_map_wrong_attr";
    /// The snapshot of MMIO ignores the chosen attribute policy and maps it cacheable.
    SmmuSnapshotWrongAttr = 11, "smmu_snapshot_wrong_attr";
    /// The snapshot maps pages that are annotated as the hypervisor's.
    SmmuSnapshotIgnoresAnnotation = 12, "smmu_snapshot_ignores_annotation";
    /// A donation between the snapshot and the moment it is marked done is lost.
    SmmuSnapshotUpdateLost = 13, "smmu_snapshot_update_lost";
    /// Stream table entries are written as bypass instead of stage 2.
    SmmuSteBypass = 14, "smmu_ste_bypass";
    /// Stream table entries do not record faults (S2R = 0).
    SmmuSteNoRecord = 15, "smmu_ste_no_record";
    /// SMMUEN is left 0 and GBPA is left open.
    SmmuLeftDisabled = 16, "smmu_left_disabled";
    /// MMIO recycling in the CPU's table is propagated to the SMMU as an unmap.
    SmmuRecyclePropagated = 17, "smmu_recycle_propagated";
    /// The SMMU's register frame is left mappable by the host.
    SmmuMmioNotDonated = 18, "smmu_mmio_not_donated";
    /// host_donate_hyp leaves the host's stage-2 entry mapped.
    HostDonateKeepsMapping = 32, "host_donate_keeps_mapping";
    /// host_donate_hyp invalidates nothing in the CPU's TLBs.
    HostDonateNoTlbi = 33, "host_donate_no_tlbi";
    /// A range is judged by the state of its first page.
    HostDonateChecksFirstPageOnly = 34, "host_donate_checks_first_page_only";
    /// Only the first page of a donated range is annotated.
    HostDonateFirstPageOnly = 35, "host_donate_first_page_only";
    /// A donation that is refused midway leaves the pages before that point annotated.
    HostDonatePartial = 36, "host_donate_partial";
    /// A host fault maps a block over annotated entries.
    HostFaultMapsOverAnnotation = 37, "host_fault_maps_over_annotation";
    /// A host fault maps a block from an output address that is not aligned to it.
    HostFaultMapsWrongPa = 38, "host_fault_maps_wrong_pa";
    /// A host fault maps MMIO executable.
    HostMmioExecutable = 39, "host_mmio_executable";
    /// Host memory is mapped as Device at stage 2.
    HostMemoryDevice = 40, "host_memory_device";
    /// MMIO recycling drops annotations.
    HostRecycleDropsAnnotation = 41, "host_recycle_drops_annotation";
    /// host_share_hyp does not look at the page's state.
    HostShareUnchecked = 42, "host_share_unchecked";
    /// host_unshare_hyp ignores pins.
    HostUnshareIgnoresPin = 43, "host_unshare_ignores_pin";
    /// hyp_donate_host ignores references to the page.
    HypDonateIgnoresReference = 44, "hyp_donate_ignores_reference";
    /// hyp_donate_host leaves the page mapped in EL2's stage 1.
    El2LeftMapped = 45, "el2_left_mapped";
    /// EL2's stage 1 maps the hypervisor's text writable.
    El2TextWritable = 46, "el2_text_writable";
    /// The page pool is not annotated in the host's stage 2.
    PoolNotAnnotated = 47, "pool_not_annotated";
    /// host_donate_hyp takes the page without changing the host's page state.
    HostDonateStateStale = 48, "host_donate_state_stale";
    /// Splitting a block of the host's table maps the other pages one page further on.
    HostSplitDrifts = 49, "host_split_drifts";
    /// A host fault without a valid syndrome is mapped, and its instruction counts as performed.
    HostFaultNotRepeated = 50, "host_fault_not_repeated";
    /// The emulated SMMU writes stream table entries without CFGI_STE.
    ViommuMissingCfgi = 64, "viommu_missing_cfgi";
    /// The emulated SMMU passes CFGI commands on without looking at the host's entries again.
    ViommuCfgiNotShadowed = 65, "viommu_cfgi_not_shadowed";
    /// The host's TLBI commands keep the VMID that the host wrote.
    ViommuHostVmidLetThrough = 66, "viommu_host_vmid_let_through";
    /// The VMID of a shadowed stream table entry is the host's.
    ViommuS2FieldsFromHost = 67, "viommu_s2_fields_from_host";
    /// The host's stream table entries are used as they are.
    ViommuSteUnchecked = 68, "viommu_ste_unchecked";
    /// CFGI_STE_RANGE and CFGI_ALL shadow only the first entry of their range.
    ViommuFirstOfRangeOnly = 69, "viommu_first_of_range_only";
    /// Only the first command of a batch is issued.
    ViommuFirstOfBatchOnly = 70, "viommu_first_of_batch_only";
    /// The host's SMMUEN = 0 leaves the streams as they were.
    ViommuDisableKeepsStreams = 71, "viommu_disable_keeps_streams";
    /// A stage-2 unmap is not followed by TLBI_NH_ALL although a stream is nested.
    ViommuMissingNhAll = 72, "viommu_missing_nh_all";
    /// The hardware's event queue is where the host says, whoever owns the memory.
    ViommuEvtqUnchecked = 73, "viommu_evtq_unchecked";
    /// What the host's queues and tables lie in is checked, but neither lent nor pinned.
    ViommuMemoryNotHeld = 74, "viommu_memory_not_held";
    /// A page that returns to the host is mapped in the idmap without the idmap's lock.
    SmmuMapUnlocked = 78, "smmu_map_unlocked";
    /// A command of the host is checked, and then read again to be issued.
    ViommuQueueReread = 79, "viommu_queue_reread";
    /// A table's TLBs are invalidated before its entries are changed instead of after.
    TlbiBeforeClear = 80, "tlbi_before_clear";
    /// Nothing makes a cleared entry of the host's table visible before the TLBI.
    HostTlbiBeforeDsb = 81, "host_tlbi_before_dsb";
    /// VMALLE1IS does not wait for IPAS2E1IS.
    HostTlbiStagesUnordered = 82, "host_tlbi_stages_unordered";
    /// Entries that the CPUs combined with the host's stage 1 are not invalidated.
    HostTlbiStage2Only = 83, "host_tlbi_stage2_only";
    /// The host's TLBI is not waited for.
    HostTlbiNotAwaited = 84, "host_tlbi_not_awaited";
    /// The DSB after a TLBI is non-shareable: it does not wait for the other CPUs.
    DsbNotShareable = 85, "dsb_not_shareable";
    /// The host's TLBI reaches the CPU that issues it and no other.
    HostTlbiLocal = 86, "host_tlbi_local";
    /// The host's TLBI promises a level-2 block, whatever was changed.
    HostTlbiWrongLevel = 87, "host_tlbi_wrong_level";
    /// A stream table entry is made valid by a plain store right after its other dwords.
    SteUnordered = 88, "ste_unordered";
    /// A block of the host's table is replaced by a table without a break.
    HostSplitNotBroken = 89, "host_split_not_broken";
    /// A block of the host's table is broken, but a table made in its place before anything is invalidated.
    HostSplitNotInvalidated = 90, "host_split_not_invalidated";
    /// A table is replaced by a block without a break.
    TableReplacedInPlace = 91, "table_replaced_in_place";
    /// A leaf is made valid with another output address, and then corrected.
    LeafInTwoSteps = 92, "leaf_in_two_steps";
    /// The tables below an entry go back to the pool before what is cached of them is invalidated.
    TableFreedUnclean = 93, "table_freed_unclean";
    /// MMIO recycling gives empty tables back to the pool without an invalidation.
    RecycleNotInvalidated = 94, "recycle_not_invalidated";
    /// No DSB follows an entry of the host's table that becomes valid.
    HostMapNotPublished = 95, "host_map_not_published";
    /// A host fault is mapped after the lock of the host's table was given back.
    HostMapUnlocked = 96, "host_map_unlocked";
    /// EL2's TLBI names the page after the one that was unmapped.
    El2TlbiWrongPage = 97, "el2_tlbi_wrong_page";
    /// EL2's TLBI reaches the CPU that issues it and no other.
    El2TlbiLocal = 98, "el2_tlbi_local";
    /// More commands are put into the SMMU's queue than it has room for.
    SmmuQueueOverrun = 99, "smmu_queue_overrun";
    /// CMDQ_PROD is written before the commands are visible.
    SmmuProdBeforeDsb = 100, "smmu_prod_before_dsb";
    /// The SMMU's commands are given, but CMDQ_CONS is not looked at.
    SmmuSyncNotAwaited = 101, "smmu_sync_not_awaited";
    /// The SMMU's commands are consumed, but no CMD_SYNC says that they are complete.
    SmmuSyncSkipped = 102, "smmu_sync_skipped";
    /// TLBI_NH_ALL comes before stage 2's own invalidation is complete.
    SmmuCombinedFirst = 103, "smmu_combined_first";
    /// A block of the idmap is replaced by an empty table, which is filled afterwards.
    SmmuSplitFilledLate = 104, "smmu_split_filled_late";
    /// A table of the idmap is hooked in by a plain store right after it was filled.
    SmmuSplitUnordered = 105, "smmu_split_unordered";
    /// A stream table entry is made valid before its other dwords are written.
    SteValidFirst = 106, "ste_valid_first";
    /// A stream table entry is rewritten while it is valid.
    SteChangedLive = 107, "ste_changed_live";
    /// CFGI_STE comes before a stream table entry is made invalid, not after.
    SteCfgiBeforeClear = 108, "ste_cfgi_before_clear";
    /// No CMD_SYNC separates the steps in which a stream table entry is replaced.
    SteStepsNotSynced = 109, "ste_steps_not_synced";
    /// A refused command of the host raises no interrupt.
    ViommuGerrorNoIrq = 110, "viommu_gerror_no_irq";
    /// The host chooses where the hardware writes its MSIs.
    ViommuMsiLetThrough = 111, "viommu_msi_let_through";
    /// A stream table entry that changes while it is live gets its dword 0 and nothing else.
    ViommuLiveHeadOnly = 112, "viommu_live_head_only";
    /// The commands that follow the end of the host's queue, from its first slot on, are taken as done.
    ViommuWrapDropsRest = 113, "viommu_wrap_drops_rest";
    /// The host's event queue is given back while the hardware still writes to it.
    ViommuEvtqReleasedEarly = 114, "viommu_evtq_released_early";
    /// What was held for the emulated SMMU is never given back.
    ViommuHeldForever = 115, "viommu_held_forever";
    /// A level-2 table of the host is read beyond the span that its descriptor gives.
    ViommuSpanIgnored = 116, "viommu_span_ignored";
    /// The host's level-2 tables are taken to have 256 entries, whatever STRTAB_BASE_CFG.SPLIT says.
    ViommuSplitIgnored = 117, "viommu_split_ignored";
    /// The host's queue goes on although a refused command is not acknowledged.
    ViommuErrorDoesNotStop = 118, "viommu_error_does_not_stop";
    /// The host's S1STALLD is let through, which makes an entry ILLEGAL where nothing ever stalls.
    ViommuStalldLetThrough = 119, "viommu_stalld_let_through";
    /// The host's TLBI_NH_ASID loses its ASID.
    ViommuAsidDropped = 120, "viommu_asid_dropped";
    /// Combined TLB entries survive the last nested stream, and are not looked after until the next one.
    ViommuCombinedSurvive = 121, "viommu_combined_survive";
    /// The ITS uses the interrupt translation table that the host names, whoever owns the memory.
    ItsIttUnchecked = 122, "its_itt_unchecked";
    /// The ITS has the device and collection tables that the host gives it.
    ItsBaserLetThrough = 123, "its_baser_let_through";
    /// A redistributor writes the pending table that the host names, whoever owns the memory.
    GicrPendingUnchecked = 124, "gicr_pending_unchecked";
    /// On a CPU other than the first, the host's SMCs are not trapped.
    SecondCpuSmcUntrapped = 125, "second_cpu_smc_untrapped";
    /// SCTLR_EL2.EIS and EOS are clear: entering and leaving EL2 need not synchronise anything.
    El2EntryUnsynchronised = 126, "el2_entry_unsynchronised";
    /// All that the host commands is done in the access that commands it, however long that takes.
    ViommuBudgetIgnored = 127, "viommu_budget_ignored";
    /// The host's performance counters count what EL2 does.
    PmuCountsEl2 = 128, "pmu_counts_el2";
    /// What a user process of the host may not reach is reported as a translation fault, which its kernel takes for its own.
    UserAbortAsFault = 129, "user_abort_as_fault";
    /// The host has QEMU's fw_cfg, which writes memory past both stage 2 and the SMMU.
    FwCfgLeftToHost = 130, "fwcfg_left_to_host";
    /// Traffic of a stream beyond the host's stream table is aborted without a record.
    ViommuMissingNotRecorded = 131, "viommu_missing_not_recorded";
    /// STRTAB_BASE is no multiple of the stream table's size.
    SmmuStrtabMisaligned = 140, "smmu_strtab_misaligned";
    /// EVENTQ_BASE is no multiple of the event queue's size.
    SmmuEvtqMisaligned = 141, "smmu_evtq_misaligned";
    /// CMDQ_BASE is no multiple of the command queue's size, and commands are written where it says.
    SmmuCmdqMisaligned = 142, "smmu_cmdq_misaligned";
    /// The SMMU's event queue is in other memory of the hypervisor's than it has set apart for it.
    SmmuEvtqElsewhere = 143, "smmu_evtq_elsewhere";
    /// The SMMU's command queue is in other memory of the hypervisor's than it has set apart for it.
    SmmuCmdqElsewhere = 144, "smmu_cmdq_elsewhere";
    /// VTTBR_EL2 and S2TTB are no multiples of the size of their roots.
    Stage2RootsMisaligned = 145, "stage2_roots_misaligned";
    /// The SMMU reads tables and queues past the caches: CR1 is 0, and so are S2IR0, S2OR0 and S2SH0.
    SmmuWalksNonCacheable = 146, "smmu_walks_non_cacheable";
    /// The snapshot maps memory non-shareable for devices.
    SmmuIdmapNotShareable = 147, "smmu_idmap_not_shareable";
    /// EL2 has its data, tables among it, mapped non-shareable.
    El2DataNotShareable = 148, "el2_data_not_shareable";
    /// A page that is pinned is not mapped at EL2.
    PinNotMapped = 149, "pin_not_mapped";
    /// EL2's stage 1 maps the hypervisor's constants writable.
    El2RodataWritable = 150, "el2_rodata_writable";
    /// No guard page lies between a CPU's stack and its emergency stack.
    El2StacksTouch = 151, "el2_stacks_touch";
    /// A stage 1 of the host's may be walked in the registers of devices (S2PTW = 0).
    ViommuS2ptwClear = 152, "viommu_s2ptw_clear";
    /// The host's SMMUEN = 0 leaves the last stream as it was.
    ViommuLastStreamKept = 153, "viommu_last_stream_kept";
    /// The host's CMD_SYNC keeps the address of its MSI.
    ViommuSyncMsiKept = 154, "viommu_sync_msi_kept";
    /// A command that is not on the list goes to the hardware as the host wrote it.
    ViommuOpcodeLetThrough = 155, "viommu_opcode_let_through";
    /// The page states of what the host's SMMU uses are written after the locks were given back.
    PageStatesUnlocked = 156, "page_states_unlocked";
    /// EL2 maps a page before the devices of the host that gives it have lost it.
    El2MappedEarly = 157, "el2_mapped_early";
    /// EL2 unmaps a page that it gives to the host when the host has it mapped already.
    El2UnmappedLate = 158, "el2_unmapped_late";
    /// No ISB follows an entry of EL2's own table that becomes valid.
    El2MapNotSynchronised = 159, "el2_map_not_synchronised";
    /// What a range needs of the host's table is counted for its first page only.
    HostTablesCountedShort = 160, "host_tables_counted_short";
    /// The host's MMIO is recycled although devices walk the same table.
    SharedMmioRecycled = 161, "shared_mmio_recycled";
    /// An SMMU is looked for below the root only; where there is none, the hypervisor goes without.
    SmmuAtRootOnly = 162, "smmu_at_root_only";
    /// The page pool is placed whatever the loader put there.
    PoolOverLoaded = 163, "pool_over_loaded";
    /// Only the first page of a no-map range is kept from everybody.
    NoMapFirstPageOnly = 164, "no_map_first_page_only";
    /// The addresses of MSIs that somebody left in the SMMU stay there.
    SmmuMsiKept = 165, "smmu_msi_kept";
    /// The array of page states is taken to be zero.
    PageStatesNotCleared = 166, "page_states_not_cleared";
    /// Pages become tables of EL2's and the SMMU's with what they held before.
    TablesNotCleared = 167, "tables_not_cleared";
    /// An SMMU that did not complete its commands stays on.
    SmmuErrorIgnored = 168, "smmu_error_ignored";
    /// A CPU that was off and comes back has its host's SMCs untrapped.
    ReturnedCpuSmcUntrapped = 169, "returned_cpu_smc_untrapped";
    /// An abort of a user process goes to the vector of its kernel's own.
    AbortVectorWrong = 170, "abort_vector_wrong";
    /// SPSR_EL1 says of a user process's abort that it was the kernel's.
    AbortSpsrWrong = 171, "abort_spsr_wrong";
    /// FAR_EL1 has the page of an abort, and not the byte.
    AbortFarLost = 172, "abort_far_lost";
    /// A store that was refused is reported as a load.
    AbortWriteAsRead = 173, "abort_write_as_read";
    /// A load from an emulated register is not extended by its sign.
    EmulatedSignLost = 174, "emulated_sign_lost";
    /// The zero register is taken for x30 in an access to an emulated register.
    EmulatedZeroRegister = 175, "emulated_zero_register";
    /// What a CPU reads when it starts stays in the caches of the one that starts it.
    CpuBootNotCleaned = 176, "cpu_boot_not_cleaned";
    /// A record of the SMMU's event queue is read without waiting for the index that tells of it.
    SmmuEventReadEarly = 177, "smmu_event_read_early";
    /// The ITS has the table that the host gives it, until the hypervisor's own one is written back.
    ItsBaserInTwoSteps = 178, "its_baser_in_two_steps";
    /// host_share_hyp judges the page, gives the locks back, and takes them again to change it.
    HostShareJudgedEarly = 179, "host_share_judged_early";
    /// A table whose block is whole again is not given back to its pool.
    TableLost = 180, "table_lost";
    /// It is given back twice.
    TableFreedTwice = 181, "table_freed_twice";
    /// The device tree stays in the caches when the host starts.
    TreeNotCleaned = 182, "tree_not_cleaned";
    /// GITS_CWRITER passes a command before its store is visible.
    ItsCommandEarly = 183, "its_command_early";
    /// An ITT is given back without a SYNC behind its MAPD.
    ItsIttNotSettled = 184, "its_itt_not_settled";
    /// LPI tables are given back while the redistributor may still use them.
    GicrTablesReleasedEarly = 185, "gicr_tables_released_early";
    /// The second of two CPUs that fault on one page gets an abort.
    SecondFaultRefused = 186, "second_fault_refused";
    /// host_unshare_hyp judges the page, gives the locks back, and takes them again to change it.
    HostUnshareJudgedEarly = 187, "host_unshare_judged_early";
    /// hyp_pin_shared_mem judges the pages, gives the locks back, and takes them again to change them.
    PinJudgedEarly = 188, "pin_judged_early";
    /// hyp_unpin_shared_mem judges the pages, gives the locks back, and takes them again to change them.
    UnpinJudgedEarly = 189, "unpin_judged_early";
    /// host_donate_hyp judges the pages, gives the locks back, and takes them again to change them.
    HostDonateJudgedEarly = 190, "host_donate_judged_early";
    /// hyp_donate_host judges the pages, gives the locks back, and takes them again to change them.
    HypDonateJudgedEarly = 191, "hyp_donate_judged_early";
    /// A host fault is judged under the lock of the host's table, and mapped when that was given back and taken again.
    HostFaultJudgedEarly = 192, "host_fault_judged_early";
    /// A level-2 table that is read for a stream beyond its Span stays lent.
    ViommuLevel2Kept = 193, "viommu_level2_kept";
    /// A MOVI takes its event to collection 0.
    ItsMoviElsewhere = 194, "its_movi_elsewhere";
}
