//! Registers of the CPU that runs.
//!
//! # Safety argument
//! QEMU hands over its list of registers as an array of glib, with as many elements as it says, each of the size that
//! glib says: that has grown behind the fields that are used here. Handles and names live as long as QEMU. The array is
//! given back once.
//!
//! Values are read into a byte array of the thread's own, which is made once and never given back: a register is read for each
//! block of instructions, and making an array each time is what costs most of it. No reference into it is kept.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

use qemu_plugin::sys::{
    GArray, GByteArray, qemu_plugin_get_registers, qemu_plugin_read_register, qemu_plugin_reg_descriptor,
    qemu_plugin_register,
};
use qemu_plugin::{RegisterDescriptor, Result};

use crate::word::SYNDROME;

unsafe extern "C" {
    fn g_array_get_element_size(array: *mut GArray) -> c_uint;
    fn g_array_free(array: *mut GArray, with_elements: c_int) -> *mut c_char;
    fn g_byte_array_new() -> *mut GByteArray;
    fn g_byte_array_set_size(array: *mut GByteArray, length: c_uint) -> *mut GByteArray;
}

thread_local! {
    /// Where values are read into.
    static BYTES: Cell<*mut GByteArray> = const { Cell::new(ptr::null_mut()) };
}

/// Where QEMU's MPIDR_EL1 of a CPU can be read: the hypervisor gives the host the same numbers.
const MPIDR: [&str; 2] = ["MPIDR_EL1", "VMPIDR_EL2"];

/// What a hypervisor tells its CPUs apart by, at EL2.
const TPIDR: &str = "TPIDR_EL2";

/// QEMU's handle of a register, which callbacks of any thread may hold.
#[derive(Clone, Copy)]
pub(crate) struct Handle(usize);

impl Handle {
    /// Its value, if it is one of 64 bits.
    fn read(self) -> Option<u64> {
        let mut bytes = BYTES.get();
        if bytes.is_null() {
            // SAFETY: glib makes an empty array, or ends the process.
            bytes = unsafe { g_byte_array_new() };
            BYTES.set(bytes);
        }
        // SAFETY: the array is this thread's, and nothing refers to its bytes.
        unsafe { g_byte_array_set_size(bytes, 0) };
        // How many bytes there are is in the array: what this returns is a number in QEMU 10.0, and in 11.1 whether it was read.
        // SAFETY: the handle is one of QEMU's list; where the callback may read no registers, QEMU leaves the array empty.
        unsafe {
            qemu_plugin_read_register(ptr::with_exposed_provenance_mut::<qemu_plugin_register>(self.0), bytes)
        };
        // SAFETY: as above; QEMU has filled it.
        let GByteArray { data, len } = unsafe { *bytes };
        // SAFETY: it holds `len` bytes, and eight of them are read.
        (len == 8).then(|| u64::from_le_bytes(unsafe { data.cast::<[u8; 8]>().read_unaligned() }))
    }
}

/// X0 to X30, MPIDR_EL1, TPIDR_EL2, and those that tell of an exception, where they are known.
#[derive(Default)]
pub(crate) struct Registers {
    general: [Option<Handle>; 31],
    mpidr: [Option<Handle>; 2],
    tpidr: Option<Handle>,
    syndrome: [Option<Handle>; SYNDROME.len()],
}

impl Registers {
    /// Looks them up. To be called when a CPU is initialised.
    pub(crate) fn find() -> Result<Self> {
        let mut found = Self::default();
        for (register, handle) in list() {
            let handle = Some(handle);
            let number = register.name.strip_prefix('x').and_then(|number| number.parse::<usize>().ok());
            let mpidr = MPIDR.iter().position(|name| *name == register.name);
            if let Some(slot) = number.and_then(|number| found.general.get_mut(number)) {
                *slot = handle;
            } else if let Some(which) = mpidr {
                found.mpidr[which] = handle;
            } else if register.name == TPIDR {
                found.tpidr = handle;
            } else if let Some(which) = SYNDROME.iter().position(|(_, name)| *name == register.name) {
                found.syndrome[which] = handle;
            }
        }
        Ok(found)
    }

    /// General-purpose register `number`; 31 is the zero register.
    pub(crate) fn general(&self, number: u8) -> Value {
        match number {
            31 => Value::Zero,
            _ => Value::of(self.general.get(usize::from(number)).copied().flatten()),
        }
    }

    /// Number `which` of [`SYNDROME`].
    pub(crate) fn syndrome(&self, which: usize) -> Value {
        Value::of(self.syndrome.get(which).copied().flatten())
    }

    /// TPIDR_EL2.
    pub(crate) fn tpidr(&self) -> Value {
        Value::of(self.tpidr)
    }

    /// MPIDR_EL1. Its lowest byte is the CPU's number, as long as no virtual machine runs that has a number of its own.
    pub(crate) fn mpidr(&self) -> Value {
        Value::of(self.mpidr.iter().flatten().next().copied())
    }
}

/// All registers that QEMU has handles for.
fn list() -> Vec<(RegisterDescriptor<'static>, Handle)> {
    // SAFETY: called while a CPU starts, as QEMU wants it. What it returns is an array or null.
    let array = unsafe { qemu_plugin_get_registers() };
    // SAFETY: as the line before.
    let Some(&GArray { data, len }) = (unsafe { array.as_ref() }) else { return Vec::new() };
    // SAFETY: the array is one of glib, and not given back yet.
    let size = unsafe { g_array_get_element_size(array) } as usize;
    assert!(size >= size_of::<qemu_plugin_reg_descriptor>());
    let element = |index: usize| {
        // SAFETY: `index` is less than `len`, and an element begins with what is read.
        unsafe { data.add(index * size).cast::<qemu_plugin_reg_descriptor>().read_unaligned() }
    };
    let registers = (0..len as usize).map(|index| {
        let descriptor = element(index);
        (descriptor.into(), Handle(descriptor.handle.expose_provenance()))
    });
    let registers = registers.collect();
    // SAFETY: nothing refers to the array or its elements any more.
    unsafe { g_array_free(array, 1) };
    registers
}

/// The value of a register.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// That of XZR.
    Zero,
    /// Whatever is in it.
    In(Handle),
    /// QEMU has no handle for it.
    Unknown,
}

impl Value {
    fn of(handle: Option<Handle>) -> Self {
        handle.map_or(Self::Unknown, Self::In)
    }

    /// Reads it; only in a callback that may read registers.
    pub(crate) fn read(self) -> Option<u64> {
        match self {
            Self::Zero => Some(0),
            Self::In(register) => register.read(),
            Self::Unknown => None,
        }
    }
}
