//! The command line.

mod attack;
mod bisect;
mod fault;
mod linux;
mod look;
mod run;
mod tools;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Parser, Subcommand};
use parallax_trace::spec::CPUS;

use self::attack::ATTACK_EXAMPLE;
pub use self::attack::Attack;
pub use self::bisect::{Bisect, BisectFormat};
use self::linux::{BENCH_EXAMPLE, LINUX_EXAMPLE};
pub use self::linux::{Bench, BenchLinux, BenchWhat, Linux, LinuxMachine};
use self::look::{
    CHECK_EXAMPLE, COVERAGE_EXAMPLE, DIFF_EXAMPLE, DUMP_EXAMPLE, EVENTS_EXAMPLE, EXPLAIN_EXAMPLE,
    GDB_EXAMPLE, REPORT_EXAMPLE,
};
pub use self::look::{Check, Coverage, Diff, Dump, DumpView, Events, Explain, Gdb, Ignore, Report};
use self::run::{ACCEPT_EXAMPLE, REVIEW_EXAMPLE, RUN_EXAMPLE};
pub use self::run::{Accept, Review, Run, Target};
use self::tools::{
    BUILD_EXAMPLE, COMPLETIONS_EXAMPLE, DOCTOR_EXAMPLE, FAULTS_EXAMPLE, MAN_EXAMPLE, SCHEMA_EXAMPLE,
};
pub use self::tools::{Build, Completions, Doctor, Faults, Man, Schema};

/// How the word `error:` looks.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// How every command ends, unless its own help says more.
pub(crate) const EXIT_STATUS: &str = "\
Exit status: 0 as agreed, 1 diverged or a check failed, 2 usage or malformed input,
125 could not build or start, 130 interrupted.";

/// Watches one memory from two sides: the CPU's stage-2 tables and the SMMU's.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, styles = STYLES, max_term_width = 110, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Perform traces, check every state, and compare with the goldens
    #[command(after_help = RUN_EXAMPLE)]
    Run(Run),
    /// Take results that differ from their goldens
    #[command(after_help = ACCEPT_EXAMPLE)]
    Accept(Accept),
    /// Go through results that wait for a review, old and new side by side, in a terminal
    #[command(after_help = REVIEW_EXAMPLE)]
    Review(Review),
    /// Find the commit that broke a trace, then the operation, the entry and the store
    #[command(after_help = bisect::EXAMPLE)]
    Bisect(Bisect),
    /// Let a hostile host attack the hypervisor: random operations from a seed, all states checked
    #[command(after_help = ATTACK_EXAMPLE)]
    Attack(Attack),
    /// Show the tables of both sides after an operation
    #[command(after_help = DUMP_EXAMPLE)]
    Dump(Dump),
    /// Compare what two traces or recordings did
    #[command(after_help = DIFF_EXAMPLE)]
    Diff(Diff),
    /// Judge the order of events in a Casemate file
    #[command(after_help = CHECK_EXAMPLE)]
    Check(Check),
    /// Tell what the hypervisor did during each operation: stores, invalidations, barriers, instructions
    #[command(after_help = EVENTS_EXAMPLE)]
    Events(Events),
    /// Tell which stores of an operation changed tables, from where in the source, and what invalidation followed
    #[command(after_help = EXPLAIN_EXAMPLE)]
    Explain(Explain),
    /// Tell which lines of the hypervisor no trace reaches
    #[command(after_help = COVERAGE_EXAMPLE)]
    Coverage(Coverage),
    /// Serve gdb: a trace that is performed, or a recording that also goes back
    #[command(after_help = GDB_EXAMPLE)]
    Gdb(Gdb),
    /// Write a recording as a page that opens from disk, or as a trace for Perfetto
    #[command(after_help = REPORT_EXAMPLE)]
    Report(Report),
    /// Build the hypervisor and the test host
    #[command(after_help = BUILD_EXAMPLE)]
    Build(Build),
    /// List the faults that can be switched on, and the traces that catch them
    #[command(after_help = FAULTS_EXAMPLE)]
    Faults(Faults),
    /// Run an unmodified Linux as the hypervisor's host, with disks and a network behind the SMMU
    #[command(after_help = LINUX_EXAMPLE)]
    Linux(Linux),
    /// Measure how fast it is, as ratios within one run
    #[command(after_help = BENCH_EXAMPLE)]
    Bench(Bench),
    /// Tell what is missing on this machine, and the command that mends it
    #[command(after_help = DOCTOR_EXAMPLE)]
    Doctor(Doctor),
    /// Print the JSON Schema of what is printed as JSON, or list what there is
    #[command(after_help = SCHEMA_EXAMPLE)]
    Schema(Schema),
    /// Print what a shell needs to complete this command
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions(Completions),
    /// Print the manual page, or write those of all subcommands
    #[command(after_help = MAN_EXAMPLE)]
    Man(Man),
}

/// A number of CPUs that a machine can have.
fn cpus() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(i64::from(*CPUS.start())..=i64::from(*CPUS.end()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_parses() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("an example").to_string();
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.trim_start().strip_prefix("parallax ")).collect();
            assert!(!examples.is_empty(), "{} shows no example", command.get_name());
            for example in examples {
                // Up to an explanation or a redirection.
                let words = example.split("  ").next().and_then(|words| words.split('>').next());
                let words = words.unwrap_or_default().split_whitespace();
                let parsed = Cli::try_parse_from(std::iter::once("parallax").chain(words));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }
}
