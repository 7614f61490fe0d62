//! What to run on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_engine::status::{Failure, Status};
use parallax_engine::{Mode, live};
use parallax_linux::kernel_and_busybox;
use parallax_machine::{Backend, CancellationToken, MachineError, Pkvm, PkvmConfig, PkvmForm, toolchain};
use parallax_suite::cases::Case;
use parallax_suite::revision;
use parallax_trace::Trace;

use crate::cli::{On, Run, Target};
use crate::cmd::output::value_name;

/// What is said to who names a target for a recording.
pub(in crate::cmd) const OF_A_RECORDING: &str =
    "a recording was made on what it was made on: leave --target out";
/// What is said to who wants one that pKVM does not have.
pub(in crate::cmd) const NO_STREAM: &str = "--target pkvm has no --mode stream";
/// How long a kernel may take to boot, in wall time.
const BOOT: Duration = Duration::from_secs(240);

/// Refuses what the target of `args` cannot do.
pub(super) fn check(args: &Run) -> Result<(), Failure> {
    let on = args.on();
    on.check(args.vmlinux.as_ref())?;
    match on.target {
        Target::Hyp if args.kernel.is_some() => {
            Err(Failure::usage("--kernel is the kernel of --target pkvm".to_owned()))
        }
        Target::Pkvm if args.kernel.is_some() && on.kernel.is_some() => {
            Err(Failure::usage(format!("--target {on} names its kernel: leave --kernel out")))
        }
        Target::Pkvm if args.mode == Mode::Stream => Err(Failure::usage(NO_STREAM)),
        Target::Pkvm if args.accept => Err(Failure::usage(
            "--target pkvm has no goldens to accept: what a kernel has mapped by then differs from boot to boot",
        )),
        Target::Hyp | Target::Pkvm => Ok(()),
    }
}

/// What boots the machines of `cases`; what has to be built in the source tree at `root` is built.
pub(super) fn backend(
    args: &Run,
    root: &Path,
    cases: &[Case],
    cancel: &CancellationToken,
) -> Result<Box<dyn Backend>, Failure> {
    let on = args.on();
    let on = On { kernel: on.kernel.or_else(|| args.kernel.clone()), ..on };
    if let Some(revision) = &args.rev {
        let (hyp, _) = revision::hypervisor(root, revision, cases, cancel)?;
        let hyp =
            if args.without_events { hyp } else { live::with_events(hyp, root).map_err(with_remedy)? };
        return Ok(Box::new(hyp));
    }
    if args.without_events && args.vmlinux.is_none() {
        return without_plugin(&on, root, cases.iter().map(|case| &case.trace), cancel);
    }
    match on.target {
        Target::Hyp => {
            let hyp = live::build(root, cases.iter().map(|case| &case.trace), cancel)?;
            Ok(Box::new(live::with_events(hyp, root).map_err(with_remedy)?))
        }
        Target::Pkvm => {
            let mut pkvm = pkvm(&on, root, cancel)?;
            if !args.without_events {
                pkvm.config.plugin = Some(plugin(root, cancel).map_err(with_remedy)?);
            }
            pkvm.config.vmlinux.clone_from(&args.vmlinux);
            Ok(Box::new(pkvm))
        }
    }
}

/// What boots an unmodified Linux with pKVM, watched by the plugin; its source lines come from `vmlinux`.
pub(in crate::cmd) fn pkvm_with_events(
    on: &On,
    vmlinux: Option<&PathBuf>,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<Pkvm, Failure> {
    let mut pkvm = pkvm(on, root, cancel)?;
    pkvm.config.plugin = Some(plugin(root, cancel)?);
    pkvm.config.vmlinux = vmlinux.cloned();
    Ok(pkvm)
}

/// What boots `on` for traces without faults: without the plugin, and with it.
pub(in crate::cmd) fn both(
    on: &On,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<[Box<dyn Backend>; 2], Failure> {
    Ok(match on.target {
        Target::Hyp => {
            let trace = Trace::parse(
                "", "nop
",
            )
            .map_err(|error| Failure::usage(error.to_string()))?;
            let hyp = || live::build(root, [&trace], cancel);
            [Box::new(hyp()?), Box::new(live::with_events(hyp()?, root)?)]
        }
        Target::Pkvm => {
            [Box::new(pkvm(on, root, cancel)?), Box::new(pkvm_with_events(on, None, root, cancel)?)]
        }
    })
}

fn plugin(root: &Path, cancel: &CancellationToken) -> Result<PathBuf, Failure> {
    Ok(toolchain::plugin(root, cancel).map_err(MachineError::from)?)
}

/// What boots an unmodified Linux with pKVM, without a plugin and source lines. The kernel is looked at first, before
/// anything is built.
fn pkvm(on: &On, root: &Path, cancel: &CancellationToken) -> Result<Pkvm, Failure> {
    let linux = root.join("target/linux");
    let (kernel, busybox) = kernel_and_busybox(on.kernel.as_deref(), &linux)
        .map_err(|failure| forms_named(failure, on, &linux))?;
    let revision = kernel.display().to_string();
    let forms = on.forms.clone();
    let config = PkvmConfig { kernel, busybox, vmlinux: None, plugin: None, forms, limit: BOOT };
    Ok(Pkvm { config, revision, cancel: cancel.clone() })
}

/// What boots the machines of `traces` on `on`, watched by the plugin: the order of events is judged.
pub(in crate::cmd) fn with_plugin<'t>(
    on: &On,
    root: &Path,
    traces: impl IntoIterator<Item = &'t Trace>,
    cancel: &CancellationToken,
) -> Result<Box<dyn Backend>, Failure> {
    match on.target {
        Target::Hyp => Ok(Box::new(live::with_events(live::build(root, traces, cancel)?, root)?)),
        Target::Pkvm => Ok(Box::new(pkvm_with_events(on, None, root, cancel)?)),
    }
}

/// `failure`, with the forms that there are, where the name of a kernel that is not there seems to have another one.
fn forms_named(mut failure: Failure, on: &On, linux: &Path) -> Failure {
    let missing = |kernel: &&PathBuf| !kernel.exists() && !linux.join(kernel).exists();
    if on.kernel.as_ref().filter(missing).is_some_and(|kernel| kernel.to_string_lossy().contains('+')) {
        let forms = PkvmForm::ALL.map(|form| format!("+{form}")).join(", ");
        failure.message += &format!("; what may stand behind a kernel is {forms}");
    }
    failure
}

/// What boots the machines of `traces` on `on`, without a plugin.
pub(in crate::cmd) fn without_plugin<'t>(
    on: &On,
    root: &Path,
    traces: impl IntoIterator<Item = &'t Trace>,
    cancel: &CancellationToken,
) -> Result<Box<dyn Backend>, Failure> {
    match on.target {
        Target::Hyp => Ok(Box::new(live::build(root, traces, cancel)?)),
        Target::Pkvm => Ok(Box::new(pkvm(on, root, cancel)?)),
    }
}

/// Whether goldens say what is agreed of `cases` on this target. What a kernel has touched when it comes to rest is not the same in every
/// boot.
pub(super) fn has_agreed(args: &Run, cases: &[Case]) -> bool {
    let target = value_name(args.on().target);
    args.on().target == Target::Hyp && cases.iter().all(|case| case.target() == target)
}

/// What to do where there is no plugin; who ended its build knows why there is none.
pub(super) fn with_remedy(failure: Failure) -> Failure {
    match failure.status {
        Status::Interrupted => failure,
        _ => Failure {
            message: failure.message + "; --without-events does without check `protocol`",
            ..failure
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_there_is_not_has_the_others_named() {
        let said = |kernel: &str| {
            let on = On { target: Target::Pkvm, kernel: Some(kernel.into()), forms: Vec::new() };
            forms_named(Failure::usage("no kernel"), &on, Path::new("/nowhere")).message
        };
        assert_eq!(said("7.3+lpa2"), "no kernel; what may stand behind a kernel is +hvhe, +nvhe, +no-lpa2");
        assert_eq!(said("7.3"), "no kernel");
    }

    #[test]
    fn who_ends_the_build_of_the_plugin_is_given_no_advice() {
        let advised = |status| with_remedy(Failure { status, message: "no plugin".to_owned() }).message;
        assert_eq!(advised(Status::Interrupted), "no plugin");
        assert_eq!(advised(Status::Setup), "no plugin; --without-events does without check `protocol`");
    }
}
