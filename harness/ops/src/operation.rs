//! Operations by name and type, made from the one table.
//!
//! This is the only place in the harness where an argument has a position: [`Operation::new`] takes the values of a
//! row's arguments in their order, [`Operation::request`] gives them back as the mailbox wants them.

use parallax_abi::mailbox::{Request, op};
use parallax_abi::operation::{self as table, Row};
use parallax_addr::{Ipa, Pfn, StreamId};

/// A value as it travels, and the type that it has here.
trait Argument: Copy {
    fn from_raw(value: u64) -> Self;
    fn raw(self) -> u64;
}

impl Argument for u64 {
    fn from_raw(value: u64) -> Self {
        value
    }

    fn raw(self) -> u64 {
        self
    }
}

impl Argument for Ipa {
    fn from_raw(value: u64) -> Self {
        Self::new(value)
    }

    fn raw(self) -> u64 {
        self.get()
    }
}

impl Argument for Pfn {
    fn from_raw(value: u64) -> Self {
        Self::new(value)
    }

    fn raw(self) -> u64 {
        self.get()
    }
}

impl Argument for StreamId {
    /// A trace's grammar holds StreamIDs to 32 bits; what is larger cannot be a device and becomes the last one.
    fn from_raw(value: u64) -> Self {
        Self::new(u32::try_from(value).unwrap_or(u32::MAX))
    }

    fn raw(self) -> u64 {
        self.get().into()
    }
}

macro_rules! typed {
    (Frame) => {
        Pfn
    };
    (Address) => {
        Ipa
    };
    (Stream) => {
        StreamId
    };
    ($number:ident) => {
        u64
    };
}

/// An enum of the rows of one part of the table: `new` by word and values, `parts` back.
macro_rules! operations {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $CONST:ident $variant:ident $word:literal { $($arg:ident: $kind:ident)* })* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])* $variant {
                $(#[doc = concat!("`", stringify!($arg), "=` of a trace.")] $arg: typed!($kind),)*
            },)*
        }

        impl $name {
            /// The one called `word` in traces, with its arguments in the order of the table.
            fn new(word: &str, args: &[u64]) -> Option<Self> {
                let mut args = args.iter().copied();
                match word {
                    $($word => Some(Self::$variant { $($arg: Argument::from_raw(args.next()?)),* }),)*
                    _ => None,
                }
            }

            /// Its number and its arguments in the order of the table.
            fn parts(self) -> (u64, Vec<u64>) {
                match self {
                    $(Self::$variant { $($arg),* } => (numbers::$CONST, vec![$(Argument::raw($arg)),*]),)*
                }
            }
        }
    };
}

mod numbers {
    pub(super) use parallax_abi::hypercall::*;
    pub(super) use parallax_abi::mailbox::op::*;
}

macro_rules! define {
    (
        hypercalls { $($(#[doc = $h_doc:literal])* $H_CONST:ident $h_variant:ident $h_word:literal ($h_id:expr) by $h_party:ident { $($h_arg:ident: $h_kind:ident $(= $h_default:expr)?),* $(,)? })* }
        calls { $($calls:tt)* }
        accesses { $($(#[doc = $a_doc:literal])* $A_CONST:ident $a_variant:ident $a_word:literal ($a_id:expr) by $a_party:ident { $($a_arg:ident: $a_kind:ident $(= $a_default:expr)?),* $(,)? })* }
        dma { $($(#[doc = $d_doc:literal])* $D_CONST:ident $d_variant:ident $d_word:literal ($d_id:expr) by $d_party:ident { $($d_arg:ident: $d_kind:ident $(= $d_default:expr)?),* $(,)? })* }
    ) => {
        operations! {
            /// A hypercall that the hypervisor knows.
            Call { $($(#[doc = $h_doc])* $H_CONST $h_variant $h_word { $($h_arg: $h_kind)* })* }
        }
        operations! {
            /// An access of one of the host's CPUs.
            CpuAccess { $($(#[doc = $a_doc])* $A_CONST $a_variant $a_word { $($a_arg: $a_kind)* })* }
        }
        operations! {
            /// An access of a device.
            DmaAccess { $($(#[doc = $d_doc])* $D_CONST $d_variant $d_word { $($d_arg: $d_kind)* })* }
        }
    };
}

parallax_abi::for_operations!(define);

impl Call {
    /// Its row and the values of its arguments, in the row's order.
    pub(crate) fn arguments(self) -> Option<(&'static Row, Vec<u64>)> {
        let (id, values) = self.parts();
        let row = table::HYPERCALLS.iter().find(|row| row.form == table::Form::Hypercall(id))?;
        Some((row, values))
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A hypercall by name.
    Hypercall(Call),
    /// `hvc #0` with any function id in x0 and x1 to x6.
    AnyHypercall {
        /// x0.
        id: u64,
        /// x1 to x6.
        x: [u64; 6],
    },
    /// `smc #0` with any function id in x0 and x1 to x6.
    Smc {
        /// x0.
        id: u64,
        /// x1 to x6.
        x: [u64; 6],
    },
    /// An access of one of the host's CPUs.
    Access(CpuAccess),
    /// An access of a device.
    Dma(DmaAccess),
    /// Nothing: the state is looked at.
    Nop,
    /// Nothing; the golden gets the whole state.
    Snapshot,
}

/// Words that are no operation of the ABI: nothing is done.
static NOTHING: [Row; 2] = [
    nothing("nop", &[" Nothing: the state is looked at."]),
    nothing("snapshot", &[" Nothing, and the whole state goes into the golden."]),
];

const fn nothing(name: &'static str, summary: &'static [&'static str]) -> Row {
    Row { name, summary, party: table::Party::Host, form: table::Form::Request(op::NOP), params: &[] }
}

/// Every row that a trace can name, in the order of the documentation.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    table::TABLE.into_iter().flatten().chain(&NOTHING)
}

/// The row of the operation called `word` in traces.
#[must_use]
pub fn row(word: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == word)
}

impl Operation {
    /// The operation of `row` with `args`, the values of its arguments in the row's order; `None` if there are too few.
    #[must_use]
    pub fn new(row: &Row, args: &[u64]) -> Option<Self> {
        let registers = || {
            let (&id, rest) = args.split_first()?;
            Some((id, <[u64; 6]>::try_from(rest).ok()?))
        };
        Some(match row.name {
            "hypercall" => registers().map(|(id, x)| Self::AnyHypercall { id, x })?,
            "smc" => registers().map(|(id, x)| Self::Smc { id, x })?,
            "nop" => Self::Nop,
            "snapshot" => Self::Snapshot,
            word => Call::new(word, args)
                .map(Self::Hypercall)
                .or_else(|| CpuAccess::new(word, args).map(Self::Access))
                .or_else(|| DmaAccess::new(word, args).map(Self::Dma))?,
        })
    }

    /// Its row and the values of its arguments, in the row's order: what [`Self::new`] takes.
    #[must_use]
    pub fn spelled(&self) -> (&'static Row, Vec<u64>) {
        let registers = |id: u64, x: [u64; 6]| std::iter::once(id).chain(x).collect();
        let (form, values) = match *self {
            Self::Hypercall(call) => {
                let (id, values) = call.parts();
                (table::Form::Hypercall(id), values)
            }
            Self::AnyHypercall { id, x } => (table::Form::Request(op::HYPERCALL), registers(id, x)),
            Self::Smc { id, x } => (table::Form::Request(op::SMC), registers(id, x)),
            Self::Access(access) => {
                let (number, values) = access.parts();
                (table::Form::Request(number), values)
            }
            Self::Dma(access) => {
                let (number, values) = access.parts();
                (table::Form::Request(number), values)
            }
            Self::Nop => return (&NOTHING[0], Vec::new()),
            Self::Snapshot => return (&NOTHING[1], Vec::new()),
        };
        (rows().find(|row| row.form == form).expect("a row for every operation"), values)
    }

    /// What CPU `cpu` of the test host is asked for.
    #[must_use]
    pub fn request(&self, cpu: u64) -> Request {
        let call = |op, id, rest: &[u64]| (op, std::iter::once(id).chain(rest.iter().copied()).collect());
        let (op, values): (u64, Vec<u64>) = match *self {
            Self::Hypercall(known) => {
                let (id, rest) = known.parts();
                call(op::HYPERCALL, id, &rest)
            }
            Self::AnyHypercall { id, x } => call(op::HYPERCALL, id, &x),
            Self::Smc { id, x } => call(op::SMC, id, &x),
            Self::Access(access) => access.parts(),
            Self::Dma(access) => access.parts(),
            Self::Nop | Self::Snapshot => (op::NOP, Vec::new()),
        };
        let mut args = [0; 7];
        for (slot, value) in args.iter_mut().zip(values) {
            *slot = value;
        }
        Request { cpu, op, args }
    }

    /// The hypercall that the hypervisor is asked for, if it knows one with these registers.
    #[must_use]
    pub fn call(&self) -> Option<Call> {
        match *self {
            Self::Hypercall(call) => Some(call),
            Self::AnyHypercall { id, x } => {
                let known = |row: &&Row| row.form == table::Form::Hypercall(id);
                table::HYPERCALLS.iter().find(known).and_then(|row| Call::new(row.name, &x))
            }
            _ => None,
        }
    }

    /// Whether it is one of a device.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        matches!(self, Self::Dma(_))
    }
}

#[cfg(test)]
mod tests {
    use parallax_abi::hypercall;

    use super::*;

    fn request(word: &str, args: &[u64]) -> Request {
        Operation::new(row(word).unwrap(), args).unwrap().request(2)
    }

    #[test]
    fn arguments_land_where_the_mailbox_expects_them() {
        let donate = request("host_donate_hyp", &[0x40020, 4]);
        assert_eq!((donate.cpu, donate.op), (2, op::HYPERCALL));
        assert_eq!(donate.args, [hypercall::HOST_DONATE_HYP, 0x40020, 4, 0, 0, 0, 0]);
        assert_eq!(request("host_write", &[0x1000, 4, 7, 1]).args[..4], [0x1000, 4, 7, 1]);
        assert_eq!(request("dma_write", &[8, 0x1000, 16, 7]).args[..4], [8, 0x1000, 16, 7]);
        assert_eq!(request("hypercall", &[5, 1, 2, 3, 4, 5, 6]).args, [5, 1, 2, 3, 4, 5, 6]);
        assert_eq!(request("snapshot", &[]).op, op::NOP);
    }

    #[test]
    fn every_row_becomes_an_operation_and_a_request_with_its_number() {
        for row in rows() {
            let args: Vec<u64> = (1..).take(row.params.len()).collect();
            let request = Operation::new(row, &args).unwrap_or_else(|| panic!("{}", row.name)).request(0);
            let (number, lead) = match row.form {
                table::Form::Hypercall(id) => (op::HYPERCALL, Some(id)),
                table::Form::Request(number) => (number, None),
            };
            let sent: Vec<u64> = lead.into_iter().chain(args.iter().copied()).collect();
            assert_eq!((request.op, &request.args[..sent.len()]), (number, &sent[..]), "{}", row.name);
            assert!(row.params.is_empty() || Operation::new(row, &args[1..]).is_none(), "{}", row.name);
            let (spelled, values) = Operation::new(row, &args).unwrap().spelled();
            assert_eq!((spelled.name, values), (row.name, args));
        }
    }

    #[test]
    fn words_and_numbers_are_distinct() {
        for (index, first) in rows().enumerate() {
            for second in rows().skip(index + 1) {
                assert_ne!(first.name, second.name);
                assert!(first.form != second.form || first.form == table::Form::Request(op::NOP));
            }
        }
    }

    #[test]
    fn a_call_with_any_registers_is_known_by_its_id() {
        let any = |id, x1| Operation::AnyHypercall { id, x: [x1, 2, 0, 0, 0, 0] }.call();
        let nr = 2;
        assert_eq!(any(hypercall::HOST_DONATE_HYP, 9), Some(Call::HostDonateHyp { pfn: Pfn::new(9), nr }));
        assert_eq!(any(1, 9), None);
        assert_eq!(Operation::Smc { id: hypercall::HOST_SHARE_HYP, x: [0; 6] }.call(), None);
    }
}
