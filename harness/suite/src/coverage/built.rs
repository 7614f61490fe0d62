//! The lines of the images that traces run on.

use parallax_engine::status::{Failure, Status};
use parallax_machine::coverage::Executed;
use parallax_machine::symbols::Image;
use parallax_machine::toolchain::{BuiltImages, Variant};
use parallax_trace::Trace;

use super::Tally;
use super::lines::{Lines, Site};

/// What ran of the hypervisor during a trace.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The trace's path.
    pub trace: String,
    /// The build.
    variant: Variant,
    /// The instructions.
    executed: Executed,
}

impl Ran {
    /// The instructions that ran during `trace`.
    #[must_use]
    pub fn new(trace: &Trace, executed: Executed) -> Self {
        Self { trace: trace.path.clone(), variant: Variant::of(&trace.machine), executed }
    }
}

/// The lines of the normal build, and of that with the switchable faults.
pub struct BuiltLines {
    normal: Lines,
    faults: Option<Lines>,
}

impl BuiltLines {
    /// Those of the `normal` build alone.
    ///
    /// # Errors
    /// An image cannot be read, or says nothing of lines.
    pub fn of(normal: &BuiltImages) -> Result<Self, Failure> {
        Ok(Self { normal: lines(normal)?, faults: None })
    }

    /// Also those of the build with `faults`.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn with_faults(self, faults: Option<&BuiltImages>) -> Result<Self, Failure> {
        Ok(Self { faults: faults.map(lines).transpose()?, ..self })
    }

    /// All lines that count, none of them reached.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(&self.normal)
    }

    /// The lines that a trace reached; `None` if there is no such build.
    pub fn reached<'a>(&'a self, ran: &'a Ran) -> Option<Vec<&'a Site>> {
        let lines = match ran.variant {
            Variant::Normal => &self.normal,
            Variant::Faults => self.faults.as_ref()?,
        };
        Some(lines.reached(&ran.executed).collect())
    }
}

fn lines(images: &BuiltImages) -> Result<Lines, Failure> {
    let setup = |message: String| Failure { status: Status::Setup, message };
    let image = Image::load(&images.hyp_elf).map_err(|error| setup(error.to_string()))?;
    let lines = Lines::of(&image);
    lines.check().map_err(|why| setup(format!("{}: {why}", images.hyp_elf.display())))?;
    Ok(lines)
}
