//! The SMMU: its driver, and the table that it walks.

use crate::idmap::Idmap;
use core::ops::{Deref, DerefMut};
use spin::mutex::SpinMutexGuard;

/// The SMMU as the owner of the host's pages sees it.
#[derive(Debug)]
pub(crate) struct SmmuMmu<S> {
    pub(crate) driver: S,
    pub(crate) idmap: Idmap,
}

/// The driver, while its lock is held.
pub(crate) struct Driver<'a, S>(pub(super) SpinMutexGuard<'a, Option<SmmuMmu<S>>>);

/// Why there is a driver: only one who found an SMMU locks it.
const PRESENT: &str = "the host has a register frame only if there is an SMMU";

impl<S> Deref for Driver<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.as_ref().expect(PRESENT).driver
    }
}

impl<S> DerefMut for Driver<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.as_mut().expect(PRESENT).driver
    }
}
