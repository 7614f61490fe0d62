//! Whether what no trace reaches is what was agreed.

use std::fs;
use std::path::Path;

use super::allowed::Allowed;
use super::{Files, summary};

/// What a comparison with a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The summary, and all that is not as agreed.
    pub text: String,
    /// What is not as agreed, in a line each.
    pub differences: Vec<String>,
}

/// Compares `files` of the source tree at `root` with the list `allowed`, which is in the file at `path`.
#[must_use]
pub fn compare(allowed: &Allowed, path: &Path, files: &Files, root: &Path) -> Comparison {
    let source = |file: &str, number: u32| {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        text.lines().nth(number as usize - 1).unwrap_or_default().trim().to_owned()
    };
    let differences = allowed.compare(files, source);
    let mut text = summary::table(files) + "\n";
    for difference in &differences {
        text += &format!("{difference}\n");
    }
    let path = path.display();
    text += &match differences.len() {
        0 => format!("every line that no trace reaches is in {path} with its reason\n"),
        count => format!(
            "{count} not as {path} says: write a trace that gets there, or list the line with its reason; \
             take out what is listed and reached\n"
        ),
    };
    Comparison { text, differences: differences.iter().map(ToString::to_string).collect() }
}
