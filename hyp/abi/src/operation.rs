//! The one table of operations: what a host can ask for, of the hypervisor or of its own CPUs and devices.
//!
//! [`for_operations!`](crate::for_operations) hands the table to a macro, so that each side makes types of its own from
//! it: here come the numbers ([`crate::hypercall`], [`crate::mailbox::op`]), what the hypervisor and the test host are
//! asked for ([`Hypercall`], [`HostOp`], [`DeviceOp`]), and [`TABLE`], from which traces are parsed and their page is written.
//!
//! A row is: the number's name, the variant's name, the word in traces, the number, who it belongs to, and arguments
//! by name and [`Kind`] in the order in which they travel, with a default where a trace may leave one out.

/// What a DMA write puts into memory when the trace does not say.
pub const DMA_PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// Calls the macro `$then` with the table of operations; see [`crate::operation`].
#[macro_export]
macro_rules! for_operations {
    ($then:ident) => {
        $then! {
            hypercalls {
                /// The host lends one page to the hypervisor.
                HOST_SHARE_HYP HostShareHyp "host_share_hyp" (0xc600_0000 | 29) by Host { pfn: Frame }
                /// The host takes a lent page back.
                HOST_UNSHARE_HYP HostUnshareHyp "host_unshare_hyp" (0xc600_0000 | 30) by Host { pfn: Frame }
                /// The hypervisor pins shared pages: they cannot be unshared until they are unpinned as often.
                HYP_PIN_SHARED_MEM HypPinSharedMem "hyp_pin_shared_mem" (0xc600_0102) by Hyp
                    { pfn: Frame, nr: Count = 1 }
                /// The hypervisor undoes one pin of each page.
                HYP_UNPIN_SHARED_MEM HypUnpinSharedMem "hyp_unpin_shared_mem" (0xc600_0103) by Hyp
                    { pfn: Frame, nr: Count = 1 }
                /// The host gives pages to the hypervisor.
                HOST_DONATE_HYP HostDonateHyp "host_donate_hyp" (0xc600_0100) by Host { pfn: Frame, nr: Count = 1 }
                /// The hypervisor gives pages back to the host.
                HYP_DONATE_HOST HypDonateHost "hyp_donate_host" (0xc600_0101) by Hyp { pfn: Frame, nr: Count = 1 }
                /// The host gives MMIO pages to the hypervisor; refused once the host runs.
                HOST_DONATE_HYP_MMIO HostDonateHypMmio "host_donate_hyp_mmio" (0xc600_0104) by Host
                    { pfn: Frame, nr: Count = 1 }
                /// The hypervisor gives MMIO pages back to the host: refused, what it took is its own for good.
                HYP_DONATE_HOST_MMIO HypDonateHostMmio "hyp_donate_host_mmio" (0xc600_0105) by Hyp
                    { pfn: Frame, nr: Count = 1 }
                /// The host takes the oldest record off the SMMU's event queue: x2 is its dword 0 (event number in
                /// bits 7:0, StreamID in 63:32), x3 its dword 2 (the input address). ENOENT when the queue is empty,
                /// ENODEV without an SMMU, EPERM when the host has an emulated SMMU with a queue of its own.
                SMMU_READ_EVENT SmmuReadEvent "smmu_read_event" (0xc600_0110) by Host {}
            }
            calls {
                /// Any hypercall: `hvc #0` with these registers.
                HYPERCALL Hypercall "hypercall" (1) by Host
                    { id: Value, x1: Value = 0, x2: Value = 0, x3: Value = 0, x4: Value = 0, x5: Value = 0,
                      x6: Value = 0 }
                /// Any secure monitor call: `smc #0` with these registers.
                SMC Smc "smc" (10) by Host
                    { id: Value, x1: Value = 0, x2: Value = 0, x3: Value = 0, x4: Value = 0, x5: Value = 0,
                      x6: Value = 0 }
            }
            accesses {
                /// A load at EL1; with `normal=1` through a Normal mapping whatever is there, so that a misaligned
                /// access to MMIO reaches stage 2.
                READ Read "host_read" (2) by Host { ipa: Address, size: Size = 8, normal: Value = 0 }
                /// A store of the low `size` bytes of `value` at EL1; `normal` as for `host_read`.
                WRITE Write "host_write" (3) by Host
                    { ipa: Address, size: Size = 8, value: Value, normal: Value = 0 }
                /// A branch there; the code must return with `ret`.
                EXEC Execute "host_exec" (4) by Host { ipa: Address }
                /// `ldp` of two u64: an abort without a valid syndrome.
                READ_PAIR ReadPair "host_read_pair" (5) by Host { ipa: Address }
                /// `stp` of two u64: an abort without a valid syndrome.
                WRITE_PAIR WritePair "host_write_pair" (11) by Host
                    { ipa: Address, value: Value, second: Value }
                /// An entry of a table of the SMMU, 32 bytes: the three u64 behind `value` first, and after a barrier
                /// `value`, as drivers write what hardware reads. `ipa` must be a multiple of 32.
                WRITE_ENTRY WriteEntry "host_write_entry" (14) by Host
                    { ipa: Address, value: Value, second: Value, third: Value, fourth: Value }
                /// `swpal` of a u64: an atomic swap in one instruction.
                SWAP Swap "host_swap" (12) by Host { ipa: Address, value: Value }
                /// CPU 0 stores the 4 bytes of `data` to `at` while CPU 1 writes `value` and `second` in turn to the
                /// u64 at `ipa`; `seed` varies the moments at which one is cut by the other.
                RACE Race "host_race" (13) by Host
                    { ipa: Address, value: Value, second: Value, at: Address, data: Value, seed: Value = 1 }
                /// The page as a stage-1 table of the host: an abort on a table walk where stage 2 refuses it.
                WALK Walk "host_walk" (6) by Host { ipa: Address }
                /// Load-exclusive, store-exclusive of the same u64.
                ATOMIC Atomic "host_atomic" (7) by Host { ipa: Address }
                /// One load or store at exception level `el`, 0 or 1: instruction `form` of the [list](#instructions). The
                /// result is what its register holds afterwards, or the exception that the host took: bit 63; whether
                /// ELR_EL1 (49) and FAR_EL1 (48) are right; the vector, in units of 0x80 (47:44); SPSR_EL1 (41:32); ESR_EL1
                /// (31:0).
                PROBE Probe "host_probe" (15) by Host { ipa: Address, form: Value = 0, el: Value = 1, value: Value = 0 }
            }
            dma {
                /// The device with StreamID `sid` reads `len` bytes.
                DMA_READ Read "dma_read" (8) by Device { sid: Stream, ipa: Address, len: Length = 8 }
                /// The device with StreamID `sid` writes `len` bytes: the u64 `value`, repeated.
                DMA_WRITE Write "dma_write" (9) by Device {
                    sid: Stream, ipa: Address, len: Length = 8, value: Value = $crate::operation::DMA_PATTERN,
                }
            }
        }
    };
}

/// What an argument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page frame number: an offset from a place counts frames of 4 KiB.
    Frame,
    /// An intermediate physical address: an offset from a place counts bytes.
    Address,
    /// How many pages.
    Count,
    /// Any 64-bit number.
    Value,
    /// Size of a CPU's access: 1, 2, 4 or 8 bytes.
    Size,
    /// Length of a device's access: 8 to 4096 bytes.
    Length,
    /// A StreamID (32 bits).
    Stream,
}

/// Who an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The host, on one of its CPUs.
    Host,
    /// The hypervisor; the host asks for it in its place.
    Hyp,
    /// A device that does DMA.
    Device,
}

/// An argument of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its key in traces.
    pub name: &'static str,
    /// What it stands for.
    pub kind: Kind,
    /// What it is when the trace leaves it out; `None` if it must be there.
    pub default: Option<u64>,
}

/// How an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A hypercall with this function id.
    Hypercall(u64),
    /// A request of the mailbox with this number of [`crate::mailbox::op`].
    Request(u64),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The word in traces.
    pub name: &'static str,
    /// What it does, a line of its documentation each.
    pub summary: &'static [&'static str],
    /// Who it belongs to.
    pub party: Party,
    /// How it is asked for.
    pub form: Form,
    /// Its arguments in the order in which they travel.
    pub params: &'static [Param],
}

macro_rules! default_of {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! rows {
    ($form:ident: $($(#[doc = $doc:literal])* $word:literal $number:expr, $party:ident { $($arg:ident: $kind:ident $(= $default:expr)?),* })*) => {
        &[$(Row {
            name: $word,
            summary: &[$($doc),*],
            party: Party::$party,
            form: Form::$form($number),
            params: &[$(Param {
                name: stringify!($arg),
                kind: Kind::$kind,
                default: default_of!($($default)?),
            }),*],
        }),*]
    };
}

/// An enum of requests and how to read one.
macro_rules! requested {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $CONST:ident $variant:ident { $($arg:ident: $kind:ident),* })* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])* $variant {
                $(#[doc = concat!("`", stringify!($arg), "`, of [`Kind::", stringify!($kind), "`]")] $arg: u64,)*
            },)*
        }

        impl $name {
            /// What `number` of [`crate::mailbox::op`] and the request's arguments stand for, if it is one of these.
            #[must_use]
            pub const fn decode(number: u64, args: [u64; 7]) -> Option<Self> {
                match number {
                    $(requests::$CONST => {
                        let [$($arg,)* ..] = args;
                        Some(Self::$variant { $($arg),* })
                    })*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! define {
    (
        hypercalls { $($(#[doc = $h_doc:literal])* $H_CONST:ident $h_variant:ident $h_word:literal ($h_id:expr) by $h_party:ident { $($h_arg:ident: $h_kind:ident $(= $h_default:expr)?),* $(,)? })* }
        calls { $($(#[doc = $c_doc:literal])* $C_CONST:ident $c_variant:ident $c_word:literal ($c_id:expr) by $c_party:ident { $($c_arg:ident: $c_kind:ident $(= $c_default:expr)?),* $(,)? })* }
        accesses { $($(#[doc = $a_doc:literal])* $A_CONST:ident $a_variant:ident $a_word:literal ($a_id:expr) by $a_party:ident { $($a_arg:ident: $a_kind:ident $(= $a_default:expr)?),* $(,)? })* }
        dma { $($(#[doc = $d_doc:literal])* $D_CONST:ident $d_variant:ident $d_word:literal ($d_id:expr) by $d_party:ident { $($d_arg:ident: $d_kind:ident $(= $d_default:expr)?),* $(,)? })* }
    ) => {
        /// Function ids of the hypercalls.
        pub(crate) mod ids {
            $($(#[doc = $h_doc])* pub const $H_CONST: u64 = $h_id;)*
        }

        /// Numbers of what the test host is asked for.
        pub(crate) mod requests {
            $($(#[doc = $c_doc])* pub const $C_CONST: u64 = $c_id;)*
            $($(#[doc = $a_doc])* pub const $A_CONST: u64 = $a_id;)*
            $($(#[doc = $d_doc])* pub const $D_CONST: u64 = $d_id;)*
        }

        /// What the hypervisor is asked for, as it stands in the registers: nothing is checked yet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Hypercall {
            $($(#[doc = $h_doc])* $h_variant {
                $(#[doc = concat!("`", stringify!($h_arg), "`, of [`Kind::", stringify!($h_kind), "`]")] $h_arg: u64,)*
            },)*
        }

        impl Hypercall {
            /// The call with this function id (x0) and these arguments (x1 to x6); `None` if nobody knows the id.
            #[must_use]
            #[inline(always)]
            pub const fn decode(function: u64, args: [u64; 6]) -> Option<Self> {
                // Numbers of 16 bits are compared in one instruction each.
                match function as u16 {
                    _ if function >> 16 != crate::hypercall::BASE >> 16 => None,
                    $(low if low == ids::$H_CONST as u16 => {
                        let [$($h_arg,)* ..] = args;
                        Some(Self::$h_variant { $($h_arg),* })
                    })*
                    _ => None,
                }
            }
        }

        requested! {
            /// What a CPU of the test host is asked for beside calls, as it stands in a request: nothing is checked yet.
            HostOp { $($(#[doc = $a_doc])* $A_CONST $a_variant { $($a_arg: $a_kind),* })* }
        }
        requested! {
            /// What a device is asked for, as it stands in a request: nothing is checked yet.
            DeviceOp { $($(#[doc = $d_doc])* $D_CONST $d_variant { $($d_arg: $d_kind),* })* }
        }

        /// The hypercalls, one row each.
        pub static HYPERCALLS: &[Row] = rows!(Hypercall: $($(#[doc = $h_doc])* $h_word $h_id, $h_party { $($h_arg: $h_kind $(= $h_default)?),* })*);
        /// Calls with any registers.
        pub static CALLS: &[Row] = rows!(Request: $($(#[doc = $c_doc])* $c_word $c_id, $c_party { $($c_arg: $c_kind $(= $c_default)?),* })*);
        /// Accesses of a CPU.
        pub static ACCESSES: &[Row] = rows!(Request: $($(#[doc = $a_doc])* $a_word $a_id, $a_party { $($a_arg: $a_kind $(= $a_default)?),* })*);
        /// Accesses of a device.
        pub static DMA: &[Row] = rows!(Request: $($(#[doc = $d_doc])* $d_word $d_id, $d_party { $($d_arg: $d_kind $(= $d_default)?),* })*);
    };
}

for_operations!(define);

/// Every operation, in the order of the documentation.
pub static TABLE: [&[Row]; 4] = [HYPERCALLS, CALLS, ACCESSES, DMA];
