//! Arguments of the subcommands, a file each. What they do is in [`crate::cmd`], which has the table of them.

pub(crate) mod accept;
pub(crate) mod attach;
pub(crate) mod attack;
pub(crate) mod bench;
pub(crate) mod bisect;
pub(crate) mod check;
pub(crate) mod coverage;
mod cpus;
pub(crate) mod diff;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod explore;
mod fault;
mod form;
pub(crate) mod fuzz;
pub(crate) mod gdb;
pub(crate) mod linux;
mod linux_machine;
pub(crate) mod mutants;
pub(crate) mod nightly;
mod number;
pub(crate) mod report;
pub(crate) mod require;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod schedules;
pub(crate) mod tools;
pub(crate) mod watch;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;

pub use self::accept::Accept;
pub use self::attach::{Attach, AttachedMachine, AttachedView};
pub use self::attack::Attack;
pub use self::bench::{Bench, BenchLinux, BenchWhat};
pub use self::bisect::{Bisect, BisectFormat, Only};
pub use self::check::Check;
pub use self::coverage::Coverage;
pub use self::diff::{Compared, Diff, Ignore};
pub use self::dump::{Dump, DumpView};
pub use self::events::Events;
pub use self::explain::Explain;
pub use self::explore::{Explore, Spec};
pub use self::form::Form;
pub use self::fuzz::Fuzz;
pub use self::gdb::Gdb;
pub use self::linux::Linux;
pub use self::linux_machine::LinuxMachine;
pub use self::mutants::Mutants;
pub use self::nightly::{Nightly, NightlyHistory, NightlyMerge, NightlyPage, NightlyRun, NightlyWhat};
pub use self::report::Report;
pub use self::review::Review;
pub(crate) use self::run::distinct;
pub use self::run::{On, Run, Target};
pub use self::schedules::Schedules;
pub use self::tools::{Build, Completions, Doctor, Faults, Man, Schema};
pub use self::watch::Watch;

/// How the word `error:` looks.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();

pub(crate) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// How every command ends, unless its own help says more.
pub(crate) const EXIT_STATUS: &str = "\
Exit status: 0 as agreed, 1 diverged or a check failed, 2 usage or malformed input,
125 could not build or start or a disk is full, 130 interrupted.";
