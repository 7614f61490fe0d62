//! How an operation ends: what a trace may expect after `=>`, and what the machine answered.

use std::fmt;

use parallax_abi::errno;
use parallax_abi::mailbox::{Response, kind};

use super::verb::{Action, Verb};

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

    /// Reads the test host's answer to `verb`.
    #[must_use]
    pub fn of(verb: &Verb, response: &Response) -> Self {
        match response.kind {
            kind::OK => Self::of_done(verb, response),
            kind::ABORT if is_bus_error(response.esr) => Self::Bus,
            kind::ABORT => Self::Abort,
            kind::UNDEF => Self::Undefined,
            kind::NO_DEVICE => Self::NoDevice,
            kind::TIMEOUT => Self::Timeout,
            kind::BAD_REQUEST => Self::Unknown("bad_request".to_owned()),
            other => Self::Unknown(format!("response_kind_{other}")),
        }
    }

    fn of_done(verb: &Verb, response: &Response) -> Self {
        let [x0, x1, ..] = response.x.map(u64::cast_signed);
        match verb.action {
            Action::Hypercall(_) | Action::AnyHypercall => match x0 {
                errno::SMCCC_SUCCESS if x1 < 0 => Self::Error(x1),
                errno::SMCCC_SUCCESS => Self::Ok { value: Some(response.x[1]) },
                errno::SMCCC_NOT_SUPPORTED => Self::NotSupported,
                _ => Self::Unknown(format!("smccc_{x0}")),
            },
            Action::Smc if x0 == errno::SMCCC_NOT_SUPPORTED => Self::NotSupported,
            Action::Smc | Action::Cpu(_) | Action::DmaRead => Self::Ok { value: Some(response.x[0]) },
            Action::DmaWrite | Action::Nop | Action::Snapshot => Self::Ok { value: None },
        }
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

/// Synchronous external abort, on the access itself (0b010000) or on a walk (0b010011, 0b0101xx): ESR_ELx.ISS,
/// "ISS encoding for an exception from a Data Abort", DFSC (DDI 0487, D24.2.37).
const fn is_bus_error(esr: u64) -> bool {
    matches!(esr & 0x3f, 0x10 | 0x13 | 0x14..=0x17)
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

    fn answer(name: &str, kind: u64, x0: i64, x1: i64) -> String {
        let x = [x0.cast_unsigned(), x1.cast_unsigned(), 0, 0];
        Outcome::of(Verb::from_name(name).unwrap(), &Response { kind, x, ..Response::default() }).to_string()
    }

    #[test]
    fn every_name_reads_back() {
        for name in Outcome::names().split(", ") {
            assert_eq!(Outcome::from_name(name).unwrap().to_string(), name);
        }
        assert_eq!(Outcome::from_name("EWHAT"), None);
    }

    #[test]
    fn answers_of_hypercalls_and_accesses_are_told_apart() {
        assert_eq!(answer("host_share_hyp", kind::OK, 0, errno::EPERM), "EPERM");
        assert_eq!(answer("host_share_hyp", kind::OK, -1, 0), "NOT_SUPPORTED");
        assert_eq!(answer("host_share_hyp", kind::OK, 0, -5), "error_5");
        assert_eq!(answer("host_read", kind::OK, -1, 0), "ok value=0xffffffffffffffff");
        assert_eq!(answer("smc", kind::OK, 0x10001, 0), "ok value=0x10001");
        assert_eq!(answer("dma_write", kind::NO_DEVICE, 0, 0), "no_device");
        assert_eq!(answer("nop", 99, 0, 0), "response_kind_99");
    }

    #[test]
    fn an_external_abort_is_the_bus() {
        let read = Verb::from_name("host_read").unwrap();
        let with = |esr| Outcome::of(read, &Response { kind: kind::ABORT, esr, ..Response::default() });
        assert_eq!(with(0x9600_0010), Outcome::Bus);
        assert_eq!(with(0x9600_0007), Outcome::Abort);
        assert_eq!(with(0x9600_000f), Outcome::Abort);
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
