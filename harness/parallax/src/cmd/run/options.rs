//! How to run, as the arguments say.

use parallax_engine::Mode;
use parallax_engine::status::Failure;
use parallax_machine::CancellationToken;
use parallax_suite::jobs::{Export, ExportForm, GoldenMode, Options, job_count};

use crate::cli::require::requirements;
use crate::cli::{On, Run, Target};
use crate::cmd::output::value_name;

/// All of it; `export` is where the events of the one trace go, and goldens say what is `agreed` or do not.
pub(super) fn options(
    args: &Run,
    export: Option<Export>,
    agreed: bool,
    cancel: CancellationToken,
) -> Options {
    Options {
        jobs: job_count(args.jobs),
        golden: golden_mode(args, agreed),
        record: args.record.clone(),
        export,
        repeat: usize::from(args.repeat),
        mode: args.mode,
        flags: flags(args),
        explain: explain(args),
        events: !args.without_events && args.on().target == Target::Hyp,
        require: requirements(&args.require),
        cancel,
    }
}

/// Where the events of the one trace go.
pub(super) fn export(args: &Run, traces: usize) -> Result<Option<Export>, Failure> {
    let [name, file] = &args.export[..] else { return Ok(None) };
    let Some(form) = name.to_str().and_then(ExportForm::from_name) else {
        let name = name.to_string_lossy();
        return Err(Failure::usage(format!("--export: no format `{name}`; there are casemate and events")));
    };
    if traces != 1 {
        return Err(Failure::usage(format!("--export takes one trace, {traces} are named")));
    }
    Ok(Some(Export { form, path: file.into() }))
}

/// The arguments that decide what comes of a trace.
fn flags(args: &Run) -> Vec<String> {
    let mut flags = Vec::new();
    if args.mode != Mode::Step {
        flags.extend(["--mode".to_owned(), value_name(args.mode)]);
    }
    if args.on() != On::default() {
        flags.extend(["--target".to_owned(), args.on().to_string()]);
    }
    if let Some(revision) = &args.rev {
        flags.extend(["--rev".to_owned(), revision.clone()]);
    }
    if let Some(kernel) = &args.kernel {
        flags.extend(["--kernel".to_owned(), kernel.display().to_string()]);
    }
    if let Some(vmlinux) = &args.vmlinux {
        flags.extend(["--vmlinux".to_owned(), vmlinux.display().to_string()]);
    }
    flags.extend(args.machine.iter().flat_map(|keys| ["--machine".to_owned(), keys.clone()]));
    flags.extend(args.require.iter().flat_map(|what| ["--require".to_owned(), value_name(*what)]));
    let switches = [("--without-faults", args.without_faults), ("--without-events", args.without_events)];
    flags.extend(switches.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()));
    if args.repeat != 1 {
        flags.extend(["--repeat".to_owned(), args.repeat.to_string()]);
    }
    flags
}

/// Those of them that `explain` takes.
fn explain(args: &Run) -> Vec<String> {
    let mut words = Vec::new();
    let kernel = args.on().kernel.or_else(|| args.kernel.clone());
    let on = On { kernel, ..args.on() };
    if on != On::default() {
        words.extend(["--target".to_owned(), on.to_string()]);
    }
    if let Some(vmlinux) = &args.vmlinux {
        words.extend(["--vmlinux".to_owned(), vmlinux.display().to_string()]);
    }
    if args.mode != Mode::Step {
        words.extend(["--mode".to_owned(), value_name(args.mode)]);
    }
    if let Some(revision) = &args.rev {
        words.extend(["--rev".to_owned(), revision.clone()]);
    }
    words.extend(args.machine.iter().flat_map(|keys| ["--machine".to_owned(), keys.clone()]));
    words
}

const fn golden_mode(args: &Run, agreed: bool) -> GoldenMode {
    let other = !agreed || args.without_faults || !args.machine.is_empty() || !args.require.is_empty();
    match (args.accept, args.no_golden || other) {
        (true, _) if agreed => GoldenMode::Accept,
        (true, _) | (false, true) => GoldenMode::Ignore,
        (false, false) if args.look || args.rev.is_some() => GoldenMode::Look,
        (false, false) => GoldenMode::Compare,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use parallax_suite::jobs::GoldenMode;

    use super::{explain, flags, golden_mode};
    use crate::cmd::{Cli, Command};

    #[test]
    fn who_looks_leaves_nothing_for_a_review() {
        let mode = |words: &str| {
            let words = ["parallax", "run"].into_iter().chain(words.split_whitespace());
            let Command::Run(args) = Cli::parse_from(words).command else { panic!("it is `run`") };
            golden_mode(&args, true)
        };
        assert_eq!((mode(""), mode("--look")), (GoldenMode::Compare, GoldenMode::Look));
        assert_eq!(mode("--look --machine cpus=2"), GoldenMode::Ignore);
        assert!(Cli::try_parse_from(["parallax", "run", "--look", "--accept"]).is_err());
    }

    #[test]
    fn a_run_is_repeated_with_what_makes_it_what_it_is() {
        let words =
            ["parallax", "run", "--mode", "stream", "--machine", "cpus=2", "--machine", "smmu.map=pages"];
        let all = [&words[..], &["--without-faults", "--jobs", "3", "--format", "json"]].concat();
        let Command::Run(args) = Cli::parse_from(all).command else { panic!("it is `run`") };
        assert_eq!(flags(&args), [&words[2..], &["--without-faults"]].concat());
        let Command::Run(args) = Cli::parse_from(["parallax", "run"]).command else { panic!("it is `run`") };
        assert!(flags(&args).is_empty() && explain(&args).is_empty());
    }

    #[test]
    fn what_explain_is_given_drives_the_same_machine() {
        let words = |words: &[&str]| {
            let Command::Run(args) = Cli::parse_from([&["parallax", "run"], words].concat()).command else {
                panic!("it is `run`")
            };
            explain(&args)
        };
        let on = ["--mode", "stream", "--rev", "v0.1", "--machine", "cpus=2"];
        assert_eq!(words(&[&on[..], &["--no-golden"]].concat()), on);
        assert_eq!(words(&["--target", "pkvm", "--kernel", "7.3"]), ["--target", "pkvm:7.3"]);
    }
}
