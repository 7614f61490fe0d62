//! `parallax build`: the hypervisor and the test host.
//!
//! ```text
//! target/parallax/normal/…/hyp.img  72 KiB
//! target/parallax/normal/…/testhost.img  31 KiB
//! ```

use anyhow::{Context, Result};
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::MachineError;
use parallax_machine::toolchain::{self, Variant};

use super::output::print;
use crate::cli::Build;
use crate::interrupt;

/// Runs it.
pub(super) fn build(args: &Build) -> Result<Status> {
    let cancel = interrupt::token()?;
    let root = project::root(&[])?;
    let variant = if args.faults { Variant::Faults } else { Variant::Normal };
    let failure = |error| Failure::from(MachineError::from(error));
    if args.clippy {
        toolchain::clippy(&root, variant, &cancel).map_err(failure)?;
        if !args.faults {
            toolchain::clippy_plugin(&root, &cancel).map_err(failure)?;
        }
    }
    let images = toolchain::build(&root, variant, &cancel).map_err(failure)?;
    for image in [&images.hyp_img, &images.payload_img] {
        let size = std::fs::metadata(image).with_context(|| image.display().to_string())?.len();
        let name = image.strip_prefix(&root).unwrap_or(image);
        print(&format!("{}  {} KiB\n", name.display(), size.div_ceil(1024)))?;
    }
    Ok(Status::Same)
}
