//! SMMUv3 control, error and base address registers (IHI 0070, 6.3), by field.

use crate::fields::register;

register! {
    /// CR0, 6.3.9, and CR0ACK, 6.3.10: what is enabled.
    Cr0 {
        /// SMMUEN: translation is on.
        smmuen "SMMUEN" 0[0:0] bool;
        /// PRIQEN: the PRI queue is on.
        priqen "PRIQEN" 0[1:1] bool;
        /// EVENTQEN: the event queue is on.
        eventqen "EVENTQEN" 0[2:2] bool;
        /// CMDQEN: the command queue is on.
        cmdqen "CMDQEN" 0[3:3] bool;
        /// ATSCHK: translated transactions are checked.
        atschk "ATSCHK" 0[4:4] bool;
        /// VMW: VMID wildcard, in bits.
        vmw "VMW" 0[8:6] u8;
    }
}

register! {
    /// CR1, 6.3.11: attributes of the SMMU's accesses to queues and tables (IC and OC: 0 NC, 1 WB, 2 WT).
    Cr1 {
        /// QUEUE_IC: queues, inner cacheability.
        queue_ic "QUEUE_IC" 0[1:0] u8;
        /// QUEUE_OC: queues, outer cacheability.
        queue_oc "QUEUE_OC" 0[3:2] u8;
        /// QUEUE_SH: queues, shareability.
        queue_sh "QUEUE_SH" 0[5:4] u8;
        /// TABLE_IC: tables, inner cacheability.
        table_ic "TABLE_IC" 0[7:6] u8;
        /// TABLE_OC: tables, outer cacheability.
        table_oc "TABLE_OC" 0[9:8] u8;
        /// TABLE_SH: tables, shareability.
        table_sh "TABLE_SH" 0[11:10] u8;
    }
}

register! {
    /// CR2, 6.3.12.
    Cr2 {
        /// E2H: EL2 contexts use EL2-E2H.
        e2h "E2H" 0[0:0] bool;
        /// RECINVSID: invalid StreamIDs are recorded.
        recinvsid "RECINVSID" 0[1:1] bool;
        /// PTM: broadcast TLB maintenance is ignored.
        ptm "PTM" 0[2:2] bool;
    }
}

register! {
    /// GBPA, 6.3.14: what happens to transactions while SMMUEN = 0.
    Gbpa {
        /// MemAttr: memory type, when MTCFG.
        mem_attr "MemAttr" 0[3:0] u8;
        /// MTCFG: the memory type is replaced.
        mtcfg "MTCFG" 0[4:4] bool;
        /// ALLOCCFG: allocation hints.
        alloccfg "ALLOCCFG" 0[11:8] u8;
        /// SHCFG: 0 non-, 2 outer, 3 inner shareable, 1 as incoming.
        shcfg "SHCFG" 0[13:12] u8;
        /// PRIVCFG: privilege.
        privcfg "PRIVCFG" 0[17:16] u8;
        /// INSTCFG: instruction or data.
        instcfg "INSTCFG" 0[19:18] u8;
        /// ABORT: all transactions are aborted; otherwise they bypass.
        abort "ABORT" 0[20:20] bool;
        /// Update: a write is in progress.
        update "Update" 0[31:31] bool;
    }
}

register! {
    /// GERROR, 6.3.18, and GERRORN, 6.3.19: an error is active where the two differ.
    Gerror {
        /// CMDQ_ERR: command queue error.
        cmdq_err "CMDQ_ERR" 0[0:0] bool;
        /// EVENTQ_ABT_ERR: event queue write aborted.
        eventq_abt_err "EVENTQ_ABT_ERR" 0[2:2] bool;
        /// PRIQ_ABT_ERR: PRI queue write aborted.
        priq_abt_err "PRIQ_ABT_ERR" 0[3:3] bool;
        /// MSI_CMDQ_ABT_ERR: CMD_SYNC's MSI write aborted.
        msi_cmdq_abt_err "MSI_CMDQ_ABT_ERR" 0[4:4] bool;
        /// MSI_EVENTQ_ABT_ERR: event queue MSI write aborted.
        msi_eventq_abt_err "MSI_EVENTQ_ABT_ERR" 0[5:5] bool;
        /// MSI_PRIQ_ABT_ERR: PRI queue MSI write aborted.
        msi_priq_abt_err "MSI_PRIQ_ABT_ERR" 0[6:6] bool;
        /// MSI_GERROR_ABT_ERR: GERROR MSI write aborted.
        msi_gerror_abt_err "MSI_GERROR_ABT_ERR" 0[7:7] bool;
        /// SFM_ERR: service failure mode.
        sfm_err "SFM_ERR" 0[8:8] bool;
    }
}

register! {
    /// IRQ_CTRL, 6.3.16: enabled interrupts.
    IrqCtrl {
        /// GERROR_IRQEN.
        gerror "GERROR_IRQEN" 0[0:0] bool;
        /// PRIQ_IRQEN.
        priq "PRIQ_IRQEN" 0[1:1] bool;
        /// EVENTQ_IRQEN.
        eventq "EVENTQ_IRQEN" 0[2:2] bool;
    }
}

register! {
    /// STRTAB_BASE, 6.3.24.
    StrtabBase {
        /// ADDR: physical address of the stream table, before its alignment by size.
        addr "ADDR" 0[55:6] addr;
        /// RA: read-allocate hint.
        ra "RA" 0[62:62] bool;
    }
}

register! {
    /// STRTAB_BASE_CFG, 6.3.25.
    StrtabBaseCfg {
        /// LOG2SIZE: log2 of the number of streams.
        log2size "LOG2SIZE" 0[5:0] u8;
        /// SPLIT: bits of a StreamID that index the second level.
        split "SPLIT" 0[10:6] u8;
        /// FMT: 0 linear, 1 two-level.
        fmt "FMT" 0[17:16] u8;
    }
}

register! {
    /// CMDQ_BASE, 6.3.26, and EVENTQ_BASE, 6.3.29.
    QueueBase {
        /// LOG2SIZE: log2 of the number of entries.
        log2size "LOG2SIZE" 0[4:0] u8;
        /// ADDR: physical address of the queue, before its alignment by size.
        addr "ADDR" 0[55:5] addr;
        /// RA or WA: allocation hint.
        alloc "RA/WA" 0[62:62] bool;
    }
}
