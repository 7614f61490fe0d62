//! Registers that say what EL2 keeps from EL1 and how EL2 itself runs, beside those of translation.

use serde::{Deserialize, Serialize};

/// Makes [`ControlRegs`] from its table.
macro_rules! control_registers {
    (always { $($field:ident = $name:literal, $encoding:literal, $doc:literal;)* }
     optional { $($maybe:ident = $maybe_name:literal, $maybe_encoding:literal, $maybe_doc:literal;)* }) => {
        /// The raw values of one CPU at one moment. A register that the CPU does not have is absent.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct ControlRegs {
            $(#[doc = $doc] pub $field: u64,)*
            $(#[doc = $maybe_doc]
              #[serde(default, skip_serializing_if = "Option::is_none")]
              pub $maybe: Option<u64>,)*
        }

        impl ControlRegs {
            /// Names of those that every CPU has, in the order that [`Self::from_values`] takes.
            pub const ALWAYS: &[&str] = &[$($name),*];
            /// Names of those that a CPU may lack, in the order that [`Self::from_values`] takes.
            pub const OPTIONAL: &[&str] = &[$($maybe_name),*];

            /// From the values of [`Self::ALWAYS`] and [`Self::OPTIONAL`]; a value that is not given is 0, or absent.
            #[must_use]
            pub fn from_values(always: &[u64], optional: &[Option<u64>]) -> Self {
                let (mut always, mut optional) = (always.iter(), optional.iter());
                Self {
                    $($field: always.next().copied().unwrap_or_default(),)*
                    $($maybe: optional.next().copied().flatten(),)*
                }
            }

            /// Each register that is there, by name.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, Some(self.$field)),)* $(($maybe_name, self.$maybe),)*]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
            }

            /// Does what an MSR of `value` does to the register with this op1, CRn, CRm and op2 (DDI 0487, C5.1.3).
            pub const fn write(&mut self, encoding: u32, value: u64) {
                match encoding {
                    $($encoding => self.$field = value,)*
                    $($maybe_encoding => self.$maybe = Some(value),)*
                    _ => (),
                }
            }
        }
    };
}

control_registers! {
    always {
        cptr_el2 = "CPTR_EL2", 0x208a, "CPTR_EL2: traps of floating point, SVE, SME and trace registers.";
        mdcr_el2 = "MDCR_EL2", 0x2089, "MDCR_EL2: traps of debug, counters, statistical profiling and trace buffers.";
        hstr_el2 = "HSTR_EL2", 0x208b, "HSTR_EL2: traps of AArch32 system registers.";
        cnthctl_el2 = "CNTHCTL_EL2", 0x2708, "CNTHCTL_EL2: traps of counters and timers.";
        vbar_el2 = "VBAR_EL2", 0x2600, "VBAR_EL2: where EL2's vectors are.";
    }
    optional {
        hcrx_el2 = "HCRX_EL2", 0x2092, "HCRX_EL2: what HCR_EL2 has no room for (FEAT_HCX).";
        hfgrtr_el2 = "HFGRTR_EL2", 0x208c, "HFGRTR_EL2: traps of reads, one by one (FEAT_FGT).";
        hfgwtr_el2 = "HFGWTR_EL2", 0x208d, "HFGWTR_EL2: traps of writes, one by one (FEAT_FGT).";
        hfgitr_el2 = "HFGITR_EL2", 0x208e, "HFGITR_EL2: traps of instructions, one by one (FEAT_FGT).";
        hdfgrtr_el2 = "HDFGRTR_EL2", 0x218c, "HDFGRTR_EL2: traps of reads of debug registers (FEAT_FGT).";
        hdfgwtr_el2 = "HDFGWTR_EL2", 0x218d, "HDFGWTR_EL2: traps of writes of debug registers (FEAT_FGT).";
        cntvoff_el2 = "CNTVOFF_EL2", 0x2703, "CNTVOFF_EL2: how far the host's virtual time is behind.";
        vmpidr_el2 = "VMPIDR_EL2", 0x2005, "VMPIDR_EL2: which CPU the host believes to be on.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_has_one_name_and_one_encoding() {
        let mut regs = ControlRegs::from_values(&[1, 2, 3, 4, 5], &[None, Some(7)]);
        assert_eq!(
            regs.values().collect::<Vec<_>>(),
            [
                ("CPTR_EL2", 1),
                ("MDCR_EL2", 2),
                ("HSTR_EL2", 3),
                ("CNTHCTL_EL2", 4),
                ("VBAR_EL2", 5),
                ("HFGRTR_EL2", 7)
            ]
        );
        // msr mdcr_el2, x0; msr hcrx_el2, x0; msr vttbr_el2, x0: op1, CRn, CRm and op2.
        for word in [0xd51c_1120_u32, 0xd51c_1240, 0xd51c_2100] {
            regs.write(word >> 5 & 0x3fff, 9);
        }
        assert_eq!((regs.mdcr_el2, regs.hcrx_el2, regs.hfgrtr_el2), (9, Some(9), Some(7)));
    }
}
