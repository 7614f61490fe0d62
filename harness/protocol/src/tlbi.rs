//! TLB maintenance instructions (Arm ARM, C5.5): names, encodings, and what each one reaches.

use parallax_addr::InputAddr;

/// Which translations an instruction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// EL2's stage 1.
    El2,
    /// EL1&0 stage-1 and combined entries of the current VMID.
    Stage1,
    /// Stage-2 entries of the current VMID; combined entries stay.
    Stage2,
    /// Stage 1 and stage 2 of the current VMID.
    Both,
    /// Stage 1 and stage 2 of every VMID.
    AllVmids,
    /// Granule protection, which no rule is about.
    GranuleProtection,
}

/// Whose TLBs it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of this CPU.
    Local,
    /// Those of the inner shareable domain (`IS`).
    Inner,
    /// Those of the outer shareable domain (`OS`).
    Outer,
}

/// Which of the target's entries it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// Those of an ASID.
    Asid,
    /// Those that translate an address.
    Address,
    /// Those that translate a range of addresses (`R`).
    Range,
}

macro_rules! operations {
    ($($variant:ident $name:literal ($op1:literal, $crm:literal, $op2:literal) $target:ident $scope:ident $select:ident $leaf:literal,)*) => {
        /// A TLB maintenance instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the variants are named as the instructions are")]
        pub enum TlbiOp { $($variant,)* }

        impl TlbiOp {
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

            /// The one of this name, or of the name of its `nXS` form, which reaches the same.
            #[must_use]
            pub fn from_any_name(name: &str) -> Option<Self> {
                Self::from_name(name.strip_suffix("nxs").unwrap_or(name))
            }

            /// From the fields of the SYS instruction (op0 = 1, CRn = 8, or 9 for the `nXS` forms).
            #[must_use]
            pub const fn from_encoding(op1: u8, crm: u8, op2: u8) -> Option<Self> {
                match (op1, crm, op2) { $(($op1, $crm, $op2) => Some(Self::$variant),)* _ => None }
            }

            /// Which translations it is about.
            #[must_use]
            pub const fn target(self) -> Target {
                match self { $(Self::$variant => Target::$target),* }
            }

            /// Whose TLBs it reaches.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope),* }
            }

            /// Which entries it names.
            #[must_use]
            pub const fn select(self) -> Select {
                match self { $(Self::$variant => Select::$select),* }
            }

            /// Whether it leaves cached table entries alone (`L`).
            #[must_use]
            pub const fn last_level_only(self) -> bool {
                match self { $(Self::$variant => $leaf),* }
            }
        }
    };
}

operations! {
    Vmalle1os "vmalle1os" (0, 1, 0) Stage1 Outer All false,
    Vae1os "vae1os" (0, 1, 1) Stage1 Outer Address false,
    Aside1os "aside1os" (0, 1, 2) Stage1 Outer Asid false,
    Vaae1os "vaae1os" (0, 1, 3) Stage1 Outer Address false,
    Vale1os "vale1os" (0, 1, 5) Stage1 Outer Address true,
    Vaale1os "vaale1os" (0, 1, 7) Stage1 Outer Address true,
    Rvae1is "rvae1is" (0, 2, 1) Stage1 Inner Range false,
    Rvaae1is "rvaae1is" (0, 2, 3) Stage1 Inner Range false,
    Rvale1is "rvale1is" (0, 2, 5) Stage1 Inner Range true,
    Rvaale1is "rvaale1is" (0, 2, 7) Stage1 Inner Range true,
    Vmalle1is "vmalle1is" (0, 3, 0) Stage1 Inner All false,
    Vae1is "vae1is" (0, 3, 1) Stage1 Inner Address false,
    Aside1is "aside1is" (0, 3, 2) Stage1 Inner Asid false,
    Vaae1is "vaae1is" (0, 3, 3) Stage1 Inner Address false,
    Vale1is "vale1is" (0, 3, 5) Stage1 Inner Address true,
    Vaale1is "vaale1is" (0, 3, 7) Stage1 Inner Address true,
    Rvae1os "rvae1os" (0, 5, 1) Stage1 Outer Range false,
    Rvaae1os "rvaae1os" (0, 5, 3) Stage1 Outer Range false,
    Rvale1os "rvale1os" (0, 5, 5) Stage1 Outer Range true,
    Rvaale1os "rvaale1os" (0, 5, 7) Stage1 Outer Range true,
    Rvae1 "rvae1" (0, 6, 1) Stage1 Local Range false,
    Rvaae1 "rvaae1" (0, 6, 3) Stage1 Local Range false,
    Rvale1 "rvale1" (0, 6, 5) Stage1 Local Range true,
    Rvaale1 "rvaale1" (0, 6, 7) Stage1 Local Range true,
    Vmalle1 "vmalle1" (0, 7, 0) Stage1 Local All false,
    Vae1 "vae1" (0, 7, 1) Stage1 Local Address false,
    Aside1 "aside1" (0, 7, 2) Stage1 Local Asid false,
    Vaae1 "vaae1" (0, 7, 3) Stage1 Local Address false,
    Vale1 "vale1" (0, 7, 5) Stage1 Local Address true,
    Vaale1 "vaale1" (0, 7, 7) Stage1 Local Address true,
    Ipas2e1is "ipas2e1is" (4, 0, 1) Stage2 Inner Address false,
    Ripas2e1is "ripas2e1is" (4, 0, 2) Stage2 Inner Range false,
    Ipas2le1is "ipas2le1is" (4, 0, 5) Stage2 Inner Address true,
    Ripas2le1is "ripas2le1is" (4, 0, 6) Stage2 Inner Range true,
    Alle2os "alle2os" (4, 1, 0) El2 Outer All false,
    Vae2os "vae2os" (4, 1, 1) El2 Outer Address false,
    Alle1os "alle1os" (4, 1, 4) AllVmids Outer All false,
    Vale2os "vale2os" (4, 1, 5) El2 Outer Address true,
    Vmalls12e1os "vmalls12e1os" (4, 1, 6) Both Outer All false,
    Rvae2is "rvae2is" (4, 2, 1) El2 Inner Range false,
    Rvale2is "rvale2is" (4, 2, 5) El2 Inner Range true,
    Alle2is "alle2is" (4, 3, 0) El2 Inner All false,
    Vae2is "vae2is" (4, 3, 1) El2 Inner Address false,
    Alle1is "alle1is" (4, 3, 4) AllVmids Inner All false,
    Vale2is "vale2is" (4, 3, 5) El2 Inner Address true,
    Vmalls12e1is "vmalls12e1is" (4, 3, 6) Both Inner All false,
    Ipas2e1os "ipas2e1os" (4, 4, 0) Stage2 Outer Address false,
    Ipas2e1 "ipas2e1" (4, 4, 1) Stage2 Local Address false,
    Ripas2e1 "ripas2e1" (4, 4, 2) Stage2 Local Range false,
    Ripas2e1os "ripas2e1os" (4, 4, 3) Stage2 Outer Range false,
    Ipas2le1os "ipas2le1os" (4, 4, 4) Stage2 Outer Address true,
    Ipas2le1 "ipas2le1" (4, 4, 5) Stage2 Local Address true,
    Ripas2le1 "ripas2le1" (4, 4, 6) Stage2 Local Range true,
    Ripas2le1os "ripas2le1os" (4, 4, 7) Stage2 Outer Range true,
    Rvae2os "rvae2os" (4, 5, 1) El2 Outer Range false,
    Rvale2os "rvale2os" (4, 5, 5) El2 Outer Range true,
    Rvae2 "rvae2" (4, 6, 1) El2 Local Range false,
    Rvale2 "rvale2" (4, 6, 5) El2 Local Range true,
    Alle2 "alle2" (4, 7, 0) El2 Local All false,
    Vae2 "vae2" (4, 7, 1) El2 Local Address false,
    Alle1 "alle1" (4, 7, 4) AllVmids Local All false,
    Vale2 "vale2" (4, 7, 5) El2 Local Address true,
    Vmalls12e1 "vmalls12e1" (4, 7, 6) Both Local All false,
    Paallos "paallos" (6, 1, 4) GranuleProtection Outer All false,
    Rpaos "rpaos" (6, 4, 3) GranuleProtection Outer Address false,
    Rpalos "rpalos" (6, 4, 7) GranuleProtection Outer Address true,
    Paall "paall" (6, 7, 4) GranuleProtection Local All false,
}

/// The addresses that an operand names, and the level of the leaf that it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// First byte, a multiple of 4 KiB.
    pub address: InputAddr,
    /// Bytes.
    pub size: u64,
    /// TTL: only leaf entries of this level need to go; `None` for any.
    pub level: Option<i8>,
}

impl TlbiOp {
    /// Whether it takes a register.
    #[must_use]
    pub const fn has_operand(self) -> bool {
        !matches!(self.select(), Select::All)
    }

    /// What an operand names, for the 4 KiB granule; `None` unless the operation goes by address. EL2 addresses
    /// are those of its only (lower) range, without sign extension.
    #[must_use]
    pub const fn operand(self, value: u64) -> Option<Operand> {
        match self.select() {
            Select::All | Select::Asid => None,
            _ if matches!(self.target(), Target::GranuleProtection) => None,
            Select::Address => {
                // TTL, bits 47:44: the upper two are the granule (01: 4 KiB), 00 is no hint.
                let ttl = value >> 44 & 0xf;
                let level = if ttl >> 2 == 0b01 && ttl & 3 != 0 { Some((ttl & 3) as i8) } else { None };
                let bits = if matches!(self.target(), Target::Stage2) { 40 } else { 44 };
                Some(Operand {
                    address: InputAddr::new((value & ((1 << bits) - 1)) << 12),
                    size: 0x1000,
                    level,
                })
            }
            Select::Range => {
                let (num, scale, ttl) = (value >> 39 & 0x1f, value >> 44 & 3, value >> 37 & 3);
                Some(Operand {
                    address: InputAddr::new((value & ((1 << 37) - 1)) << 12),
                    size: (num + 1) << (5 * scale + 1) << 12,
                    level: if ttl == 0 { None } else { Some(ttl as i8) },
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_encodings_are_each_their_own() {
        for op in TlbiOp::ALL {
            assert_eq!(TlbiOp::from_name(op.name()), Some(*op));
        }
        let found =
            (0..8).flat_map(|op1| (0..16).flat_map(move |crm| (0..8).map(move |op2| (op1, crm, op2))));
        assert_eq!(
            found.filter(|(a, b, c)| TlbiOp::from_encoding(*a, *b, *c).is_some()).count(),
            TlbiOp::ALL.len()
        );
    }

    #[test]
    fn names_say_what_the_properties_say() {
        for op in TlbiOp::ALL {
            let name = op.name();
            let scope = if name.ends_with("is") {
                Scope::Inner
            } else if name.ends_with("os") {
                Scope::Outer
            } else {
                Scope::Local
            };
            assert_eq!(op.scope(), scope, "{name}");
            if op.target() == Target::GranuleProtection {
                continue;
            }
            assert_eq!(op.select() == Select::Range, name.starts_with('r'), "{name}");
            assert_eq!(op.target() == Target::El2, name.contains("e2"), "{name}");
            assert_eq!(
                op.last_level_only(),
                name.contains("le") && !name.contains("all") || name.contains("aale")
            );
        }
    }

    #[test]
    fn operands_name_addresses_ranges_and_levels() {
        let page = TlbiOp::Ipas2e1is.operand(0x4_0123).unwrap();
        assert_eq!(page, Operand { address: InputAddr::new(0x4012_3000), size: 0x1000, level: None });
        let hinted = TlbiOp::Ipas2e1is.operand(0x4_0123 | 0b0111 << 44).unwrap();
        assert_eq!(hinted.level, Some(3));
        let range = TlbiOp::Ripas2e1is.operand(0x4_0000 | 3 << 39 | 1 << 44 | 2 << 37).unwrap();
        assert_eq!(
            range,
            Operand { address: InputAddr::new(0x4000_0000), size: 4 << 6 << 12, level: Some(2) }
        );
        assert_eq!(TlbiOp::Vmalle1is.operand(5), None);
    }
}
