//! A program of the kernel's user space that has a virtual machine: it asks /dev/kvm for one by Linux's own interface (Linux,
//! Documentation/virt/kvm/api), lets it run until it writes to a device that is not there, and stays.
//!
//! It is a table of system calls and the few instructions that make them one after the other, in an ELF file that is made here: no
//! compiler for the kernel's user space is needed.

mod arm;

use self::arm::{Code, X};

/// Where it is in its own addresses. All is in one segment: headers, code, steps, what they point to, the guest's code.
const BASE: u64 = 0x1000_0000;
const CODE: u64 = 0x100;
const STEPS: u64 = 0x400;
const DATA: u64 = 0x1000;
const GUEST_CODE: u64 = 0x1800;
const END: u64 = 0x2000;
/// Bytes of a step, and the places of its words behind the system call's number and its six arguments.
const STEP: u64 = 80;
const FLAGS: u32 = 56;
const CHECK: u32 = 64;
const VALUE: u32 = 72;
/// Bits of a step's flags: its first argument is what the step before gave; it may fail.
const GIVEN: u64 = 1;
const MAY_FAIL: u64 = 1 << 1;

/// The guest's memory: where the program has it, where the guest has it, how much. Blocks of 2 MiB could back it.
const MEMORY: u64 = 0x2000_0000;
const GUEST_MEMORY: u32 = 0x8000_0000;
const SIZE: u64 = 6 << 20;
/// Where the program has the page that tells why the guest stopped, and the place in it.
const RUN: u64 = 0x3000_0000;
const EXIT_REASON: u64 = 8;
const EXIT_MMIO: u64 = 6;
/// An address of the guest at which there is nothing.
const NOTHING: u32 = 0x1000_0000;
/// What the guest stores.
const STORED: u32 = 0x6775_6573;

/// Numbers of system calls (Linux, include/uapi/asm-generic/unistd.h).
mod call {
    pub(super) const DUP3: u64 = 24;
    pub(super) const IOCTL: u64 = 29;
    pub(super) const OPENAT: u64 = 56;
    pub(super) const WRITE: u64 = 64;
    pub(super) const PREAD64: u64 = 67;
    pub(super) const PPOLL: u64 = 73;
    pub(super) const EXIT: u32 = 93;
    pub(super) const MMAP: u64 = 222;
    pub(super) const MADVISE: u64 = 233;
}

/// Requests of /dev/kvm (Linux, include/uapi/linux/kvm.h).
mod kvm {
    pub(super) const CREATE_VM: u64 = 0xae01;
    pub(super) const CREATE_VCPU: u64 = 0xae41;
    pub(super) const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
    pub(super) const RUN: u64 = 0xae80;
    pub(super) const SET_ONE_REG: u64 = 0x4010_aeac;
    pub(super) const VCPU_INIT: u64 = 0x4020_aeae;
    pub(super) const PREFERRED_TARGET: u64 = 0x8020_aeaf;
    /// The register PC: a core register of 64 bits behind x0 to x30 and SP.
    pub(super) const PC: u64 = 0x6030_0000_0010_0040;
}

/// Numbers of files that the program gives to what it opens.
mod fd {
    pub(super) const KVM: u64 = 100;
    pub(super) const VM: u64 = 101;
    pub(super) const VCPU: u64 = 102;
    pub(super) const SELF: u64 = 103;
}

const CURRENT_FOLDER: u64 = (-100_i64).cast_unsigned();
const READ_WRITE: u64 = 2;
const PROT_READ_WRITE: u64 = 3;
const SHARED: u64 = 1;
const PRIVATE: u64 = 2;
const FIXED: u64 = 0x10;
const ANONYMOUS: u64 = 0x20;
const HUGE: u64 = 14;
const EINTR: u32 = 4;

/// A system call.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    number: u64,
    args: [u64; 6],
    flags: u64,
    /// A word of 32 bits that must hold a value afterwards: its address, or 0, and the value.
    check: (u64, u64),
}

impl Step {
    fn new(number: u64, args: &[u64]) -> Self {
        let mut step = Self { number, ..Self::default() };
        step.args[..args.len()].copy_from_slice(args);
        step
    }

    const fn flagged(self, flags: u64) -> Self {
        Self { flags, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let (at, value) = self.check;
        let words = [&[self.number][..], &self.args, &[self.flags, at, value]].concat();
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// What the steps point to, and where.
#[derive(Debug, Default)]
struct Data(Vec<u8>);

impl Data {
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.0.len().next_multiple_of(8);
        self.0.resize(at, 0);
        self.0.extend(bytes);
        BASE + DATA + at as u64
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        self.put(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
    }
}

/// What it does, step by step; `path` is where the kernel has the program, `said` what it says at its standard output once the guest
/// has run.
fn steps(data: &mut Data, path: &str, said: &str) -> Vec<Step> {
    let terminated = |text: &str| [text.as_bytes(), b"\0"].concat();
    let (device, itself) = (data.put(&terminated("/dev/kvm")), data.put(&terminated(path)));
    // Slot and flags; where the guest has it, its size, where the program has it.
    let region = data.words(&[0, GUEST_MEMORY.into(), SIZE, MEMORY]);
    let target = data.words(&[0; 4]);
    let pc = data.words(&[GUEST_MEMORY.into()]);
    let register = data.words(&[kvm::PC, pc]);
    let text = data.put(said.as_bytes());
    let named = |file| Step::new(call::DUP3, &[0, file, 0]).flagged(GIVEN);
    let asked = |file, request, argument| Step::new(call::IOCTL, &[file, request, argument]);
    let open = |name| Step::new(call::OPENAT, &[CURRENT_FOLDER, name, READ_WRITE, 0]);
    let map =
        |at, size, flags, file| Step::new(call::MMAP, &[at, size, PROT_READ_WRITE, flags | FIXED, file, 0]);
    vec![
        open(device),
        named(fd::KVM),
        asked(fd::KVM, kvm::CREATE_VM, 0),
        named(fd::VM),
        map(MEMORY, SIZE, PRIVATE | ANONYMOUS, u64::MAX),
        // Without it there are pages where there could be blocks.
        Step::new(call::MADVISE, &[MEMORY, SIZE, HUGE]).flagged(MAY_FAIL),
        Step { args: [CURRENT_FOLDER, itself, 0, 0, 0, 0], ..open(itself) },
        named(fd::SELF),
        Step::new(call::PREAD64, &[fd::SELF, MEMORY, END - GUEST_CODE, GUEST_CODE]),
        asked(fd::VM, kvm::SET_USER_MEMORY_REGION, region),
        asked(fd::VM, kvm::CREATE_VCPU, 0),
        named(fd::VCPU),
        asked(fd::VM, kvm::PREFERRED_TARGET, target),
        asked(fd::VCPU, kvm::VCPU_INIT, target),
        asked(fd::VCPU, kvm::SET_ONE_REG, register),
        map(RUN, 0x1000, SHARED, fd::VCPU),
        Step { check: (RUN + EXIT_REASON, EXIT_MMIO), ..asked(fd::VCPU, kvm::RUN, 0) },
        Step::new(call::WRITE, &[1, text, said.len() as u64]),
        Step::new(call::PPOLL, &[]),
    ]
}

/// Makes the steps one after the other, one that was interrupted again. Where one fails the program ends with its number, from 1.
fn code() -> Vec<u8> {
    let (step, given, flags, number) = (X(19), X(20), X(21), X(22));
    let (at, value) = (X(9), X(10));
    let mut code = Code::default();
    code.mov(step, (BASE + STEPS) as u32).mov(given, 0).mov(number, 1);
    code.label("next").ldr(X(8), step, 0);
    for argument in 0..6 {
        code.ldr(X(argument), step, 8 + 8 * argument);
    }
    code.ldr(flags, step, FLAGS).tbz(flags, GIVEN.trailing_zeros(), "call").copy(X(0), given);
    code.label("call").svc();
    code.cmn(X(0), EINTR).b_eq("next");
    code.tbnz(flags, MAY_FAIL.trailing_zeros(), "made").tbnz(X(0), 63, "failed");
    code.label("made").copy(given, X(0));
    code.ldr(at, step, CHECK).ldr(value, step, VALUE).cbz(at, "right");
    code.ldr_w(at, at).cmp(at, value).b_ne("failed");
    code.label("right").add_imm(step, step, STEP as u32).add_imm(number, number, 1).b("next");
    code.label("failed").copy(X(0), number).mov(X(8), call::EXIT).svc();
    code.finish()
}

/// Stores to the second page of its memory, and below and above the first border of 2 MiB; then where nothing is.
fn guest() -> Vec<u8> {
    let (memory, stored, at) = (X(0), X(1), X(2));
    let mut code = Code::default();
    code.mov(memory, GUEST_MEMORY).mov(stored, STORED);
    code.add_pages(at, memory, 1).str(stored, at);
    code.add_pages(at, memory, 0x200).str_below(stored, at).str(stored, at);
    code.mov(at, NOTHING).str_w(stored, at);
    code.label("end").b("end");
    code.finish()
}

/// The program: an ELF file that the kernel has at `path`.
pub(super) fn program(path: &str, said: &str) -> Vec<u8> {
    let mut data = Data::default();
    let steps: Vec<u8> = steps(&mut data, path, said).iter().flat_map(Step::bytes).collect();
    let mut file = header();
    for (at, end, part) in
        [(CODE, STEPS, code()), (STEPS, DATA, steps), (DATA, GUEST_CODE, data.0), (GUEST_CODE, END, guest())]
    {
        assert!(at + part.len() as u64 <= end, "what is at {at:#x} has its place");
        file.resize(at as usize, 0);
        file.extend(part);
    }
    file.resize(END as usize, 0);
    file
}

/// The header of an ELF file for AArch64 with one segment, which is all of the file, to be read, written and executed.
fn header() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |bytes: &mut Vec<u8>, values: &[u16]| {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    };
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let long = |bytes: &mut Vec<u8>, values: &[u64]| {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    };
    half(&mut bytes, &[2, 183]);
    word(&mut bytes, 1);
    long(&mut bytes, &[BASE + CODE, 64, 0]);
    word(&mut bytes, 0);
    half(&mut bytes, &[64, 56, 1, 64, 0, 0]);
    word(&mut bytes, 1);
    word(&mut bytes, 7);
    long(&mut bytes, &[0, BASE, BASE, END, END, 0x1000]);
    bytes
}

#[cfg(test)]
mod tests {
    use capstone::prelude::*;
    use object::{Object, ObjectSegment};

    use super::*;

    fn text(code: &[u8]) -> Vec<String> {
        let capstone = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build().unwrap();
        let all = capstone.disasm_all(code, 0).unwrap();
        let one = |insn: &capstone::Insn<'_>| {
            [insn.mnemonic().unwrap(), insn.op_str().unwrap()].join(" ").trim().to_owned()
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn the_guest_stores_to_three_places_and_to_nothing() {
        assert_eq!(
            text(&guest()),
            [
                "mov x0, #0",
                "movk x0, #0x8000, lsl #16",
                "mov x1, #0x6573",
                "movk x1, #0x6775, lsl #16",
                "add x2, x0, #1, lsl #12",
                "str x1, [x2]",
                "add x2, x0, #0x200, lsl #12",
                "stur x1, [x2, #-8]",
                "str x1, [x2]",
                "mov x2, #0",
                "movk x2, #0x1000, lsl #16",
                "str w1, [x2]",
                "b #0x30",
            ]
        );
    }

    #[test]
    fn a_step_is_made_by_the_instructions_that_are_meant() {
        assert_eq!(
            text(&code()),
            [
                "mov x19, #0x400",
                "movk x19, #0x1000, lsl #16",
                "mov x20, #0",
                "mov x22, #1",
                "ldr x8, [x19]",
                "ldr x0, [x19, #8]",
                "ldr x1, [x19, #0x10]",
                "ldr x2, [x19, #0x18]",
                "ldr x3, [x19, #0x20]",
                "ldr x4, [x19, #0x28]",
                "ldr x5, [x19, #0x30]",
                "ldr x21, [x19, #0x38]",
                "tbz w21, #0, #0x38",
                "mov x0, x20",
                "svc #0",
                "cmn x0, #4",
                "b.eq #0x10",
                "tbnz w21, #1, #0x4c",
                "tbnz x0, #0x3f, #0x74",
                "mov x20, x0",
                "ldr x9, [x19, #0x40]",
                "ldr x10, [x19, #0x48]",
                "cbz x9, #0x68",
                "ldr w9, [x9]",
                "cmp x9, x10",
                "b.ne #0x74",
                "add x19, x19, #0x50",
                "add x22, x22, #1",
                "b #0x10",
                "mov x0, x22",
                "mov x8, #0x5d",
                "svc #0",
            ]
        );
    }

    #[test]
    fn the_file_is_a_program_of_one_segment() {
        let bytes = program("/guest", "guest ok\n");
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!((file.architecture(), file.entry()), (object::Architecture::Aarch64, BASE + CODE));
        let segments: Vec<_> = file.segments().map(|one| (one.address(), one.size())).collect();
        assert_eq!(segments, [(BASE, END)]);
        assert_eq!(file.segments().next().unwrap().data().unwrap()[CODE as usize..][..code().len()], code());
    }
}
