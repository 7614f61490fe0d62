//! Operations that a machine performs in turn, without a stop between them.

use parallax_abi::mailbox::Request;

use crate::operation::Operation;

/// A CPU of the machine, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuId(u64);

impl CpuId {
    /// CPU `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// When the state is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// After each operation.
    #[default]
    InTurn,
    /// After all of them: what held in the meantime is not known.
    Together,
    /// After all of them, which were performed at once, each by a CPU of its own: in which order is not known either.
    AtOnce,
}

/// Operations and the CPUs that perform them, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The operations.
    pub ops: Vec<(CpuId, Operation)>,
    /// When who performs them looks at the state. A machine performs them one after the other but for [`Order::AtOnce`].
    pub order: Order,
}

impl Batch {
    /// One operation.
    #[must_use]
    pub fn one(cpu: CpuId, operation: Operation) -> Self {
        Self { ops: vec![(cpu, operation)], order: Order::InTurn }
    }

    /// What the test host is asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.ops.iter().map(|(cpu, operation)| operation.request(cpu.get())).collect()
    }
}
