//! A finding as every report shows it: never without its operation, its page, both sides' view and a command that
//! shows it again.

use std::fmt;

use parallax_model::Finding;

/// A command line that shows something again, ready for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproducer(String);

impl Reproducer {
    /// `parallax` with these arguments.
    pub fn new<I>(words: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let quoted = words.into_iter().map(|word| quoted(word.as_ref()));
        Self(std::iter::once("parallax".to_owned()).chain(quoted).collect::<Vec<_>>().join(" "))
    }

    /// The command line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reproducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `word` as one word of a shell's command line. No argument of a command can hold a NUL.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.replace('\0', ""), |quoted| quoted.into_owned())
}

/// A finding, the operation after which it was found, and the command that shows it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedFinding {
    /// Line of the operation; 0 is the state after boot.
    pub line: usize,
    /// The operation's canonical text; `boot` for the state after boot.
    pub op: String,
    /// The finding, with its page and both sides' view.
    pub finding: Finding,
    /// What there is to say to a person beyond it, line by line; goldens do not have it.
    pub detail: Vec<String>,
    reproduce: Reproducer,
}

impl ReportedFinding {
    /// Something found after operation `op` in line `line`, which `reproduce` shows again.
    #[must_use]
    pub fn new(line: usize, op: &str, finding: Finding, reproduce: &Reproducer) -> Self {
        let op = if op.is_empty() { "boot" } else { op }.to_owned();
        Self { line, op, finding, detail: Vec::new(), reproduce: reproduce.clone() }
    }

    /// Whether `other`, perhaps of another run, is the same: what each side says there, and how it is shown again, may differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.line == other.line && self.finding.identity() == other.finding.identity()
    }

    /// The command that shows it again.
    #[must_use]
    pub const fn reproduce(&self) -> &Reproducer {
        &self.reproduce
    }

    /// The finding in lines, with its page and all that there is to say of it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let about = std::iter::once(self.finding.about());
        let more = about.chain(self.detail.iter().cloned()).map(|line| format!("  {line}"));
        std::iter::once(self.finding.to_string()).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_are() {
        let again = Reproducer::new(["run", "--machine", "cpus=2", "it's a/$(trace).trace"]);
        let words = shlex::split(again.as_str()).unwrap();
        assert_eq!(words, ["parallax", "run", "--machine", "cpus=2", "it's a/$(trace).trace"]);
        assert_eq!(
            Reproducer::new(["run", "traces/good/a.trace"]).as_str(),
            "parallax run traces/good/a.trace"
        );
    }
}
