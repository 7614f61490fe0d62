//! The subcommands, one a module.

mod accept;
mod attack;
mod bench;
mod bisect;
mod build;
mod check;
mod coverage;
mod diff;
mod doctor;
mod dump;
mod events;
mod explain;
mod faults;
mod gdb;
mod linux;
mod man;
mod report;
mod review;
mod run;
mod schema;
mod shell;

use anyhow::Result;
use comfy_table::{CellAlignment, Table};
use parallax_engine::status::{Failure, Status};

use crate::cli::{Cli, Command};

/// Does what the command line says.
///
/// # Errors
/// What kept it from doing so; a [`parallax_engine::status::Failure`] knows its exit status.
pub fn main(cli: Cli) -> Result<Status> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Accept(args) => accept::accept(&args),
        Command::Review(args) => review::review(&args),
        Command::Bisect(args) => bisect::bisect(&args),
        Command::Attack(args) => attack::attack(&args),
        Command::Dump(args) => dump::dump(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Check(args) => check::check(&args),
        Command::Coverage(args) => coverage::coverage(&args),
        Command::Events(args) => events::events(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Gdb(args) => gdb::gdb(&args),
        Command::Report(args) => report::report(&args),
        Command::Build(args) => build::build(&args),
        Command::Faults(args) => faults::faults(&args),
        Command::Linux(args) => linux::linux(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::manual(&args),
    }
}

/// Writes to standard output; that its reader went away is no error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// A table without lines, whose columns from number `first` on are numbers.
fn table<const N: usize>(header: &[String; N], rows: &[[String; N]], first: usize) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
