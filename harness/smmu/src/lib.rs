//! Decoder for SMMUv3 registers, stream tables and queues, written from IHI 0070.
