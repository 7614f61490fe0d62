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
