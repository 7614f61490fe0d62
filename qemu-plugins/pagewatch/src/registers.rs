//! Registers of the CPU that runs.
//!
//! # Safety argument
//! QEMU hands over its list of registers as an array of glib, with as many elements as it says, each of the size that
//! glib says: that has grown behind the fields that are used here. Handles and names live as long as QEMU. The array is
//! given back once.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;

use qemu_plugin::sys::{GArray, qemu_plugin_get_registers, qemu_plugin_reg_descriptor};
use qemu_plugin::{RegisterDescriptor, Result};

use crate::word::SYNDROME;

unsafe extern "C" {
    fn g_array_get_element_size(array: *mut GArray) -> c_uint;
    fn g_array_free(array: *mut GArray, with_elements: c_int) -> *mut c_char;
}

/// Where QEMU's MPIDR_EL1 of a CPU can be read: the hypervisor gives the host the same numbers.
const MPIDR: [&str; 2] = ["MPIDR_EL1", "VMPIDR_EL2"];

/// What a hypervisor tells its CPUs apart by, at EL2.
const TPIDR: &str = "TPIDR_EL2";

type Handle = Arc<RegisterDescriptor<'static>>;

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
        for register in list() {
            let number = register.name.strip_prefix('x').and_then(|number| number.parse::<usize>().ok());
            let mpidr = MPIDR.iter().position(|name| *name == register.name);
            if let Some(slot) = number.and_then(|number| found.general.get_mut(number)) {
                *slot = Some(Arc::new(register));
            } else if let Some(which) = mpidr {
                found.mpidr[which] = Some(Arc::new(register));
            } else if register.name == TPIDR {
                found.tpidr = Some(Arc::new(register));
            } else if let Some(which) = SYNDROME.iter().position(|(_, name)| *name == register.name) {
                found.syndrome[which] = Some(Arc::new(register));
            }
        }
        Ok(found)
    }

    /// General-purpose register `number`; 31 is the zero register.
    pub(crate) fn general(&self, number: u8) -> Value {
        match number {
            31 => Value::Zero,
            _ => Value::of(self.general.get(usize::from(number)).cloned().flatten()),
        }
    }

    /// Number `which` of [`SYNDROME`].
    pub(crate) fn syndrome(&self, which: usize) -> Value {
        Value::of(self.syndrome.get(which).cloned().flatten())
    }

    /// TPIDR_EL2.
    pub(crate) fn tpidr(&self) -> Value {
        Value::of(self.tpidr.clone())
    }

    /// MPIDR_EL1. Its lowest byte is the CPU's number, as long as no virtual machine runs that has a number of its own.
    pub(crate) fn mpidr(&self) -> Value {
        Value::of(self.mpidr.iter().flatten().next().cloned())
    }
}

/// All registers that QEMU has handles for.
fn list() -> Vec<RegisterDescriptor<'static>> {
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
    let registers = (0..len as usize).map(|index| element(index).into()).collect();
    // SAFETY: nothing refers to the array or its elements any more.
    unsafe { g_array_free(array, 1) };
    registers
}

/// The value of a register.
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
    pub(crate) fn read(&self) -> Option<u64> {
        match self {
            Self::Zero => Some(0),
            Self::In(register) => {
                register.read().ok().and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
            }
            Self::Unknown => None,
        }
    }
}
