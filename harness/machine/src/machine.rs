//! The one narrow door to a machine, live or recorded.

use parallax_ops::{Answer, Batch};
use parallax_vmsa::PhysMem;

use crate::coverage::Executed;
use crate::error::MachineError;
use crate::extensions::{AtOnce, Debug, Journal, Running, Stream};
use crate::symbols::Symbols;
use crate::target::{Registers, Target};

/// A machine: a live hypervisor or a recording of one.
///
/// Between two calls the machine stands still: registers and memory are those after the last operation (or after
/// boot, before the first one). Nobody asks which machine it is; what only some can do are extensions, which are there
/// or are not.
pub trait Machine {
    /// What is looked at.
    fn target(&self) -> &Target;

    /// Performs `batch` in order and gives as many answers.
    ///
    /// # Errors
    /// The machine panicked, hung, stopped where it must not, died, or (a recording) holds another operation here.
    /// After an error the machine is not usable any more.
    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError>;

    /// The registers now.
    ///
    /// # Errors
    /// The connection failed, or the CPU has no such register.
    fn registers(&mut self) -> Result<Registers, MachineError>;

    /// Physical memory now. Reading outside RAM is an error; a recording knows only what was read when it was made.
    fn memory(&self) -> &dyn PhysMem;

    /// Symbols of the images that run, where there are any (not in a recording).
    fn symbols(&self) -> Option<&Symbols> {
        None
    }

    /// Which instructions of the hypervisor ran since power-on; none without a plugin that notes it.
    fn executed(&self) -> Option<Executed> {
        None
    }

    /// What happened, event by event; none without a plugin.
    fn journal(&mut self) -> Option<&mut dyn Journal> {
        None
    }

    /// Operations that are looked at while the machine goes on with the next ones.
    fn stream(&mut self) -> Option<&mut dyn Stream> {
        None
    }

    /// CPUs that go on one at a time.
    fn at_once(&mut self) -> Option<&mut dyn AtOnce> {
        None
    }

    /// A debugger's way in.
    fn debug(&mut self) -> Option<&mut dyn Debug> {
        None
    }

    /// A guest that runs on its own.
    fn running(&mut self) -> Option<&mut dyn Running> {
        None
    }
}
