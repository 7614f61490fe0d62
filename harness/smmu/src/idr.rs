//! SMMUv3 identification registers (IHI 0070, 6.3.1 to 6.3.6): what an SMMU can do.

use crate::fields::register;

register! {
    /// IDR0, 6.3.1: features.
    Idr0 {
        /// S2P: stage 2 is implemented.
        s2p "S2P" 0[0:0] bool;
        /// S1P: stage 1 is implemented.
        s1p "S1P" 0[1:1] bool;
        /// TTF: table formats; bit 0 AArch32 LPAE, bit 1 AArch64.
        ttf "TTF" 0[3:2] u8;
        /// COHACC: the SMMU's own accesses are coherent.
        cohacc "COHACC" 0[4:4] bool;
        /// BTM: broadcast TLB maintenance.
        btm "BTM" 0[5:5] bool;
        /// HTTU: hardware updates of Access flag (1) and dirty state (2).
        httu "HTTU" 0[7:6] u8;
        /// DORMHINT: dormant hint.
        dormhint "DORMHINT" 0[8:8] bool;
        /// Hyp: EL2 contexts.
        hyp "Hyp" 0[9:9] bool;
        /// ATS: PCIe ATS.
        ats "ATS" 0[10:10] bool;
        /// NS1ATS: no split-stage ATS.
        ns1ats "NS1ATS" 0[11:11] bool;
        /// ASID16: 16-bit ASIDs.
        asid16 "ASID16" 0[12:12] bool;
        /// MSI: message-signalled interrupts.
        msi "MSI" 0[13:13] bool;
        /// SEV: wake-up events.
        sev "SEV" 0[14:14] bool;
        /// ATOS: address translation operations.
        atos "ATOS" 0[15:15] bool;
        /// PRI: page request interface.
        pri "PRI" 0[16:16] bool;
        /// VMW: VMID wildcard matching.
        vmw "VMW" 0[17:17] bool;
        /// VMID16: 16-bit VMIDs.
        vmid16 "VMID16" 0[18:18] bool;
        /// CD2L: two-level CD tables.
        cd2l "CD2L" 0[19:19] bool;
        /// VATOS: virtual address translation operations.
        vatos "VATOS" 0[20:20] bool;
        /// TTENDIAN: 0 mixed, 2 little-endian, 3 big-endian tables.
        ttendian "TTENDIAN" 0[22:21] u8;
        /// ATSRECERR: errors of ATS requests are recorded.
        atsrecerr "ATSRECERR" 0[23:23] bool;
        /// STALL_MODEL: 0 stall or terminate, 1 terminate only, 2 stall only.
        stall_model "STALL_MODEL" 0[25:24] u8;
        /// TERM_MODEL: terminated transactions always abort.
        term_model "TERM_MODEL" 0[26:26] bool;
        /// ST_LEVEL: 0 linear, 1 two-level stream tables too.
        st_level "ST_LEVEL" 0[28:27] u8;
    }
}

register! {
    /// IDR1, 6.3.2: sizes.
    Idr1 {
        /// SIDSIZE: bits of a StreamID (0 to 32).
        sidsize "SIDSIZE" 0[5:0] u8;
        /// SSIDSIZE: bits of a SubstreamID (0 to 20).
        ssidsize "SSIDSIZE" 0[10:6] u8;
        /// PRIQS: log2 of the largest number of PRI queue entries.
        priqs "PRIQS" 0[15:11] u8;
        /// EVENTQS: log2 of the largest number of event queue entries.
        eventqs "EVENTQS" 0[20:16] u8;
        /// CMDQS: log2 of the largest number of command queue entries.
        cmdqs "CMDQS" 0[25:21] u8;
        /// ATTR_PERMS_OVR: permission attributes can be overridden.
        attr_perms_ovr "ATTR_PERMS_OVR" 0[26:26] bool;
        /// ATTR_TYPES_OVR: memory type, shareability and hints can be overridden.
        attr_types_ovr "ATTR_TYPES_OVR" 0[27:27] bool;
        /// REL: preset base addresses are relative.
        rel "REL" 0[28:28] bool;
        /// QUEUES_PRESET: queue bases are fixed.
        queues_preset "QUEUES_PRESET" 0[29:29] bool;
        /// TABLES_PRESET: table bases are fixed.
        tables_preset "TABLES_PRESET" 0[30:30] bool;
        /// ECMDQ: enhanced command queues.
        ecmdq "ECMDQ" 0[31:31] bool;
    }
}

register! {
    /// IDR3, 6.3.4: more features.
    Idr3 {
        /// HAD: hierarchical attributes can be disabled.
        had "HAD" 0[2:2] bool;
        /// PBHA: page-based hardware attributes.
        pbha "PBHA" 0[3:3] bool;
        /// XNX: stage-2 XN has two bits.
        xnx "XNX" 0[4:4] bool;
        /// PPS: PASID prefix in automatic responses.
        pps "PPS" 0[5:5] bool;
        /// MPAM: memory partitioning.
        mpam "MPAM" 0[7:7] bool;
        /// FWB: stage-2 forced write-back.
        fwb "FWB" 0[8:8] bool;
        /// STT: small translation tables (TxSZ up to 48).
        stt "STT" 0[9:9] bool;
        /// RIL: range invalidation and level hints.
        ril "RIL" 0[10:10] bool;
        /// BBML: break-before-make level (0 to 2).
        bbml "BBML" 0[12:11] u8;
        /// E0PD: EL0 access can be prevented by half of the address space.
        e0pd "E0PD" 0[13:13] bool;
        /// PTWNNC: table walks to Device memory happen as Normal non-cacheable.
        ptwnnc "PTWNNC" 0[14:14] bool;
        /// DPT: device permission table.
        dpt "DPT" 0[15:15] bool;
    }
}

register! {
    /// IDR5, 6.3.6: addresses and granules.
    Idr5 {
        /// OAS: output address size, encoded.
        oas "OAS" 0[2:0] u8;
        /// GRAN4K: 4 KiB granule.
        gran4k "GRAN4K" 0[4:4] bool;
        /// GRAN16K: 16 KiB granule.
        gran16k "GRAN16K" 0[5:5] bool;
        /// GRAN64K: 64 KiB granule.
        gran64k "GRAN64K" 0[6:6] bool;
        /// VAX: 1 when virtual addresses have 52 bits, not 48.
        vax "VAX" 0[11:10] u8;
        /// STALL_MAX: largest number of stalled transactions.
        stall_max "STALL_MAX" 0[31:16] u16;
    }
}

impl Idr5 {
    /// Output address size in bits: 32 to 52. Reserved encodings count as 52.
    #[must_use]
    pub const fn oas_bits(&self) -> u32 {
        match self.oas() {
            0 => 32,
            1 => 36,
            2 => 40,
            3 => 42,
            4 => 44,
            5 => 48,
            _ => 52,
        }
    }
}
