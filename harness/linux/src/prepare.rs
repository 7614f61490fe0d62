//! What a boot needs: a kernel, and the hypervisor built.

use std::path::Path;

use anstream::eprintln;
use parallax_engine::status::Failure;
use parallax_machine::toolchain::{self, BuiltImages, Variant};
use parallax_machine::{CancellationToken, MachineError};

use crate::choice::{Choice, choose};
use crate::spec::LinuxSpec;

/// Where `ci/setup --linux` puts a Linux, in the project's folder.
const FOLDER: &str = "target/linux";

/// Chooses the kernel for `machine`, before anything is built; says on the standard error what the user should know of it.
///
/// # Errors
/// There is none that fits.
pub fn choose_kernel(machine: &LinuxSpec, root: &Path, own_initrd: bool) -> Result<Choice, Failure> {
    let choice = choose(machine, &root.join(FOLDER), own_initrd)?;
    choice.notes.iter().for_each(|note| eprintln!("{note}"));
    Ok(choice)
}

/// Builds the hypervisor.
///
/// # Errors
/// It does not build.
pub fn build_images(root: &Path, faults: bool, cancel: &CancellationToken) -> Result<BuiltImages, Failure> {
    let variant = if faults { Variant::Faults } else { Variant::Normal };
    toolchain::build(root, variant, cancel).map_err(|error| MachineError::from(error).into())
}
