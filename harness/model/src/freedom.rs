//! What a hypervisor may do otherwise than ours, by name and with the reason. A target says which it takes; ours takes none.

use parallax_abi::errno::{EINVAL, EPERM};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that is too large for where it is looked up: no error of ours.
pub const ERANGE: i64 = -34;

/// What [`Freedom::FarFrame`] allows: an error of ours, and the one that may stand in its place.
const FAR_FRAME: [(i64, i64); 3] = [(EPERM, ERANGE), (EINVAL, ERANGE), (EPERM, EINVAL)];

/// Makes [`Freedom`] from its table.
macro_rules! table_of_freedoms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $reason:literal;)*) => {
        /// A rule that does not hold of every hypervisor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Freedom { $($(#[$doc])* $variant,)* }

        impl Freedom {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What is allowed, and why.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason),* }
            }
        }
    };
}

table_of_freedoms! {
    /// HCR_EL2.E2H = 1.
    E2h = "e2h",
        "EL2 may run with HCR_EL2.E2H = 1: its registers and its stage 1 then have the layout of EL1's, in which they are read.";
    /// HCR_EL2.SWIO = 0.
    SetWay = "set-way",
        "HCR_EL2.SWIO may be 0: where stage 2 is on (HCR_EL2.VM = 1), `DC ISW` of EL1 cleans what it invalidates all the same.";
    /// Masters that nothing holds.
    Masters = "masters",
        "The SMMU may be the host's, and devices may reach all memory by its stream table: the hypervisor has no driver of an SMMU. Registers of masters may be the host's.";
    /// EL2 maps all that it borrows.
    MapsLoans = "maps-loans",
        "EL2 may map what the host has lent as soon as it is lent, not only while it is pinned.";
    /// EL2 maps what it is given before the host has lost it.
    MapsFirst = "maps-first",
        "EL2 may map a page that the host gives away before the host's entry is cleared, in one stay: the host's entry is cleared before EL2 returns.";
    /// The host reads EL2's code.
    ReadableCode = "readable-code",
        "The host may have the code of EL2 mapped, neither writable nor executable: it is that of the kernel's image.";
    /// Another error for frames that are nowhere.
    FarFrame = "far-frame",
        "Page frames beyond the host's address space may be refused with ERANGE, where ours are refused with EPERM or EINVAL, and with EINVAL in place of EPERM.";
}

/// Those that a target takes, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freedoms(u32);

impl Freedoms {
    /// These.
    #[must_use]
    pub const fn new(taken: &[Freedom]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < taken.len() {
            bits |= 1 << taken[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Whether `freedom` is among them.
    #[must_use]
    pub const fn allow(&self, freedom: Freedom) -> bool {
        self.0 & 1 << freedom as u32 != 0
    }

    /// By which of them a call may be refused with `got` where ours is with `ours`; `far` says whether it names page frames beyond
    /// the host's address space.
    #[must_use]
    pub fn of_error(&self, ours: i64, got: i64, far: bool) -> Option<Freedom> {
        let known = far && FAR_FRAME.contains(&(ours, got)) && self.allow(Freedom::FarFrame);
        known.then_some(Freedom::FarFrame)
    }
}

/// A list of names.
impl Serialize for Freedoms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let taken = Freedom::ALL.iter().filter(|freedom| self.allow(**freedom));
        serializer.collect_seq(taken.map(|freedom| freedom.name()))
    }
}

impl<'de> Deserialize<'de> for Freedoms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut taken = Vec::new();
        for name in Vec::<String>::deserialize(deserializer)? {
            let known = Freedom::ALL.iter().find(|freedom| freedom.name() == name);
            taken.push(*known.ok_or_else(|| D::Error::custom(format!("there is no freedom `{name}`")))?);
        }
        Ok(Self::new(&taken))
    }
}

#[cfg(test)]
mod tests {
    use parallax_abi::errno::{EBUSY, ENOMEM};

    use super::*;

    #[test]
    fn ours_takes_none_and_names_are_distinct() {
        assert!(Freedom::ALL.iter().all(|freedom| !Freedoms::default().allow(*freedom)));
        for (index, one) in Freedom::ALL.iter().enumerate() {
            assert!(Freedom::ALL[..index].iter().all(|other| other.name() != one.name()));
            assert!(one.reason().ends_with('.'));
        }
        assert!(Freedoms::new(&[Freedom::E2h]).allow(Freedom::E2h));
    }

    #[test]
    fn they_are_written_by_name_and_read_again() {
        let some = Freedoms::new(&[Freedom::Masters, Freedom::FarFrame]);
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(text, r#"["masters","far-frame"]"#);
        assert_eq!(serde_json::from_str::<Freedoms>(&text).unwrap(), some);
        let error = serde_json::from_str::<Freedoms>(r#"["all"]"#).unwrap_err().to_string();
        assert!(error.starts_with("there is no freedom `all`"), "{error}");
    }

    #[test]
    fn only_named_errors_stand_for_ours() {
        let all = Freedoms::new(Freedom::ALL);
        for (ours, got) in FAR_FRAME {
            assert_eq!(all.of_error(ours, got, true), Some(Freedom::FarFrame));
            assert_eq!(all.of_error(ours, got, false), None);
            assert_eq!(Freedoms::default().of_error(ours, got, true), None);
        }
        for (ours, got) in
            [(EINVAL, EPERM), (EPERM, EBUSY), (EBUSY, ERANGE), (ENOMEM, ERANGE), (ERANGE, EPERM)]
        {
            assert_eq!(all.of_error(ours, got, true), None);
        }
    }
}
