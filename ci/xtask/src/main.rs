//! What continuous integration runs beside the command itself, which asks for more than a shell: `cargo xtask TASK`.
//!
//! What sets a machine up, fetches, or only starts something is a script in `ci/`. Here is one file for each task; what they
//! share:
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`room`] | where a task works: the source tree, the signal that ends it |
//! | [`child`] | a program that a task runs, which ends with it |
//! | [`surroundings`] | what cargo adds to the environment, which is not for children |
//! | [`copy`] | copies of files and folders |
//! | [`folder`] | a folder that goes away with its task |
//! | [`ends`] | how a task ends that is not in order |
#![forbid(unsafe_code)]

mod bisect;
mod book;
mod child;
mod copy;
mod ends;
mod examples;
mod folder;
mod limits;
mod linux_long;
mod moved;
mod pr;
mod report_test;
mod room;
mod surroundings;
mod xen;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::room::{Room, say};

/// What continuous integration runs beside the command itself.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// A task.
#[derive(Debug, Subcommand)]
enum Task {
    /// Try `parallax bisect` on histories whose first bad commit is known
    #[command(after_help = bisect::EXAMPLE)]
    Bisect(bisect::Bisect),
    /// Build docs/ as a book whose links all lead somewhere
    #[command(after_help = book::EXAMPLE)]
    Book,
    /// Try what docs/DEVELOPING.md says of adding an operation, a check and a command
    #[command(after_help = examples::EXAMPLE)]
    Examples,
    /// Hold the hypervisor's lines, its image and what is in that against their limits
    #[command(after_help = limits::EXAMPLE)]
    Limits,
    /// Boot Linux as the host in all combinations, with much input and output
    #[command(after_help = linux_long::EXAMPLE)]
    LinuxLong(linux_long::LinuxLong),
    /// Try a copy of the source tree with what was built in it
    #[command(after_help = moved::EXAMPLE)]
    Moved,
    /// Print which traces of a pull request are not as agreed, as Markdown
    #[command(after_help = pr::EXAMPLE)]
    Pr(pr::Pr),
    /// Open reports in a real headless browser
    #[command(after_help = report_test::EXAMPLE)]
    ReportTest(report_test::ReportTest),
    /// Look at a Xen with `parallax attach`
    #[command(after_help = xen::EXAMPLE)]
    Xen(xen::Xen),
}

impl Task {
    fn name(&self) -> &'static str {
        match self {
            Self::Bisect(_) => "bisect",
            Self::Book => "book",
            Self::Examples => "examples",
            Self::Limits => "limits",
            Self::LinuxLong(_) => "linux-long",
            Self::Moved => "moved",
            Self::Pr(_) => "pr",
            Self::ReportTest(_) => "report-test",
            Self::Xen(_) => "xen",
        }
    }

    fn perform(&self, room: &Room) -> Result<()> {
        match self {
            Self::Bisect(arguments) => bisect::bisect(room, arguments),
            Self::Book => book::book(room),
            Self::Examples => examples::examples(room),
            Self::Limits => limits::limits(room),
            Self::LinuxLong(arguments) => linux_long::linux_long(room, arguments),
            Self::Moved => moved::moved(room),
            Self::Pr(arguments) => pr::pr(room, arguments),
            Self::ReportTest(arguments) => report_test::report_test(room, arguments),
            Self::Xen(arguments) => xen::xen(room, arguments),
        }
    }
}

/// A path as it is seen from where the user is.
fn from_here(path: &str) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Help that was asked for, or what is wrong with a command line: it must have reached who asked, unless that one went away.
fn answer(asked: &clap::Error) -> ExitCode {
    match asked.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format!("standard output: {error}"));
            ends::SETUP.into()
        }
        _ => u8::try_from(asked.exit_code()).unwrap_or(ends::USAGE).into(),
    }
}

fn main() -> ExitCode {
    let task = match Cli::try_parse() {
        Ok(cli) => cli.task,
        Err(asked) => return answer(&asked),
    };
    match Room::enter().and_then(|room| task.perform(&room)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One that has been told, or that a signal asked for, has no words.
            for line in format!("{error:#}").lines() {
                say(format!("{}: {line}", task.name()));
            }
            ends::status_of(&error).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
