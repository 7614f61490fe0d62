//! How an operation ended: what a trace may expect after `=>`.

use std::fmt;

use parallax_abi::errno;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; with a value where it gives one.
    Ok {
        /// Value read or returned.
        value: Option<u64>,
    },
    /// A hypercall's error code (negative).
    Error(i64),
    /// A call that nobody knows.
    NotSupported,
    /// The access was refused: an abort at EL1, or an SMMU event.
    Abort,
    /// The bus refused the access: nothing answers at this address.
    Bus,
    /// The instruction was undefined.
    Undefined,
    /// No DMA device has this StreamID.
    NoDevice,
    /// The device or the other CPU did not answer in time.
    Timeout,
    /// An answer that the ABI does not allow.
    Unknown(String),
}

/// How an operation ends that the test host, or another target, does not perform.
pub const BAD_REQUEST: &str = "bad_request";

/// Results by name; `ok` and error codes come on top.
const NAMES: &[(&str, Outcome)] = &[
    ("NOT_SUPPORTED", Outcome::NotSupported),
    ("abort", Outcome::Abort),
    ("bus", Outcome::Bus),
    ("undef", Outcome::Undefined),
    ("no_device", Outcome::NoDevice),
    ("timeout", Outcome::Timeout),
];

impl Outcome {
    /// The result that `name` stands for (`ok` without a value).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "ok" {
            return Some(Self::Ok { value: None });
        }
        let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, outcome)| outcome.clone());
        named.or_else(|| errno::from_name(name).map(Self::Error))
    }

    /// Every name, for messages.
    #[must_use]
    pub fn names() -> String {
        let errors = errno::NAMES.iter().map(|(_, name)| *name);
        let all: Vec<&str> =
            ["ok"].into_iter().chain(errors).chain(NAMES.iter().map(|(name, _)| *name)).collect();
        all.join(", ")
    }

    /// Whether `self`, expected by a trace, describes `actual`. A value is compared only if one is expected.
    #[must_use]
    pub fn admits(&self, actual: &Self) -> bool {
        match (self, actual) {
            (Self::Ok { value: None }, Self::Ok { .. }) => true,
            (expected, actual) => expected == actual,
        }
    }

    /// The result without its value.
    #[must_use]
    pub fn without_value(self) -> Self {
        match self {
            Self::Ok { .. } => Self::Ok { value: None },
            other => other,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok { value: None } => f.write_str("ok"),
            Self::Ok { value: Some(value) } => write!(f, "ok value={value:#x}"),
            Self::Error(code) => match errno::name(*code) {
                Some(name) => f.write_str(name),
                None => write!(f, "error_{}", code.unsigned_abs()),
            },
            Self::Unknown(text) => f.write_str(text),
            named => {
                let name = NAMES.iter().find(|(_, known)| known == named).map_or("", |(name, _)| *name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for name in Outcome::names().split(", ") {
            assert_eq!(Outcome::from_name(name).unwrap().to_string(), name);
        }
        assert_eq!(Outcome::from_name("EWHAT"), None);
    }

    #[test]
    fn a_value_counts_only_where_one_is_expected() {
        let five = Outcome::Ok { value: Some(5) };
        assert!(Outcome::Ok { value: None }.admits(&five));
        assert!(five.admits(&five));
        assert!(!Outcome::Ok { value: Some(6) }.admits(&five));
        assert!(!Outcome::Abort.admits(&five));
    }
}
