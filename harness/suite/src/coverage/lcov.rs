//! The format of lcov (geninfo(1)), as far as it tells of lines.

use std::fmt::Write;
use std::path::Path;

use super::Files;

/// `files` of the source tree at `root` as a tracefile of the test `name`. Counts are traces, not executions. Files have
/// their absolute paths, so that lcov's tools can open them from anywhere.
#[must_use]
pub fn text(name: &str, root: &Path, files: &Files) -> String {
    // lcov allows letters, digits and underscores in the name of a test.
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut text = String::new();
    for (file, lines) in files {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "TN:{name}\nSF:{}", root.join(file).display());
        for (number, line) in lines {
            let _ = writeln!(text, "DA:{number},{}", line.traces);
        }
        let hit = lines.values().filter(|line| line.traces != 0).count();
        let _ = writeln!(text, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
    }
    text
}

/// The test's name for a trace: `good_share` for `traces/good/share.trace`.
#[must_use]
pub fn test_name(trace: &str) -> String {
    let path = Path::new(trace).with_extension("");
    let last: Vec<_> =
        path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::{sample, site};

    #[test]
    fn each_file_has_its_lines_and_their_count() {
        let mut tally = sample();
        tally.add(&[site("hyp/a.rs", 4, "a::split")]);
        let expected = "\
TN:good_x\nSF:/a tree/hyp/a.rs\nDA:3,0\nDA:4,1\nDA:9,0\nLF:3\nLH:1\nend_of_record
TN:good_x\nSF:/a tree/hyp/b.rs\nDA:1,0\nLF:1\nLH:0\nend_of_record\n";
        assert_eq!(super::text("good/x", Path::new("/a tree"), tally.files()), expected);
    }
}
