//! `cargo xtask limits`: the hypervisor stays compact.
//!
//! Its size in lines and in bytes, and no trace of a switchable fault in a normal build. What counts is code that a reader of
//! the hypervisor reads: neither comments nor blank lines, nor tests, nor the files of the switchable faults, nor the test host.
//! The specification stays a document, too: of its calls, pages and SMMU, without the GIC.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::ends::Failure;
use crate::room::{Room, print};

pub(crate) const EXAMPLE: &str = "\
Examples:
  cargo build --release -p parallax && cargo xtask limits

Exit status: 0 within the limits, 1 not, 125 the hypervisor could not be built.";

/// As many lines of code are too many.
const LINES: usize = 7500;
/// As many lines of the specification are too many: of calls, pages, the judge and the SMMU.
const SPECIFICATION: usize = 2500;
/// An image of as many bytes is too large.
const BYTES: usize = 256 << 10;
/// The name of a fault.
const FAULT: &[u8] = b"smmu_no_tlbi";

pub(crate) fn limits(room: &Room) -> Result<()> {
    let counted = count(room.root(), "hyp", of_hypervisor)?;
    let specification: usize = count(room.root(), "harness/spec", of_specification)?.values().sum();
    let lines: usize = counted.values().sum();
    let built = room.run(room.parallax()?).word("build").text()?;
    let line = built.lines().find(|line| line.contains("hyp.img"));
    let image = line.and_then(|line| line.split_whitespace().next());
    let image = image.with_context(|| format!("`parallax build` names no hyp.img:\n{built}"))?;
    let image = fs::read(room.root().join(image)).with_context(|| format!("cannot read {image}"))?;
    for (folder, lines) in &counted {
        print(format!("{lines:8}  {folder}"))?;
    }
    let bytes = image.len();
    print(format!("{lines} lines of code (limit {LINES}), image {bytes} bytes (limit {BYTES})"))?;
    print(format!("{specification} lines of specification, without the GIC's (limit {SPECIFICATION})"))?;
    let wrong = exceeded(lines, specification, &image);
    if wrong.is_empty() { Ok(()) } else { Err(Failure::different(wrong.join("\n")).into()) }
}

/// What is wrong with a hypervisor of so many lines, its specification of so many, and its image.
fn exceeded(lines: usize, specification: usize, image: &[u8]) -> Vec<String> {
    let mut wrong = Vec::new();
    if specification >= SPECIFICATION {
        wrong.push(format!("the specification has grown past {SPECIFICATION} lines"));
    }
    if lines >= LINES {
        wrong.push(format!("hyp has grown past {LINES} lines"));
    }
    if image.len() >= BYTES {
        wrong.push(format!("the image has grown past {} KiB", BYTES >> 10));
    }
    if image.windows(FAULT.len()).any(|bytes| bytes == FAULT) {
        wrong.push("the normal build knows the names of switchable faults".to_owned());
    }
    wrong
}

/// Lines of code in each crate below `folder` of the source tree at `root`, where they count as `counts` says of each path.
fn count(root: &Path, folder: &str, counts: fn(&Path) -> bool) -> Result<BTreeMap<String, usize>> {
    let mut counted = BTreeMap::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(root.join(&folder)).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if !counts(&path) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(root.join(&path))
                    .with_context(|| format!("cannot read {}", path.display()))?;
                *counted.entry(crate_of(&path)).or_default() += code(&text);
            }
        }
    }
    Ok(counted)
}

/// The name of the file or folder at `path`.
fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Whether what is at `path` counts as the hypervisor.
fn of_hypervisor(path: &Path) -> bool {
    let left_out = ["tests", "faulty", "fault.rs", "faulty.rs"];
    path != Path::new("hyp/testhost") && !left_out.contains(&name(path)) && !name(path).ends_with("_tests.rs")
}

/// Whether what is at `path` counts as the specification.
fn of_specification(path: &Path) -> bool {
    !["vgic", "tests.rs", "fakes.rs"].contains(&name(path))
}

/// The crate that the source at `path` is of.
fn crate_of(path: &Path) -> String {
    let path = path.to_string_lossy();
    let end = path.find("/src/").or_else(|| path.find("/build.rs"));
    path[..end.unwrap_or(path.len())].to_owned()
}

/// Lines of code in `text`. A test begins with its attribute in the first column and ends with its brace there.
fn code(text: &str) -> usize {
    let (mut test, mut count) = (false, 0);
    for line in text.lines() {
        let begins = line == "#[cfg(test)]";
        if test || begins {
            test = begins || !(line.starts_with('}') || is_module(line));
        } else {
            let line = line.trim_start();
            count += usize::from(!line.is_empty() && !line.starts_with("//"));
        }
    }
    count
}

/// Whether `line` is a module in a file of its own.
fn is_module(line: &str) -> bool {
    let name = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ");
    name.and_then(|name| name.strip_suffix(';'))
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_neither_comment_nor_test_nor_fault_nor_test_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        // Five lines of code: `let` twice, the two lines of the function, and what comes after the tests.
        let text = "//! A crate.\n\n/// Says.\nfn f() {\n    // why\n\tlet a = 1; // one\n    let b = 2;\n}\n\n\
            #[cfg(test)]\nmod tests {\n    fn g() {\n    }\n}\n#[cfg(test)]\npub mod other_tests;\nconst C: u8 = 1;\n";
        file("hyp/core/src/deep/a.rs", text);
        file("hyp/core/build.rs", "fn main() {}\n");
        file("hyp/src/main.rs", "fn main() {}\n#[cfg(test)]\nfn only() {\n    1\n}\n");
        for left_out in [
            "hyp/testhost/src/main.rs",
            "hyp/core/tests/a.rs",
            "hyp/core/src/deep/tests/a.rs",
            "hyp/core/src/a_tests.rs",
            "hyp/abi/src/fault.rs",
            "hyp/core/src/faulty/a.rs",
            "hyp/fdt/src/faulty.rs",
            "hyp/core/src/a.txt",
        ] {
            file(left_out, "fn f() {}\n");
        }
        let counted: Vec<_> = count(folder.path(), "hyp", of_hypervisor).unwrap().into_iter().collect();
        assert_eq!(counted, [("hyp".to_owned(), 1), ("hyp/core".to_owned(), 6)]);
        for path in ["call.rs", "viommu/mod.rs", "viommu/tests.rs", "vgic/mod.rs", "fakes.rs"] {
            file(&format!("harness/spec/src/{path}"), "fn f() {}\n");
        }
        let counted = count(folder.path(), "harness/spec", of_specification).unwrap();
        assert_eq!(counted.into_values().sum::<usize>(), 2);
    }

    #[test]
    fn each_limit_is_held() {
        assert_eq!(exceeded(LINES - 1, SPECIFICATION - 1, &vec![0; BYTES - 1]), [""; 0]);
        assert_eq!(exceeded(0, SPECIFICATION, &[]), ["the specification has grown past 2500 lines"]);
        assert_eq!(exceeded(LINES, 0, &[]), ["hyp has grown past 7500 lines"]);
        assert_eq!(exceeded(0, 0, &vec![0; BYTES]), ["the image has grown past 256 KiB"]);
        let known = exceeded(0, 0, b"\0smmu_no_tlbi\0");
        assert_eq!(known, ["the normal build knows the names of switchable faults"]);
    }
}
