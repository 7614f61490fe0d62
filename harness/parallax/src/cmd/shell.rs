//! `parallax completions` and `parallax man`: what a shell and `man` want to know, made from the command line's own
//! definition.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Result;
use parallax_engine::status::{Failure, Status};
use parallax_report::whole_file;

use super::man;
use super::output::print_as_it_is;
use crate::cli::{Completions, Man};

/// Prints the completions of one shell.
pub(super) fn completions(args: &Completions, mut command: clap::Command) -> Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "parallax", &mut script);
    print_as_it_is(&String::from_utf8(script)?)?;
    Ok(Status::Same)
}

/// Writes a page for each subcommand into a folder; without a folder, prints the page of the command itself.
pub(super) fn manual(args: &Man, command: clap::Command) -> Result<Status> {
    let pages = man::pages(command)?;
    if let Some(folder) = &args.folder {
        std::fs::create_dir_all(folder).map_err(|error| refused(folder, &error))?;
        for (name, page) in pages {
            let file = folder.join(format!("{name}.1"));
            whole_file::write(&file, page.as_bytes()).map_err(|error| refused(&file, &error))?;
        }
        return Ok(Status::Same);
    }
    if std::io::stdout().is_terminal() {
        parallax_engine::note!("hint: `parallax man | man -l -` shows it as a page");
    }
    pages.first().map_or(Ok(()), |(_, page)| print_as_it_is(page))?;
    Ok(Status::Same)
}

fn refused(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::file(folder.display(), error)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};
    use clap_complete::Shell;

    use super::*;
    use crate::cmd::Cli;

    #[test]
    fn every_shell_learns_every_subcommand() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "parallax", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn there_is_a_page_for_the_command_and_for_each_subcommand() {
        let folder = tempfile::tempdir().unwrap();
        manual(&Man { folder: Some(folder.path().join("man1")) }, Cli::command()).unwrap();
        for name in Cli::command().get_subcommands().map(clap::Command::get_name) {
            let page = folder.path().join(format!("man1/parallax-{name}.1"));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
            assert!(text.contains(".TH") && text.contains("EXAMPLES"), "{name}");
        }
        assert!(folder.path().join("man1/parallax.1").is_file());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = manual(&Man { folder: Some(file.path().to_owned()) }, Cli::command()).unwrap_err();
        assert!(error.downcast_ref::<Failure>().is_some(), "{error:#}");
    }
}
