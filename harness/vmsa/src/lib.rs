//! Decoder and walker for VMSAv8-64 stage 1 and stage 2, written from the Arm ARM.
