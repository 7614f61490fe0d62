//! Whatever a trace says, reading it comes to an end, and what is read is printed and read again the same.

use std::fs;
use std::path::Path;

use parallax_hostile::{cases, changed_text};
use parallax_trace::{Op, Trace};
use proptest::prelude::*;

/// The traces of the project.
fn real() -> Vec<String> {
    let root = Path::new("../../traces");
    let folders = ["good", "bad"].map(|folder| fs::read_dir(root.join(folder)).expect("traces"));
    let paths = folders.into_iter().flatten().map(|entry| entry.expect("a trace").path());
    paths.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// The text of `trace`: its operations in canonical form, what stands before them as it is in `text`.
fn printed(trace: &Trace, text: &str) -> String {
    let first = trace.ops.first().map_or(0, |op| op.line - 1);
    let mut printed: String = text.lines().take(first).map(|line| format!("{line}\n")).collect();
    for op in &trace.ops {
        match &op.expect {
            Some(outcome) => printed += &format!("{op} => {outcome}\n"),
            None => printed += &format!("{op}\n"),
        }
    }
    printed
}

/// Its operations, wherever they stand.
fn ops(trace: &Trace) -> Vec<Op> {
    trace.ops.iter().map(|op| Op { line: 0, ..op.clone() }).collect()
}

proptest! {
    #![proptest_config(cases(8192))]

    #[test]
    fn what_is_read_is_printed_and_read_again_the_same(text in changed_text(real())) {
        if let Ok(trace) = Trace::parse("t", &text) {
            prop_assert!(trace.ops.len() <= text.lines().count());
            let printed = printed(&trace, &text);
            match Trace::parse("t", &printed) {
                Ok(again) => {
                    prop_assert_eq!(ops(&again), ops(&trace));
                    prop_assert_eq!((again.fault, &again.machine), (trace.fault, &trace.machine));
                }
                Err(error) => prop_assert!(false, "{error}\n{printed}"),
            }
        }
    }
}
