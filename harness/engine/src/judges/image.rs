//! How EL2 has its own image mapped. Where its parts are, its symbols say, or the machine does.

use parallax_addr::{PhysAddr, Span};
use parallax_machine::Target;
use parallax_machine::symbols::Symbols;
use parallax_model::{Finding, ImageParts, check_image};

use crate::judge::{Judge, Moment, StepView};

/// Symbols of the linker script around the constants and around the stacks.
const CONSTANTS: [&str; 2] = ["__rodata_start", "__data_start"];
const STACKS: [&str; 2] = ["__stacks", "__stacks_end"];

/// The parts of the image; nothing where they are not known.
pub(super) struct Image(Option<ImageParts>);

impl Image {
    /// For the machine `target` with the `symbols` of its images.
    pub(super) fn new(target: &Target, symbols: Option<&Symbols>) -> Self {
        let address = |name: &str| {
            let info = target.info?;
            let va = symbols?.hyp.symbol(name)?;
            Some(PhysAddr::new(va.get().wrapping_sub(info.image_va).wrapping_add(info.image_pa)))
        };
        let part = |[from, to]: [&'static str; 2]| Some(Span::between(address(from)?, address(to)?));
        let cpus = usize::try_from(target.info_or_zero().cpus).unwrap_or(usize::MAX);
        let told = Some(target.told.layout.constants).filter(|span| !span.is_empty());
        let constants = part(CONSTANTS).or(told);
        let stacks = part(STACKS).unwrap_or_default();
        Self(constants.map(|constants| ImageParts { constants, stacks, cpus }))
    }

    fn check(&self, at: &Moment<'_>) -> Vec<Finding> {
        self.0.as_ref().map_or_else(Vec::new, |parts| check_image(parts, at.state, at.context))
    }
}

impl Judge for Image {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        self.check(at)
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        self.check(&step.after)
    }
}
