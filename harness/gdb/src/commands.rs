//! `monitor` commands: what there is, and who does it.

use parallax_engine::visible;

use crate::moment::Moment;
use crate::state_view::StateView;

/// What `monitor help` says.
pub(super) const HELP: &str = "\
ops [all]           the operations around the next one, or all of them
op N                go to the moment after the operation in line N of the trace; 0 is the boot
s2 IPA              the host's stage 2 for an address
smmu sid N          the stream table entry of a StreamID
smmu walk SID IPA   what the SMMU makes of a device's address
page PFN            a page frame: its state, its owner, every mapping of it
diff [N]            what the operation in line N changed; without N the last one performed
check               everything that must hold, now; and what was found up to here
explain IPA         who changed the entries that translate an address
phys [on|off]       take addresses as physical, as QEMU's Qqemu.PhyMemMode does
stay                after `op N`, have the next `stepi` stay there: shows an editor where that is
help                these lines

Addresses are 0x40020000 or ram+0x20000, page frames 0x40020 or ram+0x20.
";

/// A command that needs more than one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryCommand<'a> {
    /// `ops`
    Ops { all: bool },
    /// `op N`
    Go(u64),
    /// `diff [N]`
    Diff(Option<u64>),
    /// `explain IPA`
    Explain(&'a str),
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    Stage2(&'a str),
    Sid(&'a str),
    Walk(&'a str, &'a str),
    Page(&'a str),
    Check,
    History(HistoryCommand<'a>),
}

impl<'a> Command<'a> {
    /// Reads a command.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = |text| crate::reader::number(text);
        Ok(match words[..] {
            [] | ["help"] => Self::Help,
            ["ops"] => Self::History(HistoryCommand::Ops { all: false }),
            ["ops", "all"] => Self::History(HistoryCommand::Ops { all: true }),
            ["op", number] => Self::History(HistoryCommand::Go(line(number)?)),
            ["s2", ipa] => Self::Stage2(ipa),
            ["smmu", "sid", sid] => Self::Sid(sid),
            ["smmu", "walk", sid, ipa] => Self::Walk(sid, ipa),
            ["page", pfn] => Self::Page(pfn),
            ["diff"] => Self::History(HistoryCommand::Diff(None)),
            ["diff", number] => Self::History(HistoryCommand::Diff(Some(line(number)?))),
            ["check"] => Self::Check,
            ["explain", ipa] => Self::History(HistoryCommand::Explain(ipa)),
            [first, ..] => {
                match HELP.lines().filter(|usage| usage.starts_with(&format!("{first} "))).collect::<Vec<_>>()
                {
                    usages if usages.is_empty() => {
                        return Err(format!("no command is called `{first}`; `monitor help` lists them"));
                    }
                    usages => return Err(format!("usage:\n{}", usages.join("\n"))),
                }
            }
        })
    }
}

/// Does what needs one state only.
pub(super) fn on_state(
    command: Command<'_>,
    state: &StateView<'_>,
    moment: &Moment,
) -> Result<String, String> {
    match command {
        Command::Stage2(ipa) => state.stage2(ipa),
        Command::Sid(sid) => state.sid(sid),
        Command::Walk(sid, ipa) => state.walk(sid, ipa),
        Command::Page(pfn) => state.page(pfn),
        Command::Check => Ok(state.check(moment)),
        Command::Help | Command::History(_) => Ok(HELP.to_owned()),
    }
}

/// What a user reads: a result, or what is wrong with the request. gdb prints it as it is.
pub(super) fn answer_text(result: Result<String, String>) -> String {
    visible::lines(&result.unwrap_or_else(|error| format!("error: {error}\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_steer_the_terminal_of_gdb() {
        let text = "1: nop\u{1b}[2J -> ok\n";
        assert_eq!(answer_text(Ok(text.to_owned())), "1: nop\\u{1b}[2J -> ok\n");
        assert_eq!(answer_text(Err("\u{9b}".to_owned())), "error: \\u{9b}\n");
    }

    #[test]
    fn commands_are_read_with_any_space_between_their_words() {
        assert_eq!(Command::parse("smmu  walk 8 ram+0x20000 "), Ok(Command::Walk("8", "ram+0x20000")));
        assert_eq!(Command::parse("op 3"), Ok(Command::History(HistoryCommand::Go(3))));
        assert_eq!(Command::parse(""), Ok(Command::Help));
    }

    #[test]
    fn a_command_that_is_not_whole_is_told_its_usage() {
        let error = Command::parse("smmu walk 8").unwrap_err();
        assert!(error.starts_with("usage:\nsmmu sid N") && error.contains("smmu walk SID IPA"), "{error}");
        assert!(Command::parse("dance").unwrap_err().contains("monitor help"));
        assert!(Command::parse("op three").unwrap_err().contains("no number"));
    }
}
