//! The SMMUv3 decoders against the specification's encodings and against random input.

mod common;
mod records;
mod regs;
mod ste;
mod strtab;
