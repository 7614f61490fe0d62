//! What the machine said of an operation.

use parallax_abi::errno;
use parallax_abi::mailbox::{Response, kind};
use parallax_addr::{Ipa, StreamId};

use crate::operation::{CpuAccess, DmaAccess, Operation};
use crate::outcome::{BAD_REQUEST, Outcome};

/// ESR_EL1 of an abort (DDI 0487, D24.2.37).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome(u64);

impl Syndrome {
    /// The syndrome with this value.
    #[must_use]
    pub const fn new(esr: u64) -> Self {
        Self(esr)
    }

    /// ISS.DFSC / ISS.IFSC: what kind of fault.
    #[must_use]
    pub const fn fault_status(self) -> u8 {
        (self.0 & 0x3f) as u8
    }

    /// ISS.S1PTW: the fault was on the stage-2 translation of an access made for a stage-1 walk.
    #[must_use]
    pub const fn is_on_walk(self) -> bool {
        self.0 & (1 << 7) != 0
    }

    /// Address size, translation, access flag or permission fault (0b00xxxx): translation refused the access.
    #[must_use]
    pub const fn is_of_translation(self) -> bool {
        self.fault_status() <= 0x0f
    }

    /// Synchronous external abort, on the access itself (0b010000) or on a walk (0b010011, 0b0101xx).
    #[must_use]
    pub const fn is_external(self) -> bool {
        matches!(self.fault_status(), 0x10 | 0x13 | 0x14..=0x17)
    }
}

/// SMMU events that a device's access left (IHI 0070, 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// How many; one a page at most.
    pub count: u64,
    /// StreamID of the first.
    pub stream: StreamId,
    /// Input address of the first.
    pub address: Ipa,
}

/// All that the machine said of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What it read: one u64, of a pair two. Empty if it reads nothing or did not end well; but a device always tells the
    /// first 8 bytes of its buffer.
    pub read: Vec<u64>,
    /// Of an abort or an undefined instruction.
    pub syndrome: Syndrome,
    /// Of a device's access; none if there were none.
    pub events: Option<Events>,
    /// The response itself, for recordings.
    pub response: Response,
    /// General registers that a call changed and must leave to its caller, by number; 31 is SP. Empty where nobody looked.
    pub disturbed: Vec<u8>,
}

impl Answer {
    /// What the test host's `response` to `operation` says.
    #[must_use]
    pub fn of(operation: &Operation, response: &Response) -> Self {
        let syndrome = Syndrome::new(response.esr);
        let outcome = match response.kind {
            kind::OK => done(operation, response),
            kind::ABORT if syndrome.is_external() => Outcome::Bus,
            kind::ABORT => Outcome::Abort,
            kind::UNDEF => Outcome::Undefined,
            kind::NO_DEVICE => Outcome::NoDevice,
            kind::TIMEOUT => Outcome::Timeout,
            kind::BAD_REQUEST => Outcome::Unknown(BAD_REQUEST.to_owned()),
            other => Outcome::Unknown(format!("response_kind_{other}")),
        };
        let told = matches!(outcome, Outcome::Ok { .. }) || operation.is_device();
        let count = if told { values(operation) } else { 0 };
        let events = (response.events > 0).then(|| Events {
            count: response.events,
            stream: StreamId::new(u32::try_from(response.event_sid).unwrap_or(u32::MAX)),
            address: Ipa::new(response.event_addr),
        });
        Self {
            outcome,
            read: response.x[..count].to_vec(),
            syndrome,
            events,
            response: *response,
            disturbed: Vec::new(),
        }
    }
}

/// How many u64 of memory `operation` gives.
const fn values(operation: &Operation) -> usize {
    match operation {
        Operation::Access(CpuAccess::ReadPair { .. }) => 2,
        Operation::Access(CpuAccess::Read { .. } | CpuAccess::Swap { .. } | CpuAccess::Atomic { .. })
        | Operation::Dma(DmaAccess::Read { .. }) => 1,
        _ => 0,
    }
}

fn done(operation: &Operation, response: &Response) -> Outcome {
    let [x0, x1, ..] = response.x.map(u64::cast_signed);
    match operation {
        Operation::Hypercall(_) | Operation::AnyHypercall { .. } => match x0 {
            errno::SMCCC_SUCCESS if x1 < 0 => Outcome::Error(x1),
            errno::SMCCC_SUCCESS => Outcome::Ok { value: Some(response.x[1]) },
            errno::SMCCC_NOT_SUPPORTED => Outcome::NotSupported,
            _ => Outcome::Unknown(format!("smccc_{x0}")),
        },
        Operation::Smc { .. } if x0 == errno::SMCCC_NOT_SUPPORTED => Outcome::NotSupported,
        Operation::Smc { .. } | Operation::Access(_) | Operation::Dma(DmaAccess::Read { .. }) => {
            Outcome::Ok { value: Some(response.x[0]) }
        }
        Operation::Dma(DmaAccess::Write { .. }) | Operation::Nop | Operation::Snapshot => {
            Outcome::Ok { value: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::row;

    fn operation(word: &str) -> Operation {
        let row = row(word).unwrap();
        Operation::new(row, &vec![8; row.params.len()]).unwrap()
    }

    fn answer(word: &str, kind: u64, x0: i64, x1: i64) -> Answer {
        let x = [x0.cast_unsigned(), x1.cast_unsigned(), 0, 0];
        Answer::of(&operation(word), &Response { kind, x, ..Response::default() })
    }

    fn outcome(word: &str, kind: u64, x0: i64, x1: i64) -> String {
        answer(word, kind, x0, x1).outcome.to_string()
    }

    #[test]
    fn answers_of_hypercalls_and_accesses_are_told_apart() {
        assert_eq!(outcome("host_share_hyp", kind::OK, 0, errno::EPERM), "EPERM");
        assert_eq!(outcome("host_share_hyp", kind::OK, -1, 0), "NOT_SUPPORTED");
        assert_eq!(outcome("host_share_hyp", kind::OK, 0, -5), "error_5");
        assert_eq!(outcome("host_read", kind::OK, -1, 0), "ok value=0xffffffffffffffff");
        assert_eq!(outcome("smc", kind::OK, 0x10001, 0), "ok value=0x10001");
        assert_eq!(outcome("dma_write", kind::NO_DEVICE, 0, 0), "no_device");
        assert_eq!(outcome("nop", 99, 0, 0), "response_kind_99");
    }

    #[test]
    fn an_external_abort_is_the_bus() {
        let with = |esr| {
            let response = Response { kind: kind::ABORT, esr, ..Response::default() };
            Answer::of(&operation("host_read"), &response).outcome
        };
        assert_eq!(with(0x9600_0010), Outcome::Bus);
        assert_eq!(with(0x9600_0007), Outcome::Abort);
        assert_eq!(with(0x9600_000f), Outcome::Abort);
    }

    #[test]
    fn what_was_read_is_there_only_if_it_was() {
        assert_eq!(answer("host_read_pair", kind::OK, 1, 2).read, [1, 2]);
        assert_eq!(answer("host_swap", kind::OK, 1, 2).read, [1]);
        assert_eq!(answer("host_write", kind::OK, 1, 2).read, []);
        assert_eq!(answer("host_read", kind::ABORT, 1, 2).read, []);
        assert_eq!(answer("dma_read", kind::ABORT, 1, 2).read, [1], "what its buffer holds is evidence");
    }
}
