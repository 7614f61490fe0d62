//! Whatever stands in a golden's file, reading it comes to an end, and what is read is written and read again the same.

use std::fs;
use std::path::Path;

use parallax_hostile::{cases, changed, ending};
use parallax_report::golden::{self, Comparison, GoldenError, Place, text};
use proptest::prelude::*;
use proptest::sample::select;

/// All that insta may write into a header.
const HEADER: &str = "---\nsource: golden/traces.rs\nassertion_line: 17\ndescription: \"parallax run a: b.trace\"\n\
    expression: text\ninput_file: traces/a.trace\nsnapshot_kind: text\n---\n";

/// The project's goldens, no more than the first lines of each, and as many made to be hit where it hurts.
fn real() -> Vec<Vec<u8>> {
    let folders = ["good", "bad"].map(|name| fs::read_dir(format!("../../golden/{name}")).expect("goldens"));
    let paths = folders.into_iter().flatten().map(|entry| entry.expect("a golden").path());
    let texts = paths.filter_map(|path| fs::read_to_string(path).ok());
    let begun = texts.map(|text| text.split_inclusive('\n').take(20).collect::<String>());
    let small = "---\nsource: a\n---\n1: nop -> ok\n2: nop -> ok\n".to_owned();
    let found = format!("{HEADER}boot\n   ! sync/extra smmu a\n2: nop -> ok\n   cpu  ram+0x0 - RWX\n");
    begun.flat_map(|text| [text, small.clone(), found.clone()]).map(String::into_bytes).collect()
}

/// The place of a golden in `folder`, whose trace is there, with `bytes` in its file.
fn place(folder: &Path, bytes: &[u8]) -> Place {
    let trace = folder.join("traces/good/x.trace");
    let place = Place::of(&trace);
    for (path, bytes) in [(&trace, &b"nop\n"[..]), (&place.golden, bytes)] {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    place
}

/// The line that an error names.
fn line_of(error: &GoldenError, path: &Path) -> Option<usize> {
    let said = error.to_string();
    said.strip_prefix(&format!("{}:", path.display()))?.split(':').next()?.parse().ok()
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_is_read_is_written_and_read_again_the_same(bytes in changed(real())) {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), &bytes);
        match ending(&bytes, || text(&place.golden)) {
            Ok(read) => {
                let read = read.expect("the file is there");
                prop_assert!(read.len() <= bytes.len());
                golden::save(&place, &place.pending(), &read).unwrap();
                prop_assert_eq!(text(&place.pending()).unwrap(), Some(read.clone()));
                prop_assert_eq!(golden::compare(&place, &read, true).unwrap(), Comparison::Same);
                for other in [&read[..], "1: nop -> abort"] {
                    golden::compare(&place, other, false).unwrap();
                    golden::beside_findings(&place, other).unwrap();
                }
                golden::needs_events(&place).unwrap();
                golden::objections(&place.pending()).unwrap();
                prop_assert!(golden::findings_in(&place.golden).unwrap() <= read.lines().count());
                // As it is, it can be taken.
                fs::write(place.pending(), &bytes).unwrap();
                prop_assert_eq!(&golden::accept(&place.pending()).unwrap(), &place.golden);
                prop_assert_eq!(text(&place.golden).unwrap(), Some(read));
            }
            Err(error) => {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                prop_assert!(line_of(&error, &place.golden).is_some_and(|line| (1..=lines).contains(&line)), "{error}");
                fs::write(place.pending(), &bytes).unwrap();
                let refused = golden::accept(&place.pending()).unwrap_err();
                prop_assert!(line_of(&refused, &place.pending()).is_some(), "{refused}");
                prop_assert_eq!(fs::read(&place.golden).unwrap(), bytes, "what was refused was taken");
            }
        }
    }

    #[test]
    fn a_trace_of_any_name_has_its_golden(
        words in prop::collection::vec(select(&["a", ": ", " #", "\"", "\\", "'", "{", "[", "-", "\n", "\t", "\u{7f}", "\u{e9}", ".", "&"]), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(&folder.path().join(format!("x{}.trace", words.concat())));
        golden::save(&place, &place.golden, "1: nop -> ok").unwrap();
        prop_assert_eq!(text(&place.golden).unwrap(), Some("1: nop -> ok".to_owned()));
    }
}

#[test]
fn what_is_not_changed_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in real() {
        let place = place(folder.path(), &bytes);
        let read = text(&place.golden).unwrap().expect("the file is there");
        assert!(!read.is_empty() && bytes.ends_with(format!("{read}\n").as_bytes()), "{read}");
    }
}

#[test]
fn what_insta_would_choke_on_is_refused_before() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("source: a\n{}", "- ".repeat(200_000));
    for fields in [
        &deep,
        "source: .nan",
        "snapshot_kind: binary\nextension: a/b",
        "snapshot_kind: binary\nextension: a",
    ] {
        let place = place(folder.path(), format!("---\n{fields}\n---\n1: nop -> ok\n").as_bytes());
        let error = text(&place.golden).unwrap_err();
        assert!(line_of(&error, &place.golden).is_some(), "{error}");
    }
}
