//! `parallax doctor`: what is missing on this machine, and the command that mends it.
//!
//! ```text
//! ok       QEMU                  10.0.2 (/usr/bin/qemu-system-aarch64)
//! missing  bare-metal toolchain  …
//!          run: ci/setup
//! ```
//!
//! With `--fix` the commands are run, each once, after a question.

use std::fmt::Write;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::doctor::{self, Check, Outcome, Remedy};

use super::output::print_as_it_is;
use crate::cli::Doctor;

const OK: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const MISSING: Style = AnsiColor::Red.on_default();

/// Runs it.
pub(super) fn doctor(args: &Doctor) -> Result<Status> {
    if args.fix && !args.yes && !std::io::stdin().is_terminal() {
        return Err(
            Failure::usage("--fix asks before each command: add --yes where nobody can answer").into()
        );
    }
    let root = project::root(&[])?;
    let mut checks = doctor::check_all(&root, args.build);
    print_as_it_is(&checks_text(&checks)?)?;
    let remedies = remedies(&checks);
    if args.fix && !remedies.is_empty() {
        for remedy in remedies {
            if args.yes || agreed(remedy)? {
                run(remedy, &root)?;
            }
        }
        checks = doctor::check_all(&root, args.build);
        print_as_it_is(&format!("\nnow:\n{}", checks_text(&checks)?))?;
    }
    Ok(if checks.iter().all(Check::usable) { Status::Same } else { Status::Setup })
}

fn checks_text(checks: &[Check]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for check in checks {
        let (style, word, what) = match &check.outcome {
            Outcome::Good(what) => (OK, "ok", what),
            Outcome::Warning { problem, .. } => (WARNING, "warning", problem),
            Outcome::Bad { problem, .. } => (MISSING, "missing", problem),
        };
        writeln!(text, "{style}{word:<8}{style:#} {:<21} {what}", check.name)?;
        if let Some(remedy) = remedy(check) {
            match remedy {
                Remedy::Run(command) => writeln!(text, "{:<8} run: {command}", "")?,
                Remedy::ByHand(what) => writeln!(text, "{:<8} by hand: {what}", "")?,
            }
        }
    }
    Ok(text)
}

fn remedy(check: &Check) -> Option<&Remedy> {
    match &check.outcome {
        Outcome::Good(_) => None,
        Outcome::Warning { remedy, .. } | Outcome::Bad { remedy, .. } => Some(remedy),
    }
}

/// The commands that mend it all, each once.
fn remedies(checks: &[Check]) -> Vec<&str> {
    let mut remedies: Vec<&str> = Vec::new();
    for remedy in checks.iter().filter_map(remedy) {
        match remedy {
            Remedy::Run(command) if !remedies.contains(&command.as_str()) => remedies.push(command),
            _ => (),
        }
    }
    remedies
}

fn agreed(command: &str) -> Result<bool> {
    anstream::eprint!("run `{command}`? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs a command in the project's folder. That it fails is told, and shows itself in the next look.
fn run(command: &str, root: &Path) -> Result<()> {
    parallax_engine::note!("running: {command}");
    let status = process::Command::new("sh").args(["-c", command]).current_dir(root).status()?;
    if !status.success() {
        parallax_engine::note!("`{command}` failed: {status}; what it says above is to be done by hand");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, remedy: &str) -> Check {
        let remedy = Remedy::Run(remedy.to_owned());
        let outcome = Outcome::Warning { problem: "not there".to_owned(), remedy };
        Check { name, outcome }
    }

    #[test]
    fn a_command_that_mends_two_things_is_run_once() {
        let good = Check { name: "q", outcome: Outcome::Good("there".to_owned()) };
        let remedy = Remedy::ByHand("make room".to_owned());
        let full = Check { name: "d", outcome: Outcome::Bad { problem: "full".to_owned(), remedy } };
        let checks = [check("a", "ci/setup"), good, check("b", "ci/setup"), check("c", "true"), full];
        assert_eq!(remedies(&checks), ["ci/setup", "true"]);
        let text = anstream::adapter::strip_str(&checks_text(&checks).unwrap()).to_string();
        assert_eq!(text.matches("run: ci/setup").count(), 2, "{text}");
        assert_eq!(text.matches("by hand: make room").count(), 1, "{text}");
    }

    #[test]
    fn a_command_runs_in_the_projects_folder_and_may_fail() {
        let folder = tempfile::tempdir().unwrap();
        run("echo done > mended && false", folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("mended")).unwrap(), "done\n");
    }
}
