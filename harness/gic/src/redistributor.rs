//! Registers of a redistributor that name memory (IHI 0069, 12.11), by field.

use crate::fields::fields;

fields! {
    /// GICR_CTLR.
    RedistributorCtlr {
        /// EnableLPIs: the redistributor uses its LPI tables.
        enable_lpis [0:0] bool;
        /// CES: EnableLPIs can be cleared.
        ces [1:1] bool;
        /// RWP: a write is in progress.
        rwp [3:3] bool;
    }
}

fields! {
    /// GICR_PROPBASER: the configuration of all LPIs, which is read.
    Propbaser {
        /// IDbits: bits of an INTID, less one.
        id_bits [4:0] u8;
        /// Physical_Address.
        physical_address [51:12] addr;
    }
}

fields! {
    /// GICR_PENDBASER: the LPIs that are pending for this redistributor, read and written.
    Pendbaser {
        /// Physical_Address.
        physical_address [51:16] addr;
        /// PTZ: the table is all zero.
        ptz [62:62] bool;
    }
}
