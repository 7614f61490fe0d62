//! Which mutants there are: `cargo mutants --list` says it, without building anything.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use parallax_engine::status::{Failure, Status};
use serde::Deserialize;
use tempfile::NamedTempFile;

/// What is changed: the hypervisor and its device tree reader, without the switchable faults.
const PACKAGES: [&str; 3] = ["hyp", "hyp-core", "hyp-fdt"];
/// The switchable faults stand here, and what stands for them in a normal build.
const LEFT_OUT: &str = "**/faulty/**";
const INSTALL: &str = "`cargo install cargo-mutants --locked` installs it";

/// A change of the hypervisor's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The file, in the source tree.
    pub file: String,
    /// What is changed, without where: `replace && with || in Hyp<H, S, R>::hold_pages`.
    pub what: String,
    /// The line that it begins in, without what stands around it.
    pub source: String,
    /// Line and column, from 1 on, where the change begins, and where it ends.
    pub span: Span,
    /// What stands there then.
    pub replacement: String,
}

impl Mutant {
    /// `file:line:column: what`, as `cargo mutants` names it.
    #[must_use]
    pub fn name(&self) -> String {
        let Position { line, column } = self.span.start;
        format!("{}:{line}:{column}: {}", self.file, self.what)
    }

    /// The text of its file with the change in it; nothing if the place is not in `text`. No line after it gets another number.
    #[must_use]
    pub fn applied(&self, text: &str) -> Option<String> {
        let (start, end) = (offset(text, self.span.start)?, offset(text, self.span.end)?);
        let old = text.get(start..end)?;
        let lines = |text: &str| text.matches('\n').count();
        let missing = lines(old).saturating_sub(lines(&self.replacement));
        Some([&text[..start], &self.replacement, &"\n".repeat(missing), &text[end..]].concat())
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Its first character.
    pub start: Position,
    /// The first character behind it.
    pub end: Position,
}

/// A character of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Position {
    /// From 1 on.
    pub line: usize,
    /// From 1 on, in characters.
    pub column: usize,
}

fn offset(text: &str, at: Position) -> Option<usize> {
    let before = at.line.checked_sub(1)?;
    let begin: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let line = text.split_inclusive('\n').nth(before)?.trim_end_matches('\n');
    let mut ends = line.char_indices().map(|(index, _)| index).chain([line.len()]);
    Some(begin + ends.nth(at.column.checked_sub(1)?)?)
}

/// Which mutants to take.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only those in files that one of these patterns names; all, where there is none.
    pub files: Vec<String>,
    /// Only those in lines that differ from this commit's.
    pub since: Option<String>,
}

/// As `cargo mutants` prints it.
#[derive(Deserialize)]
struct Listed {
    file: String,
    name: String,
    replacement: String,
    span: Span,
}

/// The mutants of the hypervisor at `root`, in order of place.
///
/// # Errors
/// `cargo mutants` is not there, or refuses.
pub fn list(root: &Path, wanted: &Wanted) -> Result<Vec<Mutant>, Failure> {
    let cargo = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.arg("mutants").args(args).current_dir(root);
        command
    };
    let setup = |message: String| Failure { status: Status::Setup, message };
    if !cargo(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        return Err(setup(format!("`cargo mutants` is not installed: {INSTALL}")));
    }
    let mut command = cargo(&["--list", "--json", "--colors", "never", "--exclude", LEFT_OUT]);
    PACKAGES.iter().for_each(|package| _ = command.args(["--package", package]));
    wanted.files.iter().for_each(|file| _ = command.args(["--file", file]));
    let patch = wanted.since.as_ref().map(|commit| patch(root, commit)).transpose()?;
    if let Some(patch) = &patch {
        command.arg("--in-diff").arg(patch.path());
    }
    let output = command.output().map_err(|error| setup(format!("cannot run `cargo mutants`: {error}")))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(setup(format!("`cargo mutants --list` failed: {}", error.trim())));
    }
    // Of a patch that changes no line of the hypervisor it prints nothing at all.
    let text = String::from_utf8_lossy(&output.stdout);
    let text = if text.trim().is_empty() { "[]" } else { text.trim() };
    let mut mutants = parse(text).map_err(|error| {
        setup(format!("`cargo mutants --list --json` says something else than expected: {error}"))
    })?;
    mutants.iter_mut().for_each(|mutant| mutant.source = source(root, mutant));
    Ok(mutants)
}

fn source(root: &Path, mutant: &Mutant) -> String {
    let text = fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
    let line = text.lines().nth(mutant.span.start.line.saturating_sub(1));
    line.unwrap_or_default().trim().to_owned()
}

/// What differs in the hypervisor from `commit`, in a file.
fn patch(root: &Path, commit: &str) -> Result<NamedTempFile, Failure> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["diff", "--no-ext-diff", "--no-color", "--no-renames", "--end-of-options"]);
    let output = git.args([commit, "--", "hyp"]).output();
    let setup =
        |error: std::io::Error| Failure { status: Status::Setup, message: format!("git diff: {error}") };
    let output = output.map_err(setup)?;
    if !output.status.success() {
        return Err(Failure::usage(format!("git knows no commit `{commit}`")));
    }
    let mut file = NamedTempFile::new().map_err(setup)?;
    file.write_all(&output.stdout).map_err(setup)?;
    Ok(file)
}

fn parse(text: &str) -> Result<Vec<Mutant>, serde_json::Error> {
    let listed: Vec<Listed> = serde_json::from_str(text)?;
    Ok(listed.into_iter().map(Mutant::from).collect())
}

impl From<Listed> for Mutant {
    fn from(Listed { file, name, replacement, span }: Listed) -> Self {
        let place = format!("{file}:{}:{}: ", span.start.line, span.start.column);
        let what = name.strip_prefix(&place).unwrap_or(&name).to_owned();
        Self { file, what, source: String::new(), span, replacement }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() -> u64 {\n    let é = 1;\n    é + 2\n}\nfn b() {}\n";

    fn mutant(start: (usize, usize), end: (usize, usize), replacement: &str) -> Mutant {
        let at = |(line, column)| Position { line, column };
        let span = Span { start: at(start), end: at(end) };
        let (file, what, source) = Default::default();
        Mutant { file, what, source, span, replacement: replacement.to_owned() }
    }

    #[test]
    fn columns_are_characters() {
        let changed = mutant((3, 7), (3, 8), "-").applied(TEXT).unwrap();
        assert_eq!(changed, TEXT.replace('+', "-"));
    }

    #[test]
    fn lines_behind_it_keep_their_numbers() {
        let changed = mutant((2, 5), (3, 10), "0").applied(TEXT).unwrap();
        assert_eq!(changed, "fn a() -> u64 {\n    0\n\n}\nfn b() {}\n");
    }

    #[test]
    fn a_place_that_is_not_there_is_none() {
        for at in [(0, 1), (1, 0), (3, 11), (9, 1), (usize::MAX, usize::MAX)] {
            assert_eq!(mutant(at, at, "-").applied(TEXT), None, "{at:?}");
        }
        assert_eq!(mutant((3, 8), (3, 7), "-").applied(TEXT), None);
    }

    #[test]
    fn what_cargo_mutants_prints_is_understood() {
        let text = r#"[{"diff":"", "file":"hyp/core/src/a.rs","function":null,"genre":"BinaryOperator",
            "name":"hyp/core/src/a.rs:18:43: replace + with -","package":"hyp-core","replacement":"-",
            "span":{"end":{"column":44,"line":18},"start":{"column":43,"line":18}}}]"#;
        let [mutant] = &parse(text).unwrap()[..] else { panic!("one") };
        assert_eq!((mutant.what.as_str(), mutant.span.end.column), ("replace + with -", 44));
        assert_eq!(mutant.name(), "hyp/core/src/a.rs:18:43: replace + with -");
        assert!(parse("{}").is_err());
    }
}
