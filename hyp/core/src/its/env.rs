//! What the host's ITS needs of the hypervisor. Its lock comes before the host's.

use crate::addr::PhysAddr;
use crate::error::Error;
use crate::regions::Range;

/// What the host's ITS needs of the hypervisor.
pub trait Env {
    /// Lends the host's pages of `range` (page aligned) to the hypervisor and pins them.
    ///
    /// # Errors
    /// Not all of it is memory that the host owns and has not lent otherwise; nothing is changed.
    fn hold(&mut self, range: Range) -> Result<(), Error>;
    /// Undoes [`Env::hold`] of the same range.
    fn release(&mut self, range: Range);
    /// Reads the u64 at `pa` (8-byte aligned) of memory that is held.
    fn read(&self, pa: PhysAddr) -> u64;
}
