//! The journal: what a TCG plugin saw of a run, in a file that it shares with the harness.
//!
//! The file is a [`Header`] of one page and a ring of [`Record`]s behind it. The plugin alone advances
//! [`Header::head`], the harness alone [`Header::tail`]; both only count up, and record number `n` stands in slot
//! `n % capacity`. A full ring makes the plugin, and with it the machine, wait for the harness: nothing is dropped.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`Header::magic`]: `PLXJOURN` read as little-endian bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"PLXJOURN");
/// [`Header::version`].
pub const VERSION: u64 = 5;
/// Offset of the first record in the file, in bytes.
pub const RECORDS: usize = 4096;

/// Symbol of the function that the test host calls after each operation, with the operation's slot in x0. Its first
/// instruction is where the plugin makes a [`kind::MARK`].
pub const MARK_SYMBOL: &str = "parallax_mark";
/// Symbol of EL2's vectors, 2 KiB of them.
pub const VECTORS_SYMBOL: &str = "vectors";

/// What the first page of the file holds. Every field is a little-endian word that is read and written whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`]; written by the harness before the plugin is loaded.
    pub magic: u64,
    /// [`VERSION`]; by the harness.
    pub version: u64,
    /// Records that the ring has room for, not 0; by the harness.
    pub capacity: u64,
    /// Whether anything is to be recorded (1) or not (0); by the harness, at any time.
    pub enabled: u64,
    /// Records made so far; by the plugin, after the record itself.
    pub head: u64,
    /// Records taken so far; by the harness.
    pub tail: u64,
    /// How often the plugin had to wait for the harness; by the plugin.
    pub waits: u64,
    /// A number of [`error`]; by the plugin. Whatever it is, the records are not the whole truth if it is not 0.
    pub error: u64,
    /// Physical addresses of the SMMU's event queue, the first and the first behind it: memory of the hypervisor's that a
    /// device writes. Loads from it are recorded too. By the harness, before the next two.
    pub events: [u64; 2],
    /// Physical addresses of the hypervisor's own memory, the first and the first behind it; both 0 while they are not
    /// known. By the harness. Loads from elsewhere are recorded once they are known.
    pub own: [u64; 2],
    /// Instructions executed at EL2 since recording began, by all CPUs; by the plugin.
    pub instructions: u64,
    /// What `instructions` was when EL2 last did what can be seen outside: a store, a TLBI, a return to the host; by the
    /// plugin.
    pub advanced: u64,
    /// What `head` was then; by the plugin.
    pub advanced_head: u64,
    /// Where the hypervisor is, where the plugin was not told by its arguments: the first virtual address of its image and the first behind
    /// it, the physical address of the image's first page, which also runs there, and the virtual address of EL2's vectors. All 0 while that is
    /// not known. By the harness, the second one last, before the hypervisor's first instruction.
    pub places: [u64; 4],
}

/// What made a journal worthless.
pub mod error {
    /// Nothing did.
    pub const NONE: u64 = 0;
    /// A general-purpose register could not be read.
    pub const REGISTER: u64 = 1;
    /// A store had no physical address, or went over the end of a page.
    pub const ADDRESS: u64 = 2;
}

/// What a record tells of; `a`, `b` and `value` of [`Record`] for each.
pub mod kind {
    /// A store of EL2 that has been done, unless it is to the stack ([`super::word::is_by_sp`]). a: virtual address, b: physical address.
    pub const STORE: u8 = 1;
    /// A store of EL2 to a device. a: virtual address, b: physical address.
    pub const MMIO_WRITE: u8 = 2;
    /// A load of EL2 from a device. a: virtual address, b: physical address, value: what it gave.
    pub const MMIO_READ: u8 = 3;
    /// A TLBI of EL2 that is about to be executed. a: the instruction word, value: its operand (0 if it has none).
    pub const TLBI: u8 = 4;
    /// A DSB, DMB or ISB of EL2 that is about to be executed. a: the instruction word.
    pub const BARRIER: u8 = 5;
    /// An MSR of EL2 that is about to be executed. a: the instruction word, value: what is written.
    pub const MSR: u8 = 6;
    /// EL2 is about to return to the host. b: instructions executed at EL2 since recording began, by all CPUs.
    pub const ERET: u8 = 7;
    /// EL2 has been entered. a: offset of the vector, 0 to 0x780.
    pub const VECTOR: u8 = 8;
    /// The test host has answered a request. a: its slot, b: instructions executed at EL2 since recording began,
    /// by all CPUs.
    pub const MARK: u8 = 9;
    /// A load of EL2 from memory outside of [`Header::own`](super::Header::own), or from the SMMU's event queue. a: virtual address,
    /// b: physical address, value: what it gave.
    pub const LOAD: u8 = 10;
    /// A DC by address or by set and way of EL2 that is about to be executed. a: the instruction word, value: its operand.
    pub const DC: u8 = 11;
    /// An SMC of EL2 that is about to be executed. a: x0, b: x2, value: x3.
    pub const SMC: u8 = 12;
    /// An MRS of EL2 that is about to be executed, of ESR_EL2, FAR_EL2 or HPFAR_EL2. a: the instruction word, value: what it gives.
    pub const MRS: u8 = 13;
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Record {
    /// A number of [`kind`].
    pub kind: u8,
    /// The CPU, from 0.
    pub cpu: u8,
    /// Bytes stored or loaded: 1, 2, 4 or 8; 0 where nothing is.
    pub size: u8,
    /// Always 0.
    pub zero: [u8; 5],
    /// Virtual address of the instruction.
    pub pc: u64,
    /// As [`kind`] says.
    pub a: u64,
    /// As [`kind`] says.
    pub b: u64,
    /// As [`kind`] says; of a store or load as many low bytes as `size` says.
    pub value: u64,
}

/// Instruction words: which loads and stores are recorded (DDI 0487, C4.1).
pub mod word {
    /// A load, store or atomic operation.
    #[must_use]
    pub const fn is_access(word: u32) -> bool {
        word & 0x0a00_0000 == 0x0800_0000
    }

    /// A load or store whose address is SP, or SP and something added: of the stack.
    #[must_use]
    pub const fn is_by_sp(word: u32) -> bool {
        let literal = word & 0x3b00_0000 == 0x1800_0000;
        is_access(word) && !literal && word >> 5 & 31 == 31
    }
}

#[cfg(test)]
mod tests {
    use super::word::is_by_sp;

    #[test]
    fn accesses_by_sp_are_told_from_those_by_other_registers() {
        // stp x29, x30, [sp, #-16]!; ldr x0, [sp, #8]; str q0, [sp, #32]; ldp x0, x1, [sp], #16
        for word in [0xa9bf_7bfd, 0xf940_07e0, 0x3d80_0be0, 0xa8c1_07e0] {
            assert!(is_by_sp(word), "{word:#x}");
        }
        // str x0, [x30]; ldr x31 literal whose immediate looks like SP; add x0, sp, #8; str x30, [x0]; stlr x0, [x1]
        for word in [0xf900_03c0, 0x5800_03ff, 0x9100_23e0, 0xf900_001e, 0xc89f_fc20] {
            assert!(!is_by_sp(word), "{word:#x}");
        }
    }
}
