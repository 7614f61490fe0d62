//! Manual pages: what clap knows, and sections of their own for what stands below the help: examples, exit status.

use std::io;

use anyhow::Result;
use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use crate::cli::EXIT_STATUS;

/// Files that the command reads or writes, on every page.
const FILES: &[(&str, &str)] = &[
    ("traces/", "what is performed: good/, where nothing may be found, and bad/, where a fault must be."),
    (
        "golden/",
        "what was agreed: NAME.snap for traces/NAME.trace, and NAME.snap.new for what waits for a review.",
    ),
    ("*.plx", "recordings."),
    ("target/", "what is built."),
    ("/dev/shm", "the memory of the machines, as long as they run."),
];

/// Variables that the command looks at, on every page.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "set to anything: no colours."),
    ("CLICOLOR_FORCE", "set to 1: colours even where nobody watches."),
    ("PATH", "where qemu-system-aarch64, cargo, git and gdb-multiarch are looked for."),
    ("TMPDIR", "where temporary files go [default: /tmp]."),
];

/// The page of the command itself, and one for each subcommand: names without `.1`, and texts.
pub(super) fn pages(command: Command) -> Result<Vec<(String, String)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((name.clone(), page(command, &name)?));
    command.get_subcommands().try_for_each(|command| collect(command, pages))
}

fn page(command: &Command, name: &str) -> Result<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let plain = command.clone().after_help(Resettable::Reset);
    let mut text = Vec::new();
    Man::new(plain).render(&mut text)?;
    sections(&help, name, &mut text)?;
    let text = String::from_utf8(text)?;
    // No date: the same source makes the same page.
    let title = format!(".TH {name} 1 \"\" \"parallax {}\" \"Parallax\"", env!("CARGO_PKG_VERSION"));
    let lines = text.lines().map(|line| if line.starts_with(".TH ") { &title } else { line });
    Ok(tidy(lines))
}

/// The text below the help, whose paragraphs are examples, notes and the exit status; and what every page has.
fn sections(help: &str, name: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let (mut examples, mut notes, mut exit) = (None, Vec::new(), EXIT_STATUS);
    for paragraph in help.split("\n\n") {
        match paragraph.split_once("Examples:\n") {
            Some(("", lines)) => examples = Some(lines),
            _ if paragraph.starts_with("Exit status:") => exit = paragraph,
            _ => notes.push(paragraph),
        }
    }
    let mut roff = Roff::new();
    if let Some(lines) = examples {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        lines.lines().for_each(|line| _ = roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]));
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]).text([roman(exit.trim_start_matches("Exit status:").trim_start())]);
    for (title, entries) in [("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT)] {
        roff.control("SH", [title]);
        for (entry, what) in entries {
            roff.control("TP", []).text([bold(*entry)]).text([roman(*what)]);
        }
    }
    if !notes.iter().all(|note| note.is_empty()) {
        roff.control("SH", ["NOTES"]);
        notes.iter().for_each(|note| _ = roff.text([roman(*note)]).control("PP", []));
    }
    let others = if name == "parallax" { "git(1), gdb(1)" } else { "parallax(1)" };
    roff.control("SH", ["SEE ALSO"]).text([roman(others)]);
    roff.to_writer(page)
}

/// Without blanks at the ends of lines, empty paragraphs, and lines that are broken twice.
fn tidy<'a>(page: impl Iterator<Item = &'a str>) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in page.map(str::trim_end) {
        if lines.last() == Some(&".PP") && (line == ".PP" || line.starts_with(".SH")) {
            lines.pop();
        }
        lines.push(line);
    }
    (lines.join("\n") + "\n").replace("\n.br\n\n.br\n", "\n.sp\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cmd::Cli;

    #[test]
    fn every_page_has_what_a_reader_looks_for() {
        let pages = pages(Cli::command()).unwrap();
        assert!(pages.iter().any(|(name, _)| name == "parallax-bench-linux"));
        for (name, page) in pages {
            assert!(page.contains(&format!(".TH {name} 1 ")), "{page}");
            for section in ["NAME", "SYNOPSIS", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"] {
                let there = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
                assert!(there.iter().any(|there| page.contains(there)), "{name}: {section}");
            }
            assert!(!page.contains(" \n") && !page.contains("EXTRA"), "{name}");
            let examples = page.contains(".SH EXAMPLES\n.nf\nparallax ");
            assert!(
                examples || ["parallax", "parallax-bench-linux"].contains(&name.as_str()),
                "{name}: {page}"
            );
        }
    }
}
