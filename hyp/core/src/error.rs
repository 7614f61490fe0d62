//! Errors that a hypercall can return.

use parallax_abi::errno;

/// Why an operation was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong page state, or not allowed now.
    #[error("not permitted")]
    Perm,
    /// No such page, mapping or event.
    #[error("no such entry")]
    NoEnt,
    /// The page pool is empty.
    #[error("out of table pages")]
    NoMem,
    /// In use.
    #[error("busy")]
    Busy,
    /// No such device.
    #[error("no such device")]
    NoDev,
    /// Bad size, bad alignment, or a range that crosses a region.
    #[error("invalid argument")]
    Inval,
}

impl Error {
    /// The ABI's number for it.
    #[must_use]
    pub const fn errno(self) -> i64 {
        match self {
            Self::Perm => errno::EPERM,
            Self::NoEnt => errno::ENOENT,
            Self::NoMem => errno::ENOMEM,
            Self::Busy => errno::EBUSY,
            Self::NoDev => errno::ENODEV,
            Self::Inval => errno::EINVAL,
        }
    }
}
