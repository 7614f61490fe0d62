//! Registers of the CPU that runs.

use std::sync::Arc;

use qemu_plugin::{RegisterDescriptor, Result, qemu_plugin_get_registers};

/// Where QEMU's MPIDR_EL1 of a CPU can be read: the hypervisor gives the host the same numbers.
const MPIDR: [&str; 2] = ["MPIDR_EL1", "VMPIDR_EL2"];

type Handle = Arc<RegisterDescriptor<'static>>;

/// X0 to X30 and MPIDR_EL1, where they are known.
#[derive(Default)]
pub(crate) struct Registers {
    general: [Option<Handle>; 31],
    mpidr: [Option<Handle>; 2],
}

impl Registers {
    /// Looks them up. To be called when a CPU is initialised.
    pub(crate) fn find() -> Result<Self> {
        let mut found = Self::default();
        for register in qemu_plugin_get_registers()? {
            let number = register.name.strip_prefix('x').and_then(|number| number.parse::<usize>().ok());
            let mpidr = MPIDR.iter().position(|name| *name == register.name);
            if let Some(slot) = number.and_then(|number| found.general.get_mut(number)) {
                *slot = Some(Arc::new(register));
            } else if let Some(which) = mpidr {
                found.mpidr[which] = Some(Arc::new(register));
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

    /// MPIDR_EL1. Its lowest byte is the CPU's number.
    pub(crate) fn mpidr(&self) -> Value {
        Value::of(self.mpidr.iter().flatten().next().cloned())
    }
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
