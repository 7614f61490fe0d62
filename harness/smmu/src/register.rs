//! The registers by name (IHI 0070, 6.1): where each is, how wide, and which fields a driver writes there.

use crate::control::{Cr0, Cr1, Cr2, Gbpa, Gerror, IrqCtrl, QueueBase, StrtabBase, StrtabBaseCfg};
use crate::fields::Place;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The specification's name, less `SMMU_`.
    pub name: &'static str,
    /// Offset from the SMMU's base address.
    pub offset: u32,
    /// Width in bytes: 4 or 8.
    pub bytes: u64,
    /// The fields that traces name; none for a register that is a number, or is only read.
    pub fields: &'static [Place],
}

macro_rules! registers {
    ($($name:ident $offset:literal $bytes:literal $fields:expr;)*) => {
        /// Offsets by name.
        pub(crate) mod offsets {
            $(#[allow(dead_code, reason = "the table of names is whole")] pub(crate) const $name: u32 = $offset;)*
        }

        /// The registers of an SMMU without Secure state, in the order of the specification. Those of page 1 are at
        /// 0x10000 from page 0.
        pub static REGISTERS: &[Register] =
            &[$(Register { name: stringify!($name), offset: $offset, bytes: $bytes, fields: $fields }),*];
    };
}

registers! {
    IDR0 0x00 4 &[];
    IDR1 0x04 4 &[];
    IDR2 0x08 4 &[];
    IDR3 0x0c 4 &[];
    IDR4 0x10 4 &[];
    IDR5 0x14 4 &[];
    IIDR 0x18 4 &[];
    AIDR 0x1c 4 &[];
    CR0 0x20 4 Cr0::FIELDS;
    CR0ACK 0x24 4 &[];
    CR1 0x28 4 Cr1::FIELDS;
    CR2 0x2c 4 Cr2::FIELDS;
    STATUSR 0x40 4 &[];
    GBPA 0x44 4 Gbpa::FIELDS;
    AGBPA 0x48 4 &[];
    IRQ_CTRL 0x50 4 IrqCtrl::FIELDS;
    IRQ_CTRLACK 0x54 4 &[];
    GERROR 0x60 4 &[];
    GERRORN 0x64 4 Gerror::FIELDS;
    GERROR_IRQ_CFG0 0x68 8 IRQ_CFG0;
    GERROR_IRQ_CFG1 0x70 4 &[];
    GERROR_IRQ_CFG2 0x74 4 &[];
    STRTAB_BASE 0x80 8 StrtabBase::FIELDS;
    STRTAB_BASE_CFG 0x88 4 StrtabBaseCfg::FIELDS;
    CMDQ_BASE 0x90 8 QueueBase::FIELDS;
    CMDQ_PROD 0x98 4 &[];
    CMDQ_CONS 0x9c 4 &[];
    EVENTQ_BASE 0xa0 8 QueueBase::FIELDS;
    EVENTQ_PROD 0x1_00a8 4 &[];
    EVENTQ_CONS 0x1_00ac 4 &[];
    EVENTQ_IRQ_CFG0 0xb0 8 IRQ_CFG0;
    EVENTQ_IRQ_CFG1 0xb8 4 &[];
    EVENTQ_IRQ_CFG2 0xbc 4 &[];
    PRIQ_BASE 0xc0 8 QueueBase::FIELDS;
    PRIQ_PROD 0x1_00c8 4 &[];
    PRIQ_CONS 0x1_00cc 4 &[];
    PRIQ_IRQ_CFG0 0xd0 8 IRQ_CFG0;
    PRIQ_IRQ_CFG1 0xd8 4 &[];
    PRIQ_IRQ_CFG2 0xdc 4 &[];
}

/// 6.3.20: where the SMMU writes its MSI.
const IRQ_CFG0: &[Place] = &[Place::address("ADDR", 0, 55, 2)];

impl Register {
    /// The register called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        REGISTERS.iter().find(|register| register.name == name)
    }

    /// The register at `offset`.
    #[must_use]
    pub fn at(offset: u64) -> Option<&'static Self> {
        REGISTERS.iter().find(|register| u64::from(register.offset) == offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_lie_beside_each_other_and_their_fields_within_them() {
        for (index, register) in REGISTERS.iter().enumerate() {
            assert!(u64::from(register.offset).is_multiple_of(register.bytes), "{}", register.name);
            let end = |register: &Register| u64::from(register.offset) + register.bytes;
            for other in &REGISTERS[index + 1..] {
                assert_ne!(register.name, other.name);
                let apart = end(register) <= other.offset.into() || end(other) <= register.offset.into();
                assert!(apart, "{} and {}", register.name, other.name);
            }
            assert!(register.fields.iter().all(|field| u64::from(field.hi) < 8 * register.bytes));
            assert_eq!(Register::named(register.name), Register::at(register.offset.into()));
        }
    }
}
